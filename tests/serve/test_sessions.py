"""Can a key use the session that another one began?"""

from __future__ import annotations

import httpx2
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestr8_index.errors import ForeignSession
from orchestr8_index.serve.body import send_json
from orchestr8_index.serve.gate import MOST_SESSIONS, Sessions
from orchestr8_index.serve.guard import Guard
from orchestr8_index.serve.keys import KeyFile
from orchestr8_index.serve.state import State

from .asking import ask


async def begins(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that gives every caller the same session."""
    await send_json(send, 200, {}, (b"mcp-session-id", b"s-1"))


def asked(app: ASGIApp, key: str, session: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return ask(app, "POST", "/mcp", headers={**headers, "mcp-session-id": session})


def test_a_session_is_its_keys_alone(locked: State) -> None:
    keys = KeyFile(locked.settings.data_dir)
    admin, reader = keys.add("boss", "admin"), keys.add("guest", "read")
    app = Guard(begins, locked.gate)
    sent = {"Authorization": f"Bearer {admin}"}
    assert ask(app, "POST", "/mcp", headers=sent).headers["mcp-session-id"] == "s-1"
    assert asked(app, admin, "s-1").status_code == 200
    told = asked(app, reader, "s-1")
    assert (told.status_code, told.json()["error"]["code"]) == (404, -32031)
    assert asked(app, admin, "s-2").status_code == 404


def test_without_keys_every_session_is_open() -> None:
    Sessions(strict=False).check(b"unknown", "127.0.0.1")
    Sessions(strict=True).check(None, "guest")


def test_the_sessions_remembered_are_bounded() -> None:
    sessions = Sessions(strict=True)
    for number in range(MOST_SESSIONS + 1):
        sessions.begin(b"%d" % number, "ci")
    sessions.check(b"1", "ci")
    with pytest.raises(ForeignSession):
        sessions.check(b"0", "ci")


def test_a_name_that_comes_again_has_no_session_of_before() -> None:
    for strict in (True, False):
        sessions = Sessions(strict)
        sessions.begin(b"s-1", "ci")
        sessions.close("ci")
        with pytest.raises(ForeignSession):
            sessions.check(b"s-1", "ci")


def test_a_key_ends_its_own_streams() -> None:
    sessions = Sessions(strict=True)
    sessions.close("nobody")
    with sessions.stream("ci") as one:
        with sessions.stream("ci") as other, sessions.stream("guest") as theirs:
            sessions.close("ci")
            assert (one.is_set(), other.is_set(), theirs.is_set()) == (True, True, False)
    assert not sessions._streams
