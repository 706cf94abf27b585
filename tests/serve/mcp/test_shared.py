"""The shared state in MCP: six tools, who calls them, and resources that are watched."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mcp.client.client import Client
from mcp.client.subscriptions import ResourceUpdated
from mcp.shared.exceptions import MCPError
from msgspec import Raw

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import fixture_root
from orchestr8_index.coordinate.caller import Caller
from orchestr8_index.methods import METHODS
from orchestr8_index.serve.callers import Principal, caller
from orchestr8_index.serve.hooks.claude import receive_claude
from orchestr8_index.serve.mcp import tools as module
from orchestr8_index.serve.mcp.schemas import MOST_DEEP
from orchestr8_index.serve.mcp.tools import INSTRUCTIONS_OF, SHARED, TOOLS
from orchestr8_index.sharing import Op, SendMessage, WriteShared, value_of
from orchestr8_index.tokens import estimate_tokens

from ..asking import settings_of
from .meeting import ERAS, Era, Town, in_town

Work = Callable[[Town], Awaitable[Any]]


@pytest.fixture
def town(tmp_path: Path, shipped_index: Index) -> Callable[..., Any]:
    def run(work: Work, era: Era = "2026-07-28", face: str = "coordinate") -> Any:
        settings = settings_of(tmp_path / "data", fixture_root(), watch=False)
        return in_town(settings, shipped_index, lambda state: Town(state, face, era), work)

    return run


async def ask(client: Client, tool: str, **params: Any) -> Any:
    told = await client.call_tool(tool, params)
    assert not told.is_error, told.content
    assert told.structured_content == json.loads(told.content[0].text)  # type: ignore[union-attr]
    return told.structured_content


def test_what_a_host_carries_is_within_its_budget(town: Callable[..., Any]) -> None:
    async def work(here: Town) -> list[Any]:
        async with here.client("ada") as ada:
            return (await ada.list_tools()).tools

    tools = [tool.model_dump(by_alias=True, exclude_none=True) for tool in town(work)]
    assert [tool["name"] for tool in tools] == list(SHARED) and len(tools) == 6
    sent = [{name: tool[name] for name in ("name", "description", "inputSchema")} for tool in tools]
    text = json.dumps(sent, separators=(",", ":")) + INSTRUCTIONS_OF["coordinate"]
    assert estimate_tokens(text) <= 1000  # 1,100 with a tokenizer that counts 10 % more


@pytest.mark.parametrize("era", ERAS)
def test_agents_meet_over_the_six_tools(town: Callable[..., Any], era: Era) -> None:
    async def work(here: Town) -> None:
        async with here.client("ada") as ada, here.client("bob b") as bob:
            held = await ask(ada, "lock", action="acquire", resources=["port:1"], purpose="tests")
            told = await bob.call_tool("lock", {"action": "acquire", "resources": ["port:1"]})
            assert told.is_error and "is held by ada, for tests" in told.content[0].text  # type: ignore[union-attr]
            assert told.meta and told.meta["orchestr8/error"]["code"] == -32042
            fence = [{"resource": "port:1", "token": held["token"]}]
            await ask(ada, "write_shared", ops=[{"key": "k", "value": [None]}], fence=fence)
            assert (await ask(bob, "read_shared", keys=["k"]))["items"][0]["value"] == [None]
            await ask(ada, "session", action="create", id="s")
            await ask(bob, "session", action="join", id="s")
            await ask(ada, "send_message", to=["session:s"], body="hi", session="s")
            got = (await ask(bob, "read_inbox"))["messages"][0]
            assert (got["from"], got["body"], "reply_to" in got) == ("ada", "hi", False)
            assert {
                m["name"]
                for m in (await ask(bob, "session", action="get", id="s"))["session"]["members"]
            } == {"ada", "bob-b"}

    town(work, era)


@pytest.mark.parametrize("depth", [80, 300, 700])
def test_a_value_as_deep_as_it_may_be_is_read_with_its_neighbours(
    town: Callable[..., Any], depth: int
) -> None:
    """One list within three hundred others: nobody could read anything over MCP that came with
    it, be it a range of values or the whole inbox."""

    async def work(here: Town) -> Any:
        value: Any = "a\u202eb"
        for _ in range(depth):
            value = [value]
        deep = value_of(value)
        state = await here.state.shared.opened(here.state.settings)
        eve, project = Caller("eve"), here.state.settings.repository_key
        eve = msgspec.structs.replace(eve, project=project)
        ops = [Op(key="k/deep", value=deep), Op(key="k/plain", value=Raw(b"1"))]
        await state.write_shared(eve, WriteShared(ops=ops))
        await state.send_message(eve, SendMessage(to=["ada"], body="x", metadata=value))
        async with here.client("ada") as ada:
            read = await ada.call_tool("read_shared", {"prefix": "k/"})
            inbox = await ada.call_tool("read_inbox", {})
        assert not read.is_error and not inbox.is_error
        assert "ab" in inbox.content[0].text and '"k/plain","value":1' in read.content[0].text  # type: ignore[union-attr]
        return read.structured_content

    assert bool(town(work)) == (depth < MOST_DEEP - 10)


def test_all_has_the_tools_of_both(town: Callable[..., Any]) -> None:
    async def work(here: Town) -> None:
        async with here.client("ada") as ada:
            assert [tool.name for tool in (await ada.list_tools()).tools] == [*TOOLS, *SHARED]
            await ask(ada, "query_skills", context="release notes")
            uris = {str(each.uri) for each in (await ada.list_resources()).resources}
            assert {"locks://", "orchestr8://index"} <= uris
            assert (await ada.read_resource("orchestr8://index")).contents

    town(work, face="all")


def test_a_tool_use_is_the_agents_that_its_hook_named(town: Callable[..., Any]) -> None:
    tree = "/work/tree"
    use = {"session_id": "one", "agent_id": "sub1", "agent_type": "coder", "cwd": tree}
    edit = {"tool_name": "Write", "tool_use_id": "t1", "tool_input": {"file_path": f"{tree}/a.py"}}
    lock = {"tool_name": "mcp__orchestr8__lock", "tool_use_id": "t2"}

    async def hook(here: Town, what: dict[str, Any]) -> None:
        body = {"hook_event_name": "PreToolUse", **use, **what}
        await receive_claude(here.state, json.dumps(body).encode())

    async def work(here: Town) -> None:
        await hook(here, edit)
        async with here.client("claude-code") as client:
            params = {"action": "acquire", "resources": ["a.py"]}
            other = await client.call_tool("lock", {**params, "resources": [f"{tree}/a.py"]})
            assert other.is_error  # nobody that a hook knows
            await hook(here, lock)
            meta: Any = {"claudecode/toolUseId": "t2"}
            told = await client.call_tool("lock", params, meta=meta)
            assert not told.is_error, told.content
            (held,) = (await ask(client, "lock", action="list"))["locks"]
            assert (held["resource"], held["holder"]) == (f"{tree}/a.py", "coder-sub1")

    town(work)


def test_a_hook_of_another_key_names_nobody(town: Callable[..., Any]) -> None:
    async def work(here: Town) -> None:
        here.state.claims._tool_users["t"] = "ci:", Caller("agent")
        assert here.state.claims.agent_of("t", Principal("x", keyed=True)) is None
        assert here.state.claims.agent_of("t", Principal("ci", keyed=True)) is not None

    town(work)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.filterwarnings("ignore:resources/")
def test_a_watched_address_tells_of_changes(town: Callable[..., Any], era: Era) -> None:
    uris = ("shared://k", "locks://", "inbox://me", "session://s")

    async def change(client: Client) -> None:
        await ask(client, "write_shared", ops=[{"key": "k", "value": 1}])
        await ask(client, "lock", action="acquire", resources=["port:1"])
        await ask(client, "send_message", to=["bob"], body="<system>\u200b", session="s")

    async def work(here: Town) -> None:
        heard = list[str]()
        async with here.client("ada") as ada, here.client("bob", heard) as bob:
            await ask(bob, "session", action="create", id="s")
            async with asyncio.timeout(10):
                if era == "legacy":
                    for uri in uris:
                        await bob.subscribe_resource(uri)
                    await change(ada)
                    while not set(uris) <= set(heard):
                        await asyncio.sleep(0.002)
                else:
                    async with bob.listen(resource_subscriptions=[*uris, "shared://other"]) as told:
                        await change(ada)
                        seen = set[str]()
                        async for event in told:
                            assert isinstance(event, ResourceUpdated)
                            seen.add(event.uri)
                            if len(seen) == 4:
                                break
                        assert seen == set(uris)
            for uri in uris:
                text = (await bob.read_resource(uri)).contents[0].text  # type: ignore[union-attr]
                assert json.loads(text) and "<system" not in text and "\u200b" not in text

    town(work, era)


@pytest.mark.parametrize(
    "uri", ["shared://none", "shared://@agent/ada", "session://none", "locks://x"]
)
def test_what_is_not_there_cannot_be_read(town: Callable[..., Any], uri: str) -> None:
    async def work(here: Town) -> None:
        async with here.client("ada") as ada:
            await ask(ada, "write_shared", ops=[{"key": "k", "value": 1}])
            with pytest.raises(MCPError):
                await ada.read_resource(uri)

    town(work)


def test_no_address_shows_what_is_private(town: Callable[..., Any]) -> None:
    """Nor does a watcher hear that there was something."""

    async def work(here: Town) -> None:
        token = caller.set(Principal("local", "report"))
        async with here.client("ada") as ada, here.client("bob") as bob, here.client("eve") as eve:
            await ask(ada, "session", action="create", id="s")
            async with eve.listen(resource_subscriptions=["session://s", "inbox://me"]) as told:
                await ask(
                    ada,
                    "send_message",
                    to=["bob"],
                    body="secret",
                    session="s",
                    visibility="private",
                )
                await ask(ada, "send_message", to=["eve"], body="open")
                async with asyncio.timeout(10):
                    assert (await anext(aiter(told))).uri == "inbox://me"  # type: ignore[union-attr]
            for client, sees in ((ada, True), (bob, True), (eve, False)):
                text = (await client.read_resource("session://s")).contents[0].text  # type: ignore[union-attr]
                assert ("secret" in text) == sees
        caller.reset(token)

    town(work)


def test_who_waits_hears_of_progress(
    town: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROGRESS_SECONDS", 0.01)

    async def work(here: Town) -> None:
        heard = asyncio.Event()

        async def note(progress: float, total: float | None, message: str | None) -> None:
            heard.set()

        async with here.client("ada") as ada:
            params = {"prefix": "", "changed_after": 0, "wait_ms": 20_000}
            asked = asyncio.ensure_future(
                ada.call_tool("read_shared", params, progress_callback=note)
            )
            async with asyncio.timeout(10):
                await heard.wait()
                await ask(ada, "write_shared", ops=[{"key": "k", "value": 1}])
                told = await asked
            assert told.structured_content and told.structured_content["events"][0]["key"] == "k"

    town(work)


def test_every_shared_method_with_a_when_is_a_tool() -> None:
    assert [m.short for m in METHODS.values() if m.face == "coordinate" and m.when] == list(SHARED)
