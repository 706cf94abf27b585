"""An HTTP client with keep-alive connections, timeouts and a limit on the response's size."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Generator, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from ..environment import PROGRAM
from .locate import Address, trusting

CONNECT_SECONDS, PROBE_SECONDS, ANSWER_SECONDS = 0.25, 0.5, 60.0
MOST_BYTES = 16_000_000
CHUNK = 1 << 16
Health = dict[str, Any]


class HttpResponse(NamedTuple):
    """A response: its status and its whole body."""

    status: int
    body: bytes


class NoAnswer(OSError):
    """The request got no usable response. `again`: a retry on a new connection may succeed."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.again = reason, again


class HttpClient:
    """Sends requests to one address, never through a proxy; threads may share it."""

    def __init__(
        self,
        address: Address,
        seconds: float = ANSWER_SECONDS,
        connect: float = CONNECT_SECONDS,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.address, self._seconds, self._connect = address, seconds, connect
        self._free: list[http.client.HTTPConnection] = []
        self._is_over = False
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        self._headers["User-Agent"] = PROGRAM  # some proxies refuse Python's default
        self._headers.update(address.headers)
        self._headers.update(headers)
        if address.key:
            self._headers["Authorization"] = f"Bearer {address.key}"

    def send(
        self, verb: str, path: str, body: bytes | None = None, waits: float = 0.0
    ) -> HttpResponse:
        """Send one request, once more on a new connection if an idle one broke. Raises NoAnswer.

        `waits` is added to the timeout: the seconds for which the server may hold a response back.
        """
        request = verb, path, body, self._seconds + waits
        try:
            idle = self._free.pop()
        except IndexError:
            return self._exchange(None, *request)
        try:
            return self._exchange(idle, *request)
        except NoAnswer as error:
            if not error.again:
                raise
        self.close()
        return self._exchange(None, *request)

    def stream(self, path: str, seconds: float) -> HttpStream | HttpResponse:
        """Open an event stream that fails when no data comes for `seconds`; a status other than
        200 gives a whole HttpResponse. Raises NoAnswer."""
        connection = None
        try:
            connection = self._connected()
            connection.sock.settimeout(seconds)
            headers = {**self._headers, "Accept": "text/event-stream"}
            connection.request("GET", self.address.path + path, headers=headers)
            sock, response = connection.sock, connection.getresponse()
            if response.status == 200:
                return HttpStream(sock, response)
            refused = HttpResponse(response.status, _read(response, time.monotonic() + seconds))
            connection.close()
            return refused
        except (http.client.HTTPException, OSError, ValueError) as error:
            if connection:
                connection.close()
            raise _no_answer(error) from None

    def end(self) -> None:
        """Close idle connections now and busy ones after their response: this client is done."""
        self._is_over = True
        self.close()

    def close(self) -> None:
        """Close idle connections; the client stays usable."""
        while self._free:
            try:
                self._free.pop().close()
            except IndexError:  # another thread took it
                return

    def _exchange(
        self,
        connection: http.client.HTTPConnection | None,
        verb: str,
        path: str,
        body: bytes | None,
        seconds: float,
    ) -> HttpResponse:
        end = time.monotonic() + self._connect + seconds
        try:
            connection = connection or self._connected()
            connection.sock.settimeout(seconds)
            connection.request(verb, self.address.path + path, body, self._headers)
            response = connection.getresponse()
            answer = HttpResponse(response.status, _read(response, end))
        except (http.client.HTTPException, OSError, ValueError) as error:
            if connection:
                connection.close()
            raise _no_answer(error) from None
        if connection.sock:
            self._free.append(connection)
        if self._is_over:
            self.close()
        return answer

    def _connected(self) -> http.client.HTTPConnection:
        address = self.address
        where = address.host, address.port
        connection = http.client.HTTPConnection(*where, timeout=self._connect)
        if address.tls_cert:
            context = trusting(address.tls_cert)
            connection = http.client.HTTPSConnection(*where, timeout=self._connect, context=context)
        elif address.https:
            connection = http.client.HTTPSConnection(*where, timeout=self._connect)
        connection.connect()
        return connection


class HttpStream:
    """The lines of a response body as they arrive; iterating raises NoAnswer when it breaks."""

    def __init__(self, sock: socket.socket, response: http.client.HTTPResponse) -> None:
        self._sock, self._response, self._lines = sock, response, self._read()

    def __iter__(self) -> Iterator[bytes]:
        return self._lines

    def _read(self) -> Generator[bytes, None, None]:
        try:
            while line := self._response.readline():
                yield line.rstrip(b"\r\n")
        except (http.client.HTTPException, OSError, ValueError) as error:
            raise _no_answer(error) from None
        finally:
            self._release()

    def close(self) -> None:
        """End the stream. A thread that reads it gets NoAnswer and closes the socket itself."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(ValueError):  # the generator runs in another thread
            self._lines.close()
            self._release()

    def _release(self) -> None:
        self._response.close()
        self._sock.close()


def _read(response: http.client.HTTPResponse, end: float) -> bytes:
    """The whole body. Raises ValueError for one that is too long or comes after `end`, and
    IncompleteRead for one shorter than announced."""
    whole = None if response.chunked else response.length
    read = response.read1 if whole is None else response.fp.read1
    parts, left = list[bytes](), MOST_BYTES if whole is None else whole
    while left and (part := read(min(CHUNK, left))):
        parts.append(part)
        left -= len(part)
        if time.monotonic() > end or sum(map(len, parts)) >= MOST_BYTES:
            raise ValueError("the answer has no end")
    response.close()
    if whole is not None and left:
        raise http.client.IncompleteRead(b"", left)
    return b"".join(parts)


def _no_answer(error: Exception) -> NoAnswer:
    if isinstance(error, TimeoutError):
        return NoAnswer("it is too slow")
    if isinstance(error, (ConnectionResetError, BrokenPipeError, http.client.IncompleteRead)):
        return NoAnswer("it broke the connection", again=True)
    reason = f"it does not answer ({str(error) or type(error).__name__})"
    return NoAnswer(reason, again=isinstance(error, OSError))


def request(
    where: int | Address, verb: str, path: str, body: object = None, seconds: float = ANSWER_SECONDS
) -> tuple[int, Any]:
    """Send one request on a new connection, to an address or a port of loopback.
    Gives (status, decoded JSON or None); raises NoAnswer."""
    client = HttpClient(Address(where) if isinstance(where, int) else where, seconds, seconds)
    try:
        response = client.send(verb, path, None if body is None else msgspec.json.encode(body))
    finally:
        client.close()
    try:
        return response.status, msgspec.json.decode(response.body)
    except (msgspec.DecodeError, RecursionError):
        return response.status, None


def get_health(where: int | Address) -> Health | None:
    """What `/health` says; None when nothing answers, or when it is not one of our servers."""
    try:
        status, body = request(where, "GET", "/health", seconds=PROBE_SECONDS)
    except NoAnswer:
        return None
    ours = isinstance(body, dict) and "generation" in body and "status" in body
    return body if ours and status in (200, 503) else None
