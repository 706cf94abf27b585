"""Is a call like an accepted one answered without the SDK, as the SDK answers it?"""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import httpx2
import pytest

from orchestr8_index.serve.mcp.accepted import AcceptedCalls
from orchestr8_index.serve.mcp.exchange import LET_IN
from orchestr8_index.serve.mcp.server import Face
from orchestr8_index.serve.state import State

from .test_endpoint import JSON, META, live

HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}}
HELLO["clientInfo"] = {"name": "t", "version": "1"}
ASKED: list[dict[str, Any]] = [
    {"name": "query_skills", "arguments": {"task": "write release notes"}},
    {"name": "query_agents", "arguments": {"task": "writes docs", "limit": 1}},
    {"name": "query_skills", "arguments": {"wrong": 1}},
    {"name": "get_entry", "arguments": {"kind": "agent", "name": "nobody"}},
]


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The verbs of the requests that came to the SDK."""
    seen, serve = list[str](), Face.__call__

    async def counted(self: Face, scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["method"])
        await serve(self, scope, receive, send)

    monkeypatch.setattr(Face, "__call__", counted)
    return seen


def payload(answer: httpx2.Response) -> Any:
    """Of one body, or of a stream of one event."""
    assert answer.status_code == 200, answer.text
    text = answer.text
    return json.loads(text if text.startswith("{") else text.partition("data: ")[2])


class Asking:
    """A client of one era: with a session, or with all it says in each request."""

    def __init__(self, client: httpx2.AsyncClient, era: str) -> None:
        self._client, self._era, self.headers = client, era, dict(JSON)

    async def begin(self) -> None:
        if self._era == "session":
            begun = await self.send("initialize", HELLO, 0)
            self.headers["Mcp-Session-Id"] = begun.headers["mcp-session-id"]
            await self.notify("notifications/initialized")

    async def send(self, method: str, params: dict[str, Any], ident: Any) -> httpx2.Response:
        body = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
        return await self._client.post("/mcp", json=body, headers=self.headers)

    async def notify(self, method: str) -> None:
        body = {"jsonrpc": "2.0", "method": method}
        await self._client.post("/mcp", json=body, headers=self.headers)

    async def call(self, asked: dict[str, Any], ident: Any = 1) -> httpx2.Response:
        params: dict[str, Any] = {**asked, "_meta": {"progressToken": ident}}
        if self._era == "alone":
            params["_meta"] |= META
            named = {"Mcp-Method": "tools/call", "Mcp-Name": asked["name"]}
            self.headers |= {"MCP-Protocol-Version": "2026-07-28", **named}
        return await self.send("tools/call", params, ident)

    async def end(self) -> None:
        await self._client.delete("/mcp", headers=self.headers)


@pytest.mark.parametrize("era", ["session", "alone"])
def test_a_call_like_an_accepted_one_is_answered_as_by_the_sdk(
    state: State, through: list[str], era: str
) -> None:
    async def work(client: httpx2.AsyncClient) -> None:
        asking = Asking(client, era)
        await asking.begin()
        first = [payload(await asking.call(asked)) for asked in ASKED[:2]]
        before = len(through)
        for asked, known in zip(ASKED[:2], first, strict=True):
            again = payload(await asking.call(asked, "two"))
            assert again["id"] == "two" if len(through) > before else again == known
            before = len(through)
            third = payload(await asking.call(asked, 3))
            assert json.dumps(third) == json.dumps({**known, "id": 3})
            assert len(through) == before
        for wrong in ASKED[2:]:
            by_us = payload(await asking.call(wrong, 4))
            await asking.notify("notifications/other")
            other = Asking(client, era)
            await other.begin()
            assert by_us == payload(await other.call(wrong, 4))

    live(state, work)


def test_whatever_else_a_session_says_makes_its_calls_unknown(
    state: State, through: list[str]
) -> None:
    """Its folders may be others now, and with them the project that it means."""

    async def work(client: httpx2.AsyncClient) -> None:
        asking = Asking(client, "session")
        await asking.begin()
        counts = []
        for _ in range(2):
            await asking.call(ASKED[0])
            await asking.call(ASKED[0], 2)
            counts.append(len(through))
            await asking.notify("notifications/roots/list_changed")
        assert counts[1] - counts[0] == 2

    live(state, work)


def test_a_session_that_has_ended_is_answered_no_more(state: State) -> None:
    async def work(client: httpx2.AsyncClient) -> None:
        asking = Asking(client, "session")
        await asking.begin()
        assert [(await asking.call(ASKED[0])).status_code for _ in range(2)] == [200, 200]
        await asking.end()
        assert (await asking.call(ASKED[0])).status_code == 404

    live(state, work)


def test_who_takes_a_stream_alone_goes_on_getting_one(state: State, through: list[str]) -> None:
    async def work(client: httpx2.AsyncClient) -> None:
        asking = Asking(client, "session")
        asking.headers["Accept"] = "text/event-stream"
        await asking.begin()
        kinds = [(await asking.call(ASKED[0])).headers["content-type"] for _ in range(3)]
        assert kinds == ["text/event-stream"] * 3

    live(state, work)


def test_what_is_known_of_long_calls_is_short() -> None:
    """64 sessions may have 64 calls each, of a megabyte."""
    accepted, headers = AcceptedCalls(), [(b"accept", b"application/json, text/event-stream")]
    scope = {"headers": headers, "query_string": b"", "state": {LET_IN: object()}}
    tracemalloc.start()
    try:
        for n in range(60):
            params = {"name": "query_agents", "_meta": {"x": f"{n}" * 100_000}}
            call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            accepted.learn(scope, json.dumps(call).encode())
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
