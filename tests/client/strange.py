"""What else may listen on the server's port? A socket that answers what it is told to."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

Answer = bytes | None
"""The whole response; b"" closes the connection at once, None never answers."""


def http(body: bytes | object, status: str = "200 OK", more: str = "") -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(raw)}\r\n{more}\r\n".encode() + raw


def error(code: int, message: str = "No.", status: str = "500 Error") -> bytes:
    told = {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}}
    return http(told, status)


def result(value: object) -> bytes:
    return http({"jsonrpc": "2.0", "id": 1, "result": value})


class Strange:
    """`answer` gives the response to a request's body; `seen` are the bodies."""

    def __init__(self) -> None:
        self.answer: Callable[[Any], Answer] = lambda body: http(b"hello")
        self.seen: list[Any] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = [self._listening]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Strange:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType) -> None:
        for each in self._open:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(connection)
            thread = threading.Thread(target=self._talk, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reading:
            try:
                while (body := _read(reading)) is not None:
                    self.seen.append(body)
                    answer = self.answer(body)
                    if answer == b"":
                        return
                    connection.sendall(answer or b"")
            except OSError:
                return


def _read(reading: Any) -> Any:
    length = 0
    while (line := reading.readline()) not in (b"", b"\r\n"):
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    return json.loads(reading.read(length)) if line else None
