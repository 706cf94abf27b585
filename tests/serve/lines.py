"""How do the tests speak to a server byte by byte? One that runs in a thread of this process."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from orchestr8_index.app import make_state
from orchestr8_index.config import Door
from orchestr8_index.daemon.claim import listen
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.protocol import Lines
from orchestr8_index.serve.server import HttpServer, configured
from orchestr8_index.serve.state import State

from ..processes import wait_for
from .asking import limits_of


class Quiet(HttpServer):
    """A server without signals: those are the test runner's."""

    def capture_signals(self) -> Any:
        return _nothing()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


class Line:
    """One connection."""

    def __init__(self, port: int, own: str = "127.0.0.1") -> None:
        """`own` is the address that it comes from."""
        at = ("127.0.0.1", port)
        self._socket = socket.create_connection(at, timeout=20, source_address=(own, 0))
        self._left = b""

    def send(self, data: bytes) -> Line:
        self._socket.sendall(data)
        return self

    def read(self) -> bytes:
        """Everything until the server ends the connection."""
        parts, self._left = [self._left], b""
        try:
            while part := self._socket.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            pass
        finally:
            self.close()
        return b"".join(parts)

    def read_one(self) -> bytes:
        """The next answer, whole where its head says how long it is."""
        answer, part, end = self._left, b"-", 0
        while part and not (end := _end_of(answer)):
            part = self._socket.recv(65536)
            answer += part
        self._left = answer[end:] if end else b""
        return answer[:end] if end else answer

    def close(self) -> None:
        self._socket.close()


def _end_of(answer: bytes) -> int:
    """Where it ends; 0 if it is not whole."""
    head, ended, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head, re.I)
    if not ended or (length and len(body) < int(length[1])):
        return 0
    return len(head) + len(ended) + int(length[1]) if length else len(answer)


@contextmanager
def served(state: State, door: Door | None = None) -> Iterator[int]:
    """The port of a server of this state."""
    listening = listen(0)
    lines = Lines(state.settings.limits, state.metrics.failed)
    server = Quiet(configured(make_web(state), lines, door or Door()), lines)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        wait_for(lambda: server.started)
        yield listening.getsockname()[1]
    finally:
        server.end()
        thread.join()
        listening.close()


def with_limits(state: State, **given: int) -> State:
    """The same state under other limits."""
    settings = msgspec.structs.replace(state.settings, limits=limits_of(**given), watch=False)
    return make_state(settings, state.refresh)
