"""Is the face loaded late, once, and behind the same guard as everything else?"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from orchestr8_index.config import REPOSITORY
from orchestr8_index.serve.faces import OF_MCP, load
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.mcp import endpoint as route
from orchestr8_index.serve.state import State

from ..asking import ask, client, living

JSON = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
MODERN = {**JSON, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
Work = Callable[[httpx2.AsyncClient], Awaitable[Any]]


def live(state: State, work: Work) -> Any:
    async def run() -> Any:
        app = make_web(state)
        async with living(app), client(app) as asking:
            return await work(asking)

    return asyncio.run(asyncio.wait_for(run(), 60))


def tools(answer: httpx2.Response) -> int:
    return len(answer.json()["result"]["tools"])


def test_the_first_request_is_answered(state: State) -> None:
    answer = live(state, lambda asking: asking.post("/mcp", json=LIST, headers=MODERN))
    assert (answer.status_code, tools(answer)) == (200, 7)


@pytest.mark.parametrize("accept", ["application/json", "application/json, application/mcp+json"])
def test_who_accepts_json_alone_gets_json_in_every_request(state: State, accept: str) -> None:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}}
    first = {**LIST, "method": "initialize"}
    first["params"] = {**hello, "clientInfo": {"name": "t", "version": "1"}}
    asked = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}

    async def work(asking: httpx2.AsyncClient) -> list[httpx2.Response]:
        headers = {**JSON, "Accept": accept}
        begun = await asking.post("/mcp", json=first, headers=headers)
        headers["Mcp-Session-Id"] = begun.headers["Mcp-Session-Id"]
        return [begun, await asking.post("/mcp", json=asked, headers=headers)]

    begun, answer = live(state, work)
    assert begun.json()["result"]["protocolVersion"] == "2025-06-18"
    assert (answer.headers["Content-Type"], tools(answer)) == ("application/json", 7)


@pytest.mark.parametrize("accept", ["text/event-stream", "text/*", ""])
def test_who_accepts_a_stream_alone_is_answered(state: State, accept: str) -> None:
    params = {"protocolVersion": "2025-06-18", "capabilities": {}}
    first = {**LIST, "method": "initialize"}
    first["params"] = {**params, "clientInfo": {"name": "t", "version": "1"}}

    async def work(asking: httpx2.AsyncClient) -> httpx2.Response:
        return await asking.post("/mcp", json=first, headers={**JSON, "Accept": accept})

    answer = live(state, work)
    assert answer.status_code == 200 and "2025-06-18" in answer.text


def test_first_requests_that_meet_load_it_once(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[int] = []
    real = route.load

    def counted() -> object:
        loads.append(1)
        return real()

    monkeypatch.setattr(route, "load", counted)

    async def many(asking: httpx2.AsyncClient) -> list[httpx2.Response]:
        posts = (asking.post("/mcp", json=LIST, headers=MODERN) for _ in range(20))
        return await asyncio.gather(*posts)

    answers = live(state, many)
    assert [tools(answer) for answer in answers] == [7] * 20
    assert loads == [1]


def test_other_requests_are_answered_while_it_loads(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go, real = threading.Event(), route.load
    monkeypatch.setattr(route, "load", lambda: may_go.wait(30) and real())

    async def both(asking: httpx2.AsyncClient) -> tuple[httpx2.Response, httpx2.Response]:
        waiting = asyncio.create_task(asking.post("/mcp", json=LIST, headers=MODERN))
        health = await asking.get("/health")
        may_go.set()
        return health, await waiting

    health, answer = live(state, both)
    assert (health.status_code, tools(answer)) == (200, 7)


def test_where_it_cannot_be_loaded_the_answer_says_why(
    state: State, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def absent() -> None:
        raise ModuleNotFoundError("No module named 'mcp'")

    monkeypatch.setattr(route, "load", absent)
    answer = live(state, lambda asking: asking.post("/mcp", json=LIST, headers=MODERN))
    assert answer.status_code == 503
    assert "No module named 'mcp'" in answer.json()["error"]["message"]
    assert "MCP cannot be served" in caplog.text


def test_after_a_failure_it_is_tried_again(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tries = route.load, [OSError("no"), None]

    def sometimes() -> object:
        if failure := tries.pop(0):
            raise failure
        return real()

    monkeypatch.setattr(route, "load", sometimes)
    monkeypatch.setattr(route, "RETRY_SECONDS", 0.0)

    async def twice(asking: httpx2.AsyncClient) -> list[int]:
        posts = [await asking.post("/mcp", json=LIST, headers=MODERN) for _ in range(2)]
        return [post.status_code for post in posts]

    assert live(state, twice) == [503, 200]


def test_a_failure_is_not_repeated_at_once(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def never() -> None:
        tries.append(1)
        raise OSError("no")

    monkeypatch.setattr(route, "load", never)

    async def often(asking: httpx2.AsyncClient) -> list[int]:
        return [(await asking.post("/mcp", json=LIST)).status_code for _ in range(5)]

    assert live(state, often) == [503] * 5
    assert tries == [1]


def test_a_server_that_has_not_started_says_so(state: State) -> None:
    answer = ask(make_web(state), "POST", "/mcp", json=LIST, headers=MODERN)
    assert answer.status_code == 503
    assert "starting or stopping" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "evil.example"}, 421), ({"Origin": "http://evil.example"}, 403)]
    + [
        ({"Origin": "http://localhost:9"}, 403),
        ({"Origin": "http://127.0.0.1:3700"}, 200),
        ({"Host": "127.0.0.1"}, 200),
    ],
)
def test_strangers_are_refused(state: State, headers: dict[str, str], status: int) -> None:
    sent = {**MODERN, **headers}
    answer = live(state, lambda asking: asking.post("/mcp", json=LIST, headers=sent))
    assert answer.status_code == status


def test_an_answer_has_its_correlation_id(state: State) -> None:
    sent = {**MODERN, "X-Correlation-ID": "mine-1"}
    answer = live(state, lambda asking: asking.post("/mcp", json=LIST, headers=sent))
    assert answer.headers["x-correlation-id"] == "mine-1"


def test_blanks_after_a_header_harm_nothing(state: State) -> None:
    sent = {**MODERN, "MCP-Protocol-Version": "2026-07-28 \t"}
    answer = live(state, lambda asking: asking.post("/mcp", json=LIST, headers=sent))
    assert (answer.status_code, tools(answer)) == (200, 7)


def test_a_large_body_is_413(state: State) -> None:
    answer = live(state, lambda a: a.post("/mcp", content=b" " * 1_000_001, headers=MODERN))
    assert answer.status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"1" * 5000, b"[" * 20_000])
def test_nonsense_is_refused(state: State, body: bytes) -> None:
    answer = live(state, lambda asking: asking.post("/mcp", content=body, headers=MODERN))
    assert 400 <= answer.status_code < 500


def test_a_misspelt_tool_is_told_the_names_that_there_are(state: State) -> None:
    """It was asked for the id of a session that a plain call does not need."""
    body = {"jsonrpc": "2.0", "id": 7, "method": "cache_gett", "params": {}}
    answer = live(state, lambda asking: asking.post("/mcp/cache", json=body))
    error = answer.json()["error"]
    assert (answer.status_code, answer.json()["id"], error["code"]) == (404, 7, -32601)
    names = error["data"]["cure"].removeprefix("The tools are ").removesuffix(".").split(", ")
    assert names == [tool.name for tool in load("cache").tools]


@pytest.mark.parametrize("path", ["/mcp", "/mcp/all", "/mcp/coordinate"])
@pytest.mark.parametrize("method", ["tool/list", "initialise", "queryAgents"])
def test_so_is_a_misspelt_method_of_mcp(state: State, path: str, method: str) -> None:
    """400, as MCP wants it of what names no session."""
    body = {"jsonrpc": "2.0", "id": 7, "method": method}
    answer = live(state, lambda asking: asking.post(path, json=body))
    error = answer.json()["error"]
    assert (answer.status_code, answer.json()["id"], error["code"]) == (400, 7, -32601)
    assert "The methods of MCP are initialize, ping, " in error["data"]["cure"]


def test_a_misspelt_tool_with_a_slash_is_told_the_names_and_a_notification_is_not(
    state: State,
) -> None:
    async def work(asking: httpx2.AsyncClient) -> list[Any]:
        calls = ({"method": "cache/get", "id": 1}, {"method": "notifications/initialised"})
        sent = [{"jsonrpc": "2.0", **call} for call in calls]
        answers = [await asking.post("/mcp/cache", json=call, headers=JSON) for call in sent]
        return [(each.status_code, each.json()["error"]["code"]) for each in answers]

    assert live(state, work) == [(404, -32601), (400, -32600)]


def test_the_methods_of_mcp_are_those_that_its_server_has(state: State) -> None:
    from orchestr8_index.serve.mcp.server import make_server  # here, as it loads the SDK

    assert {"initialize", *make_server(state)._request_handlers} == {*OF_MCP}


def test_another_verb_is_405(state: State) -> None:
    assert ask(make_web(state), "PUT", "/mcp").status_code == 405


def test_only_a_call_in_json_loads_the_sdk(tmp_path: Path) -> None:
    """Any page can make a browser send the others: an image a GET, a form text/plain."""
    code = """
        import asyncio, json, sys
        from pathlib import Path
        from orchestr8_index.config import fixture_root
        from tests.serve.asking import ask, settings_of, state_of
        from tests.serve.mcp.test_endpoint import LIST, MODERN, live
        heavy = {"mcp", "mcp_types", "pydantic", "cryptography"}
        state = state_of(settings_of(Path(sys.argv[1]), fixture_root()), None)
        async def all(asking):
            own = {"Mcp-Session-Id": "of-before"}
            for sent in (asking.get("/health"), asking.get("/mcp"), asking.get("/mcp", headers=own),
                         asking.delete("/mcp"), asking.post("/mcp", content="{", headers=MODERN),
                         asking.post("/mcp", content=json.dumps(LIST))):
                print((await sent).status_code, end=" ")
        live(state, all)
        print(sorted(heavy & set(sys.modules)))
        state = state_of(settings_of(Path(sys.argv[1]), fixture_root()), None)
        live(state, lambda asking: asking.post("/mcp", json=LIST, headers=MODERN))
        print("mcp" in sys.modules, sorted({"mcp.client", "cryptography"} & set(sys.modules)))
        import mcp.server
        print(mcp.ClientSession.__name__, mcp.server.MCPServer.__name__, mcp.client.__name__)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    found = done.stdout.splitlines()
    assert found[:2] == ["503 400 404 400 400 415 []", "True []"]
    assert found[2] == "ClientSession MCPServer mcp.client"  # what was left out can be had


@pytest.mark.parametrize(
    ("verb", "more", "named"),
    [
        ("POST", {"Accept": "text/html"}, "Accept"),
        ("POST", {"Content-Type": "text/plain"}, "Content-Type"),
        ("POST", {}, "Mcp-Session-Id"),
        ("POST", {"Mcp-Session-Id": "gone"}, "initialize"),
        ("GET", {"Accept": "text/event-stream"}, "initialize"),
    ],
)
def test_what_is_refused_says_its_cure(
    state: State, verb: str, more: dict[str, str], named: str
) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}

    async def work(asking: httpx2.AsyncClient) -> list[httpx2.Response]:
        headers = {**JSON, **more}
        first = await asking.request(verb, "/mcp", json=call, headers=headers)
        await asking.post("/mcp", json=LIST, headers=MODERN)  # from here on it is the SDK's
        return [first, await asking.request(verb, "/mcp", json=call, headers=headers)]

    for answer in live(state, work):
        assert 400 <= answer.status_code < 500
        assert named.lower() in answer.json()["error"]["data"]["cure"].lower()
