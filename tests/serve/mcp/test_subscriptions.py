"""Is a subscriber told what has changed, and nobody else?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.subscriptions import PromptsListChanged, ResourcesListChanged, ResourceUpdated

from orchestr8_index.serve.callers import LOCAL
from orchestr8_index.serve.mcp.server import make_server
from orchestr8_index.serve.state import State

from ...trees import MakeTree, agent, build_tree
from ..asking import settings_of, state_of

ONE, TWO = "orchestr8://agents/tree/one", "orchestr8://agents/tree/two"
INDEX = "orchestr8://index"


class Meeting:
    """A tree of two agents, and a client of either era that notes what it is told."""

    def __init__(self, state: State, root: Path) -> None:
        self.state, self.root = state, root
        self.server = make_server(state)
        self.changes = self.server.subscriptions
        self.told: list[str] = []

    async def note(self, message: Any) -> None:
        params = getattr(message, "params", None)
        uri = getattr(params, "uri", None)
        self.told.append(str(uri or getattr(message, "method", message)))

    async def change(self, text: str = "Changed.") -> None:
        (self.root / "agents/one.md").write_text(agent("one", body=text))
        await self.state.refresh.reindex()

    async def hears(self, what: str) -> None:
        async with asyncio.timeout(10):
            while what not in self.told:
                await asyncio.sleep(0.005)


@pytest.fixture
def meeting(tmp_path: Path, make_tree: MakeTree) -> Meeting:
    root = make_tree({"agents/one.md": agent("one"), "agents/two.md": agent("two")})
    index = build_tree(root, data_dir=tmp_path / "data").index
    return Meeting(state_of(settings_of(tmp_path / "data", root), index), root)


def before_2026(meeting: Meeting, act: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        server = meeting.server
        meeting.changes.begin()
        async with Client(server, mode="legacy", message_handler=meeting.note) as client:
            await act(client)
        meeting.changes.end()

    asyncio.run(run())


@pytest.mark.filterwarnings("ignore:resources/")
def test_a_subscriber_hears_of_its_address_only(meeting: Meeting) -> None:
    async def act(client: Client) -> None:
        await client.subscribe_resource(ONE)
        await client.subscribe_resource(TWO)
        await meeting.change()
        await meeting.hears(ONE)

    before_2026(meeting, act)
    assert TWO not in meeting.told
    assert "notifications/resources/list_changed" in meeting.told
    assert "notifications/prompts/list_changed" in meeting.told


@pytest.mark.filterwarnings("ignore:resources/")
def test_who_has_unsubscribed_hears_no_more(meeting: Meeting) -> None:
    async def act(client: Client) -> None:
        for uri in (ONE, ONE, INDEX):
            await client.subscribe_resource(uri)
        await client.unsubscribe_resource(ONE)
        await meeting.change()
        await meeting.hears(INDEX)

    before_2026(meeting, act)
    assert ONE not in meeting.told


@pytest.mark.filterwarnings("ignore:resources/")
def test_who_has_left_is_forgotten(meeting: Meeting) -> None:
    async def act(client: Client) -> None:
        await client.subscribe_resource(ONE)

    before_2026(meeting, act)
    assert not meeting.changes._sessions and not meeting.changes._share.taken


def test_a_listener_hears_what_it_asked_for(meeting: Meeting) -> None:
    async def run() -> list[Any]:
        server = meeting.server
        meeting.changes.begin()
        async with Client(server, mode="2026-07-28") as client:
            uris = [ONE, TWO, INDEX]
            listening = client.listen(resource_subscriptions=uris, resources_list_changed=True)
            async with listening as events:
                await meeting.change()
                found = [await anext(events) for _ in range(3)]
                meeting.changes.end()
                return [*found, *[event async for event in events]]

    found = asyncio.run(asyncio.wait_for(run(), 20))
    assert set(found) == {ResourcesListChanged(), ResourceUpdated(ONE), ResourceUpdated(INDEX)}
    assert PromptsListChanged() not in found


def look(meeting: Meeting, uri: str) -> str:
    return asyncio.run(meeting.changes.version_of(uri, LOCAL))


def test_a_generation_with_the_same_text_updates_no_entry(meeting: Meeting) -> None:
    before = {uri: look(meeting, uri) for uri in (ONE, INDEX)}
    asyncio.run(meeting.state.refresh.reindex())
    assert look(meeting, ONE) == before[ONE]
    assert look(meeting, INDEX) != before[INDEX]


@pytest.mark.parametrize("uri", ["", "x", "orchestr8://agents/a/b", "skill://a", "orchestr8://x"])
def test_an_address_without_anything_holds_nothing(meeting: Meeting, uri: str) -> None:
    assert look(meeting, uri) == ""
