"""HTTP/1.1 and its event streams over one keep-alive connection.

Written by hand, as importing `http.client` costs 7 MB and the bridge may have 16.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..daemon.locate import trusting

HOST, PATH = "127.0.0.1", "/mcp"
CONNECT_SECONDS = 2.0
LONGEST_LINE = 1 << 16


class StreamEvent(NamedTuple):
    """One event of a stream; `id` is "" when it has none."""

    id: str
    data: bytes


class Connection:
    """A keep-alive connection; `more` are header lines of each request, `face` ends its path.
    Methods raise OSError when it breaks or the answer is not HTTP."""

    def __init__(
        self,
        port: int,
        key: str = "",
        host: str = HOST,
        tls_cert: str = "",
        more: Iterable[str] = (),
        face: str = "",
    ) -> None:
        self.port = port
        self._path = f"{PATH}/{face}" if face else PATH
        self._headers = [*([f"Authorization: Bearer {key}"] if key else []), *more]
        self._socket = socket.create_connection((host, port), CONNECT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls_cert:
            self._socket = trusting(tls_cert).wrap_socket(self._socket)
        self._reader = self._socket.makefile("rb")

    def ask(
        self, verb: str, headers: list[str], body: bytes = b"", seconds: float | None = None
    ) -> Reply:
        """Send a request and read the reply's head, not its body; `seconds` None is no timeout."""
        lines = [f"{verb} {self._path} HTTP/1.1", f"Host: {HOST}:{self.port}"]
        lines += [*self._headers, *headers]
        if verb == "POST":
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        self._socket.settimeout(seconds)
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return Reply(self, *self._head())

    def _head(self) -> tuple[int, dict[str, str]]:
        version, _, rest = self.line().partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise OSError("the answer is not HTTP")
        headers = {}
        while line := self.line():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return int(rest[:3]), headers

    def line(self) -> bytes:
        line = self._reader.readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise OSError("the connection broke off")
        return line.rstrip(b"\r\n")

    def take(self, size: int) -> bytes:
        data = self._reader.read(size)
        if len(data) < size:
            raise OSError("the connection broke off")
        return data

    def rest(self) -> Iterator[bytes]:
        while data := self._reader.read1():
            yield data

    def usable(self) -> bool:
        """Whether the server has kept it open and sent nothing unasked."""
        self._socket.setblocking(False)
        try:
            socket.socket.recv(self._socket, 1, socket.MSG_PEEK)  # below TLS, which has no peeking
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def abort(self) -> None:
        """Break it, so that a thread which reads from it gets an OSError."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        self._reader.close()
        self._socket.close()


class Reply:
    """A reply; `over` when its body is read to the end, so that the connection can be reused."""

    def __init__(self, connection: Connection, status: int, headers: dict[str, str]) -> None:
        self.connection, self.status, self.headers = connection, status, headers
        self.over = status in (204, 304) or headers.get("content-length") == "0"

    @property
    def streams(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def reusable(self) -> bool:
        return self.over and self.headers.get("connection", "").lower() != "close"

    def read(self) -> bytes:
        return b"".join(self._chunks())

    def events(self) -> Iterator[StreamEvent]:
        id, data = "", list[bytes]()
        for line in self._lines():
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                data.append(value)
            elif field == b"id":
                id = value.decode("latin-1")
            elif not line and (data or id):
                yield StreamEvent(id, b"\n".join(data))
                id, data = "", []

    def _lines(self) -> Iterator[bytes]:
        partial = b""
        for chunk in self._chunks():
            *lines, partial = (partial + chunk).split(b"\n")
            for line in lines:
                yield line.removesuffix(b"\r")

    def _chunks(self) -> Iterator[bytes]:
        if self.over:
            return
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._chunked()
        elif "content-length" in self.headers:
            yield self.connection.take(_number(self.headers["content-length"], 10))
        else:
            self.headers["connection"] = "close"
            yield from self.connection.rest()
        self.over = True

    def _chunked(self) -> Iterator[bytes]:
        while size := _number(self.connection.line().split(b";")[0].decode("latin-1"), 16):
            yield self.connection.take(size)
            self.connection.line()
        while self.connection.line():
            pass


def _number(text: str, base: int) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise OSError("the answer is not HTTP") from None
