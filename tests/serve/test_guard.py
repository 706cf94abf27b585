"""Who may ask? Foreign hosts and origins are refused everywhere; every answer has an id."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import Door, fixture_root
from orchestr8_index.errors import Overloaded
from orchestr8_index.serve import http as web
from orchestr8_index.serve.body import ClientGone
from orchestr8_index.serve.guard import Guard
from orchestr8_index.serve.host_names import host_name, names_of
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.protocol import Lines
from orchestr8_index.serve.server import configured
from orchestr8_index.serve.state import State

from .asking import ask, client, serve_one, settings_of, state_of

ROUTES = [("POST", "/"), ("GET", "/health"), ("GET", "/metrics"), ("POST", "/reindex")]
ROUTES += [("GET", "/nowhere"), ("DELETE", "/"), ("GET", "/mcp"), ("HEAD", "/health/live")]
HEALTH = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
LOCAL = ["localhost", "localhost:3700", "LOCALHOST:1", "127.0.0.1:80", "[::1]:3700", "[::1]"]
FOREIGN = ["example.com", "localhost.example.com", "127.0.0.1.nip.io:3700", "", "[", "0.0.0.0"]


def answers(app: ASGIApp, **headers: str) -> set[int]:
    """How every route answers to these headers."""
    return {ask(app, *route, headers=headers).status_code for route in ROUTES}


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_host_is_misdirected(app: ASGIApp, host: str) -> None:
    assert answers(app, Host=host) == {421}


@pytest.mark.parametrize("host", LOCAL)
def test_local_hosts_are_served(app: ASGIApp, host: str) -> None:
    assert ask(app, "GET", "/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://example.com", "null", "", "file://", "http://["])
def test_a_foreign_origin_is_forbidden(app: ASGIApp, origin: str) -> None:
    assert answers(app, Origin=origin) == {403}


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:8080", "http://127.0.0.1", "http://localhost", "https://localhost:3700"]
    + ["http://[::1]:3700", "http://localhost:03700x", "http://a@localhost:3700"],
)
def test_another_port_or_scheme_of_this_machine_is_another_origin(
    app: ASGIApp, origin: str
) -> None:
    assert answers(app, Origin=origin) == {403}


@pytest.mark.parametrize("origin", ["http://localhost:3700", "http://127.0.0.1:3700"])
@pytest.mark.parametrize("site", ["same-origin", None])
def test_our_own_page_may_ask(app: ASGIApp, origin: str, site: str | None) -> None:
    headers = {"Origin": origin, **({"Sec-Fetch-Site": site} if site else {})}
    assert ask(app, "POST", "/", json=HEALTH, headers=headers).status_code == 200


def test_a_setting_lets_another_origin_in(tmp_path: Path, shipped_index: Index) -> None:
    door = Door(allow_origins=("https://tools.example",))
    app = make_web(state_of(settings_of(tmp_path, fixture_root(), door=door), shipped_index))
    for origin, status in (("https://tools.example", 200), ("http://tools.example", 403)):
        sent = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
        assert ask(app, "POST", "/", json=HEALTH, headers=sent).status_code == status


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "Same-Origin, none"])
def test_what_another_page_embeds_is_not_answered(app: ASGIApp, site: str) -> None:
    """An image, a script or a frame sends no Origin."""
    sent = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert answers(app, **sent) == {403}


VISIT = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    ("method", "path", "more", "is_let_in"),
    [
        ("GET", "/", {}, True),
        ("GET", "/?from=elsewhere", {}, True),
        ("GET", "/", {"Sec-Fetch-Dest": "iframe"}, False),
        ("GET", "/", {"Origin": "http://evil.example"}, False),
        ("POST", "/", {}, False),
        ("GET", "/health", {}, False),
        ("GET", "/mcp", {}, False),
        ("GET", "/p/other/", {}, False),
    ],
)
def test_a_link_may_lead_to_the_page_alone(
    app: ASGIApp, method: str, path: str, more: dict[str, str], is_let_in: bool
) -> None:
    assert (ask(app, method, path, headers={**VISIT, **more}).status_code != 403) is is_let_in


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/plain; application/json", None, "application/jsonp"]
)
@pytest.mark.parametrize("header", ["Origin", "Sec-Fetch-Site"])
def test_a_page_says_that_it_sends_json(app: ASGIApp, header: str, kind: str | None) -> None:
    own = {"Origin": "http://127.0.0.1:3700", "Sec-Fetch-Site": "same-origin"}
    headers = {header: own[header], **({"Content-Type": kind} if kind else {})}
    for path in ("/", "/hooks/claude", "/mcp", "/reindex"):
        answer = ask(app, "POST", path, content=json.dumps(HEALTH), headers=headers)
        assert answer.status_code == 415


def test_a_program_need_not_say_that_it_sends_json(app: ASGIApp) -> None:
    sent = {"Content-Type": "application/x-www-form-urlencoded"}  # as curl does by itself
    assert ask(app, "POST", "/", content=json.dumps(HEALTH), headers=sent).status_code == 200


def test_without_a_host_it_is_misdirected(app: ASGIApp) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope: Scope = {"type": "http", "method": "GET", "path": "/health", "headers": []}
    asyncio.run(serve_one(app, scope, receive, send))
    assert sent[0]["status"] == 421


@pytest.mark.parametrize("ident", ["abc-1", "a.b:c_d", "x" * 64])
def test_a_correlation_id_is_echoed(app: ASGIApp, ident: str) -> None:
    for route in ROUTES:
        answer = ask(app, *route, headers={"X-Correlation-ID": ident})
        assert answer.headers["x-correlation-id"] == ident


@pytest.mark.parametrize("ident", ["", "x" * 65, "a b", "a\tb", 'a"b', "<b>", "a;b", "é"])
def test_an_unsafe_correlation_id_is_replaced(app: ASGIApp, ident: str) -> None:
    sent = {"X-Correlation-ID": ident.encode()}
    answer = ask(app, "GET", "/health", headers=sent)
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-correlation-id"])


def test_made_ids_differ(app: ASGIApp) -> None:
    made = {ask(app, "GET", "/health").headers["x-correlation-id"] for _ in range(5)}
    assert len(made) == 5


def test_a_refusal_has_an_id_too(app: ASGIApp) -> None:
    answer = ask(app, "GET", "/health", headers={"Host": "example.com", "X-Correlation-ID": "a"})
    assert (answer.status_code, answer.headers["x-correlation-id"]) == (421, "a")
    assert "localhost" in answer.json()["error"]["data"]["cure"]


def test_one_log_line_tells_of_a_request(app: ASGIApp, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "orchestr8.http"):
        ask(app, "POST", "/", json=HEALTH)
    (record,) = caplog.records
    told = vars(record)
    assert (told["method"], told["path"], told["status"]) == ("POST", "/", 200)
    assert told["rpc"] == "getHealth"


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics"])
def test_looks_of_a_machine_are_no_news(
    app: ASGIApp, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """`top` looks twice a second; who is refused there is news."""
    with caplog.at_level(logging.DEBUG, "orchestr8.http"):
        ask(app, "GET", path)
        ask(app, "GET", path, headers={"Host": "example.com"})
    assert [record.levelname for record in caplog.records] == ["DEBUG", "INFO"]


def test_above_info_level_no_line_is_made(app: ASGIApp, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "orchestr8.http"):
        ask(app, "GET", "/health/ready")
    assert caplog.records == []


def test_a_long_path_is_cut_in_the_log(app: ASGIApp, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "orchestr8.http"):
        ask(app, "GET", "/" + "x" * 5000)
    assert len(vars(caplog.records[0])["path"]) == 100


def test_what_is_not_http_passes(state: State) -> None:
    seen: list[str] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        return {}

    asyncio.run(serve_one(Guard(inner, state.gate), {"type": "lifespan"}, nothing, nothing))
    assert seen == ["lifespan"]


def test_requests_do_not_share_ids(app: ASGIApp) -> None:
    async def many() -> list[str]:
        async with client(app) as asking:
            names = [f"id-{number}" for number in range(20)]
            sent = [asking.get("/health", headers={"X-Correlation-ID": name}) for name in names]
            answers = await asyncio.gather(*sent)
        return [answer.headers["x-correlation-id"] for answer in answers]

    assert asyncio.run(many()) == [f"id-{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("LocalHost:1", "localhost"),
        ("[::1]:1", "[::1]"),
        ("[", ""),
        ("evil@localhost", ""),
        ("localhost:80:80", ""),
        ("localhost:", ""),
        ("localhost:x", ""),
        (" localhost", ""),
        ("localhost/", ""),
        ("localhost\n", ""),
        ("\u0661.0.0.1", ""),
        ("", ""),
    ],
)
def test_a_host_is_read_strictly(address: str, name: str) -> None:
    assert host_name(address) == name


def test_two_hosts_are_refused(app: ASGIApp) -> None:
    sent = [("Host", "localhost"), ("Host", "localhost")]
    assert ask(app, "GET", "/health", headers=sent).status_code == 400


def test_a_peer_cannot_name_itself(state: State) -> None:
    """uvicorn believes a proxy on loopback unless told not to."""
    lines = Lines(state.settings.limits)
    assert not configured(make_web(state), lines, state.settings.door).proxy_headers


@pytest.mark.parametrize("path", ["/", "/health", "/metrics"])
def test_a_defect_of_a_route_is_an_error_of_the_family(
    state: State, monkeypatch: pytest.MonkeyPatch, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Starlette's own answer was plain text without an id."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("/secret/path")

    for name in ("health", "metrics", "reply_to"):
        monkeypatch.setattr(web, name, broken)
    headers = {"X-Correlation-ID": "mine"}
    answer = ask(make_web(state), "POST" if path == "/" else "GET", path, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, -32603)
    assert answer.headers["x-correlation-id"] == "mine" and "secret" not in answer.text
    assert "/secret/path" in str(caplog.records[0].exc_info)
    assert state.metrics.errors[-32603] == 1


NO_ROOM, DEFECT = Overloaded("There is no room."), RuntimeError("/secret/path")


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (ExceptionGroup("tasks", [NO_ROOM]), 503),
        (ExceptionGroup("tasks", [ClientGone(), ExceptionGroup("more", [NO_ROOM])]), 503),
        (ExceptionGroup("tasks", [NO_ROOM, DEFECT]), 500),
    ],
)
def test_what_tasks_raise_together_is_the_error_that_one_of_them_met(
    state: State, raised: Exception, status: int
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise raised

    answer = ask(Guard(broken, state.gate), "GET", "/x")
    assert answer.status_code == status and "secret" not in answer.text


def test_further_names_are_answered_to(state: State) -> None:
    door = Door(host="192.0.2.7", allow_hosts=("tools.example",))
    names = names_of(door)
    for host in ("192.0.2.7", "192.0.2.7:3700", "Tools.Example:1", "localhost"):
        assert host_name(host) in names
    assert host_name("192.0.2.8") not in names
    assert "0.0.0.0" not in names_of(Door(host="0.0.0.0"))
