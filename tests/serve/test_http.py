"""Which address answers what, with which status and which headers?"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from starlette.types import ASGIApp, Message, Scope

from orchestr8_index.catalog.build_lines import BuildLine
from orchestr8_index.catalog.index import Index
from orchestr8_index.catalog.worker import BuildChild
from orchestr8_index.config import Limits, fixture_root
from orchestr8_index.errors import BuildFailed
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.state import State

from ..trees import MakeTree, agent
from .asking import Here, ask, client, living, serve_one, settings_of, state_of

MAX_BODY = Limits().max_body
CALL = {"jsonrpc": "2.0", "id": 1, "method": "querySkills", "params": {"context": "notes"}}


class Failing(Here):
    def run(self, unless: str = "", started: BuildChild | None = None) -> BuildLine:
        raise BuildFailed("The disk is full.", "Free some.")


# --- JSON-RPC over HTTP ------------------------------------------------------------------------


def test_a_call_is_answered_as_json(app: ASGIApp) -> None:
    answer = ask(app, "POST", "/", json=CALL)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["result"]["source"] == "index"


def test_json_is_compact(app: ASGIApp) -> None:
    assert '"status":"healthy"' in ask(app, "GET", "/health").text


def test_a_notification_is_204_without_a_body(app: ASGIApp) -> None:
    answer = ask(app, "POST", "/", json={"jsonrpc": "2.0", "method": "getHealth"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, -32700),
        (b"{}", 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"nope"}', 404, -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"querySkills"}', 400, -32602),
    ],
)
def test_errors_have_their_http_status(app: ASGIApp, body: bytes, status: int, code: int) -> None:
    answer = ask(app, "POST", "/", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_before_the_first_generation_a_query_is_503(starting: State) -> None:
    answer = ask(make_web(starting), "POST", "/", json=CALL)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, -32001)


def test_any_content_type_is_read(app: ASGIApp) -> None:
    answer = ask(app, "POST", "/", content=json.dumps(CALL), headers={"Content-Type": "text/x"})
    assert answer.status_code == 200


# --- large bodies ------------------------------------------------------------------------------


def test_a_body_of_the_limit_is_read(app: ASGIApp) -> None:
    body = json.dumps(CALL).encode()
    answer = ask(app, "POST", "/", content=body + b" " * (MAX_BODY - len(body)))
    assert answer.status_code == 200


def test_an_announced_large_body_is_413(app: ASGIApp) -> None:
    answer = ask(app, "POST", "/", content=b" " * (MAX_BODY + 1))
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert answer.json()["error"]["message"] == "The body is over 1,000,000 bytes."


def test_a_streamed_large_body_is_413_before_its_end(app: ASGIApp) -> None:
    given: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        for number in range(1000):
            given.append(number)
            yield b" " * 100_000

    assert ask(app, "POST", "/", content=endless()).status_code == 413
    assert len(given) < 20


@pytest.mark.parametrize("announced", [b"nonsense", b"-5", b"", b"9" * 5000])
def test_a_nonsense_length_harms_nothing(state: State, announced: bytes) -> None:
    sent = [(b"host", b"localhost"), (b"content-length", announced)]
    assert raw(make_web(state), sent, b"{}") in ([], [413])


def raw(app: ASGIApp, headers: list[tuple[bytes, bytes]], *parts: bytes) -> list[int]:
    """The statuses of the answers to a POST whose client leaves after `parts`."""
    sent: list[Message] = []
    waiting: list[Message] = [{"type": "http.request", "body": p, "more_body": True} for p in parts]
    waiting.append({"type": "http.disconnect"})

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    scope.update(query_string=b"", root_path="")
    asyncio.run(serve_one(app, scope, receive, send))
    return [message["status"] for message in sent if "status" in message]


@pytest.mark.parametrize("part", [b'{"jsonrpc"', json.dumps(CALL).encode()])
def test_half_a_request_is_not_performed(app: ASGIApp, state: State, part: bytes) -> None:
    assert raw(app, [(b"host", b"localhost")], part) == []
    assert state.metrics.requests.total() == 0


# --- /health and /metrics ----------------------------------------------------------------------


def test_health_is_503_before_the_first_generation(starting: State) -> None:
    answer = ask(make_web(starting), "GET", "/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "starting")


def test_health_is_200_when_degraded(state: State) -> None:
    state.refresh.failure = "The disk is full."
    answer = ask(make_web(state), "GET", "/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


def test_metrics_are_json(app: ASGIApp) -> None:
    answer = ask(app, "GET", "/metrics", headers={"Accept": "application/json"})
    assert answer.headers["content-type"] == "application/json"
    assert "queries" in answer.json()


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/metrics", "text/plain"),
        ("/metrics", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"),
        ("/metrics?format=prometheus", "application/json"),
    ],
)
def test_metrics_are_text_where_asked(app: ASGIApp, path: str, accept: str) -> None:
    answer = ask(app, "GET", path, headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "orchestr8_generation 1.0" in answer.text


@pytest.mark.parametrize(
    "path", ["/health", "/health/live", "/metrics", "/p/plugins_fixture/health"]
)
def test_a_slash_at_the_end_says_nothing(app: ASGIApp, path: str) -> None:
    assert ask(app, "GET", f"{path}/").status_code == ask(app, "GET", path).status_code


# --- /reindex ----------------------------------------------------------------------------------


@pytest.fixture
def tree_state(tmp_path: Path, make_tree: MakeTree) -> State:
    root = make_tree({"agents/one.md": agent("one"), "commands/go.md": "Go."})
    return state_of(settings_of(tmp_path / "data", root), None)


def test_a_reindex_tells_what_serves(tree_state: State) -> None:
    told = ask(make_web(tree_state), "POST", "/reindex").json()
    assert isinstance(told.pop("duration_ms"), int)
    counts = {"agents": 1, "skills": 0, "workflows": 1}
    message = "Generation 1 serves."
    assert told == {"success": True, "message": message, "generation": 1, **counts}


def test_a_reindex_serves_what_is_new(tree_state: State) -> None:
    app = make_web(tree_state)
    ask(app, "POST", "/reindex")
    Path(tree_state.settings.roots[0], "agents/two.md").write_text(agent("two"))
    assert ask(app, "POST", "/reindex").json()["agents"] == 2
    assert ask(app, "GET", "/health").json()["generation"] == 2


def test_a_reindex_empties_the_cache(tree_state: State) -> None:
    app = make_web(tree_state)
    ask(app, "POST", "/reindex")
    ask(app, "POST", "/", json=CALL)
    ask(app, "POST", "/reindex")
    assert len(tree_state.query_cache) == 0


def test_calls_for_a_reindex_that_meet_share_builds(tree_state: State) -> None:
    async def many() -> list[httpx.Response]:
        async with client(make_web(tree_state)) as asking:
            return await asyncio.gather(*(asking.post("/reindex") for _ in range(10)))

    answers = asyncio.run(many())
    assert all(answer.json()["success"] for answer in answers)
    assert {answer.json()["generation"] for answer in answers} <= {1, 2}


@pytest.fixture
def failing(tmp_path: Path, shipped_index: Index) -> State:
    settings = settings_of(tmp_path / "data", fixture_root())
    return state_of(settings, shipped_index, Failing(settings))


def test_a_failed_reindex_is_500_with_the_reason(failing: State) -> None:
    answer = ask(make_web(failing), "POST", "/reindex")
    assert answer.status_code == 500
    message = "The disk is full. Free some."
    assert answer.json() == {"success": False, "message": message, "generation": 1}


def test_after_a_failed_reindex_the_old_generation_serves_degraded(failing: State) -> None:
    app = make_web(failing)
    ask(app, "POST", "/reindex")
    told = ask(app, "GET", "/health").json()
    assert (told["status"], told["reasons"]) == ("degraded", ["The disk is full. Free some."])
    assert ask(app, "POST", "/", json=CALL).json()["result"]["generation"] == 1


def test_a_good_reindex_heals(failing: State) -> None:
    app = make_web(failing)
    ask(app, "POST", "/reindex")
    failing.refresh.builder = Here(failing.settings)
    ask(app, "POST", "/reindex")
    assert ask(app, "GET", "/health").json()["status"] == "healthy"


def test_a_failed_first_reindex_has_no_generation(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data", fixture_root())
    app = make_web(state_of(settings, None, Failing(settings)))
    assert ask(app, "POST", "/reindex").json()["generation"] == 0


# --- other addresses ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/nowhere", "/.env"])
def test_elsewhere_is_404_with_a_hint(app: ASGIApp, path: str) -> None:
    answer = ask(app, "GET", path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    said = answer.json()["error"]["data"]["cure"]
    assert all(path in said for path in ("/health/ready", "/reindex", "/hooks/claude"))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/", "POST"), ("GET", "/reindex", "POST"), ("POST", "/health", "GET, HEAD")],
)
def test_the_wrong_verb_is_405_and_names_the_right_one(
    app: ASGIApp, method: str, path: str, allowed: str
) -> None:
    answer = ask(app, method, path)
    assert answer.status_code == 405
    assert sorted(answer.headers["allow"].split(", ")) == sorted(allowed.split(", "))


def test_a_defect_outside_the_methods_tells_nothing(
    app: ASGIApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: State) -> None:
        raise KeyError("a secret")

    monkeypatch.setattr("orchestr8_index.serve.http.health", broken)
    answer = ask(app, "GET", "/health")
    assert (answer.status_code, "secret" in answer.text) == (500, False)


# --- start and stop ----------------------------------------------------------------------------


def live(app: ASGIApp, during: Callable[[], Any]) -> None:
    """Start the application, await `during`, and stop it, as a server does."""

    async def life() -> None:
        async with living(app):
            await during()

    asyncio.run(life())


def test_the_first_build_runs_beside_the_server(
    tree_state: State, caplog: pytest.LogCaptureFixture
) -> None:
    async def built() -> None:
        assert tree_state.refresh._building
        await tree_state.refresh._building

    with caplog.at_level(logging.INFO):
        live(make_web(tree_state), built)
    assert tree_state.index.generation == 1
    assert "the index is up to date" in caplog.text


def test_a_failed_first_build_is_logged(failing: State, caplog: pytest.LogCaptureFixture) -> None:
    async def built() -> None:
        assert failing.refresh._building
        await asyncio.wait([failing.refresh._building])

    live(make_web(failing), built)
    (record,) = [r for r in caplog.records if r.message == "the index could not be built"]
    assert vars(record)["reason"] == "The disk is full. Free some."


def test_the_last_line_tells_the_metrics(
    tree_state: State, caplog: pytest.LogCaptureFixture
) -> None:
    async def nothing() -> None:
        pass

    with caplog.at_level(logging.INFO, "orchestr8.serve"):
        live(make_web(tree_state), nothing)
    (record,) = [r for r in caplog.records if r.message == "final metrics"]
    assert vars(record)["metrics"]["queries"]["total"] == 0
