"""How much can a client of MCP make the server keep?"""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from orchestr8_index.serve.mcp.subscriptions import MOST_ADDRESS
from orchestr8_index.serve.state import State

from ..lines import with_limits
from .meeting import ERAS, Era, meet, refused
from .test_endpoint import JSON, LIST, MODERN, live
from .test_rights import ABOUT, OLD, call


def begin(**client: Any) -> dict[str, Any]:
    about = {**ABOUT, "clientInfo": {**ABOUT["clientInfo"], **client}}
    return call("initialize", {"protocolVersion": OLD, **about})


@pytest.mark.parametrize(
    ("client", "status"),
    [({"name": "x" * 200}, 200), ({"name": "x" * 201}, 400), ({"title": "x" * 900_000}, 400)],
)
def test_what_a_client_says_of_itself_is_bounded(
    state: State, client: dict[str, str], status: int
) -> None:
    answer = live(state, lambda asking: asking.post("/mcp", json=begin(**client), headers=JSON))
    assert answer.status_code == status


def test_who_begins_too_many_sessions_loses_its_own_oldest(module_state: State) -> None:
    async def often(asking: httpx2.AsyncClient) -> list[int]:
        opened = [await asking.post("/mcp", json=begin(), headers=JSON) for _ in range(12)]
        assert {answer.status_code for answer in opened} == {200}
        names = [answer.headers["mcp-session-id"] for answer in opened]
        ping = call("ping", {})
        sent = [{**JSON, "Mcp-Session-Id": name} for name in (names[0], names[-1])]
        return [(await asking.post("/mcp", json=ping, headers=each)).status_code for each in sent]

    assert live(with_limits(module_state, max_streams=10), often) == [404, 200]


@pytest.mark.filterwarnings("ignore:resources/")
@pytest.mark.parametrize("era", ERAS)
def test_a_watched_address_is_bounded(state: State, era: Era) -> None:
    uri = "orchestr8://agents/" + "x" * MOST_ADDRESS

    async def watch(client: Any) -> None:
        with pytest.raises(MCPError, match="characters at most"):
            if era == "legacy":
                await client.subscribe_resource(uri)
            async with client.listen(resource_subscriptions=[uri]):
                pass

    meet(state, watch, era)


@pytest.mark.filterwarnings("ignore:resources/")
def test_the_addresses_of_all_are_bounded(state: State) -> None:
    state.gate.shares.watched.most = 10

    async def watch(client: Any) -> None:
        for number in range(9):
            await client.subscribe_resource(f"orchestr8://agents/a/{number}")
        await client.unsubscribe_resource("orchestr8://agents/a/0")
        await client.subscribe_resource("orchestr8://agents/a/9")
        with pytest.raises(MCPError, match="no room"):
            await client.subscribe_resource("orchestr8://agents/a/10")

    meet(state, watch, "legacy")


def test_a_prompt_does_not_multiply_its_arguments(state: State) -> None:
    async def get(client: Any) -> None:
        (prompt, *_) = (await client.list_prompts()).prompts
        await client.get_prompt(prompt.name, {"arguments": "x" * 3_000_000})

    assert "too long" in str(refused(state, get))


async def list_tools(asking: httpx2.AsyncClient, era: Era, accept: str) -> httpx2.Response:
    headers = {**JSON, "Accept": accept}
    if era != "legacy":
        return await asking.post("/mcp", json=LIST, headers={**MODERN, "Accept": accept})
    opened = await asking.post("/mcp", json=begin(), headers=headers)
    headers["Mcp-Session-Id"] = opened.headers["mcp-session-id"]
    return await asking.post("/mcp", json={**LIST, "params": {}}, headers=headers)


@pytest.mark.parametrize("accept", [JSON["Accept"], "application/json"])
@pytest.mark.parametrize("era", ERAS)
def test_an_answer_that_there_is_no_room_for_is_refused(
    state: State, era: Era, accept: str
) -> None:
    """The tasks of the SDK wrap the refusal in a group, or keep it for themselves."""
    state.gate.shares.held.most = 5000
    answer = live(state, lambda asking: list_tools(asking, era, accept))
    is_stream = answer.headers["content-type"].startswith("text/event-stream")
    assert answer.status_code == (200 if is_stream else 503)
    assert "There is no room for more bodies and answers." in answer.text
    assert '"id":1' in answer.text if is_stream else "Retry-After" in answer.headers
    assert state.gate.shares.held.taken == 0
