"""Does a stream end with the key that opened it, and with no other?"""

from __future__ import annotations

import http.client
import select
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import msgspec
import pytest

from orchestr8_index.serve.keys import KeyFile
from orchestr8_index.serve.state import State

from ..lines import served
from .test_endpoint import JSON, META, MODERN
from .test_rights import ABOUT, OLD, call, holder, locked

__all__ = ["locked"]
PAGES = {"notifications": {"resourcesListChanged": True}, "_meta": META}
LISTEN = call("subscriptions/listen", PAGES)
Sent = dict[str, str]


def asked(
    connection: http.client.HTTPConnection, method: str, headers: Sent, body: Any = None
) -> http.client.HTTPResponse:
    data = None if body is None else msgspec.json.encode(body)
    connection.request(method, "/mcp", data, headers)
    return connection.getresponse()


def modern(connection: http.client.HTTPConnection, key: Sent) -> http.client.HTTPResponse:
    headers = {**MODERN, **key, "Mcp-Method": "subscriptions/listen"}
    return asked(connection, "POST", headers, LISTEN)


def handshake(connection: http.client.HTTPConnection, key: Sent) -> http.client.HTTPResponse:
    return asked(connection, "GET", {**JSON, **key, **session_of(connection, key)})


def session_of(connection: http.client.HTTPConnection, key: Sent) -> Sent:
    begin = call("initialize", {"protocolVersion": OLD, **ABOUT})
    with asked(connection, "POST", {**JSON, **key}, begin) as opened:
        opened.read()
        name = opened.headers["mcp-session-id"]
    return {"Mcp-Session-Id": name, "MCP-Protocol-Version": OLD}


@contextmanager
def connected(state: State) -> Iterator[list[http.client.HTTPConnection]]:
    with served(state) as port, ExitStack() as stack:
        made = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for _ in range(2)]
        yield [stack.enter_context(closing(each)) for each in made]


@pytest.mark.parametrize("era", [modern, handshake])
def test_a_stream_ends_when_its_key_is_revoked(
    locked: State, era: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It went on for as long as its client liked."""
    mine, theirs = holder(locked, "read"), holder(locked, "report")
    with connected(locked) as (first, second):
        ending, staying = era(first, mine), era(second, theirs)
        assert (ending.status, staying.status) == (200, 200)
        KeyFile(locked.settings.data_dir).revoke("a-read")
        ending.read()  # ends, or fails after 20 s
        assert list(locked.gate.sessions._streams) == ["a-report"]
        assert not _ended(staying)
    assert [line for line in caplog.messages if "ASGI" in line or "failed" in line] == []


def _ended(stream: http.client.HTTPResponse) -> bool:
    """Whether the end of the body has come; what came before it is read."""
    while select.select([stream], [], [], 0)[0]:
        if not stream.read1():
            return True
    return False
