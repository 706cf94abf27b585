"""Do all connections come in, however many wait, and whatever goes wrong with one?"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import Limits, fixture_root
from orchestr8_index.daemon.claim import listen
from orchestr8_index.serve import server
from orchestr8_index.serve.server import Acceptor

from .asking import settings_of, state_of
from .lines import Line, served
from .test_protocol import HEALTH, statuses


class Greeting(asyncio.Protocol):
    """Says one word to whoever comes."""

    def connection_made(self, transport: Any) -> None:
        transport.write(b"hello")
        transport.close()


class Failing:
    """A listening socket whose first accept fails."""

    def __init__(self, real: socket.socket, code: int) -> None:
        self._real, self._errors = real, [OSError(code, "no")]

    def accept(self) -> Any:
        if self._errors:
            raise self._errors.pop()
        return self._real.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


async def greeted(listening: Any, real: socket.socket, guests: int) -> list[bytes]:
    acceptor = Acceptor(listening, Greeting)
    streams = [await asyncio.open_connection(*real.getsockname()) for _ in range(guests)]
    said = [await asyncio.wait_for(reading.read(), 20) for reading, _ in streams]
    for _, writing in streams:
        writing.close()
    acceptor.close()
    acceptor.close()
    await acceptor.wait_closed()
    return said


def test_all_that_wait_come_in() -> None:
    with listen(0) as listening:
        assert asyncio.run(greeted(listening, listening, 300)) == [b"hello"] * 300


def test_without_descriptors_it_rests_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REST_SECONDS", 0.0)
    with listen(0) as listening:
        failing = Failing(listening, errno.EMFILE)
        assert asyncio.run(greeted(failing, listening, 3)) == [b"hello"] * 3


def test_a_silent_connection_makes_way_before_its_tls_began() -> None:
    async def silent() -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with listen(0) as listening:
            acceptor = Acceptor(listening, Greeting, context, Limits(max_connections=8))
            streams = [await asyncio.open_connection(*listening.getsockname()) for _ in range(6)]
            first = await asyncio.wait_for(streams[0][0].read(), 20)
            for _, writing in streams:
                writing.close()
            acceptor.close()
            await acceptor.wait_closed()
            return first

    assert asyncio.run(silent()) == b""


@pytest.mark.skipif(sys.platform != "linux", reason="loopback has one address elsewhere")
def test_a_peer_beyond_loopback_has_half_of_the_handshakes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "peer_of", lambda own: "192.0.2.2" if own == "127.0.0.2" else "")

    async def silent() -> list[bool]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with listen(0) as listening:
            acceptor = Acceptor(listening, Greeting, context, Limits(max_connections=8))
            at = listening.getsockname()
            owns = ["127.0.0.1"] + ["127.0.0.2"] * 20
            streams = [await asyncio.open_connection(*at, local_addr=(own, 0)) for own in owns]
            await asyncio.wait_for(streams[-3][0].read(), 20)
            ended = [reading.at_eof() for reading, _ in streams]
            for _, writing in streams:
                writing.close()
            acceptor.close()
            await acceptor.wait_closed()
            return ended

    ended = asyncio.run(silent())
    assert not ended[0] and ended.count(False) == 3


def test_a_server_answers_all_that_come_at_once(tmp_path: Path, shipped_index: Index) -> None:
    state = state_of(settings_of(tmp_path, fixture_root()), shipped_index)
    with served(state) as port:
        lines = [Line(port).send(HEALTH) for _ in range(150)]
        assert [statuses(line.read_one()) for line in lines] == [[200]] * 150
        for line in lines:
            line.close()
