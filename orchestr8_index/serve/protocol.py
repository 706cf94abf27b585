"""uvicorn's HTTP protocol with deadlines and limits for every connection.

A connection has a deadline while its client owes something: the head of a request, the rest of a
body, or reading a response. Once a second the server closes those that are overdue, and those idle
after an answer by `Quick`; uvicorn closes other idle ones. The private parts of uvicorn in use are
checked by tests/serve/test_uvicorn.py; pyproject.toml limits its version.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ..config import Limits
from ..errors import HeadTooLarge, InvalidRequest, Overloaded, RequestError, TooSlow
from .body import error_body
from .callers import CORRELATION, correlation_id, new_ident
from .quick import Quick
from .shares import FREE_BYTES, account, peer_of

NEVER = float("inf")
STREAM_SECONDS = 1.0
SPARE = 64  # file descriptors for everything but connections
LEAST = 8  # connections, however few descriptors there are
MOST_PIPELINED = 64  # requests that wait for the one before; further ones are not answered
MOST_PIPED = 65_536  # bytes of waiting requests
MOST_JOINED = 65_536  # bytes; copying a longer body costs more than a second system call
ANNOUNCED = b"\r\ncontent-length: "
log = logging.getLogger("orchestr8.http")


@dataclass(slots=True)
class Lines:
    """The connections of one server. `waiting` are those without a request, the oldest first.

    `streams` counts event streams and long polls, which are tasks but no running requests.
    `refused` counts the requests since the last sweep that were refused as too many were running.
    """

    limits: Limits
    failed: Callable[[int], None] = lambda code: None
    most: int = 0
    streams: int = 0
    refused: int = 0
    waiting: dict[Wire, None] = field(default_factory=dict)
    of_peers: Counter[str] = field(default_factory=Counter)
    quick: Quick | None = None
    begin: tuple[Any, bytes] = (None, b"")  # uvicorn's default headers, and a response's begin

    def __post_init__(self) -> None:
        wanted = self.limits.max_connections
        self.most = min(wanted, _descriptors(wanted + SPARE) - SPARE)

    def sweep(self, connections: Iterable[Any], now: float) -> None:
        for connection in list(connections):
            connection.check_deadlines(now)
        if self.refused:
            log.warning("too many requests are running", extra={"refused": self.refused})
            self.refused = 0

    def count_waiting(self, more: int) -> None:
        """Note that a call begins (1) or ends (-1) to wait for others, as a long poll."""
        self.streams += more
        account.get().rest(ends=more < 0)

    def running(self, tasks: int) -> int:
        return tasks - self.streams

    def admit(self, wire: Wire, connections: int) -> bool:
        """Count a new connection; False if there is no room, even by closing a waiting one. A peer
        beyond loopback that has half of all must close one of its own."""
        self.of_peers[wire.peer] += 1
        if wire.peer and self.of_peers[wire.peer] > math.ceil(self.most / 2):
            return self._make_room(wire.peer)
        return connections <= self.most or self._make_room()

    def _make_room(self, peer: str = "") -> bool:
        """Close the connection (of this peer, if any) that has waited longest; False for none."""
        candidates = (each for each in self.waiting if peer in ("", each.peer))
        if oldest := next(candidates, None):
            oldest.end()
        return oldest is not None

    def leave(self, peer: str) -> None:
        self.of_peers[peer] -= 1
        if self.of_peers[peer] <= 0:
            del self.of_peers[peer]


class Wire(HttpToolsProtocol):
    """One connection: uvicorn's HTTP protocol with deadlines and limits."""

    def __init__(self, *arguments: Any, lines: Lines, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._lines = lines
        self._due = self._read_due = self._idle_due = NEVER
        self.peer = ""
        self._piped = 0
        self._asked = 0  # requests in the last read
        self._head = 0  # bytes of an incomplete head, in reads before the last
        self._in_head = self._begun = self._ending = self._ignored = self._is_counted = False
        self._held: bytes | None = None  # the body so far of a call that `Quick` may answer
        self._at_once, self._is_tried = 0, False  # bytes of such a body in this read; was it tried
        self._known, self._length = b"", 0  # head and length of a read that was one such call

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._due = self.loop.time() + self._lines.limits.head_seconds
        self.peer = peer_of(self.client[0] if self.client else "local")
        self._is_counted = True
        if not self._lines.admit(self, len(self.connections)):
            self._send_error(Overloaded("Too many connections."))
            return
        self._lines.waiting[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        is_again = len(data) == self._length and data.startswith(self._known)
        self._is_tried = is_again and not self.flow.write_paused
        if self._is_tried:
            self.scope["state"]["running"] = self._lines.running(len(self.tasks))
            if self._answer_at_once(data[len(self._known) :]):
                return
        if is_next := self._due == NEVER:
            self._due = self.loop.time() + self._lines.limits.head_seconds
        self._begun, self._idle_due = False, NEVER
        self._asked = self._at_once = self._length = 0
        super().data_received(data)
        is_one = data.find(b"\r\n\r\n") + 4 + self._at_once == len(data)
        if self._at_once and is_next and is_one and not self.parser.should_upgrade():
            self._known, self._length = data[: -self._at_once], len(data)
        if self._held is not None:
            self._begin_ordinary()
        if self._in_head and not self._begun:
            self._head += len(data)
            if self._head > self._lines.limits.max_head and not self.transport.is_closing():
                self._send_error(HeadTooLarge("The headers are too many or too long."))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._begun, self._head, self._idle_due = True, True, 0, NEVER
        self._due = self.loop.time() + self._lines.limits.head_seconds

    def on_header(self, name: bytes, value: bytes) -> None:
        """Drop trailers, which come after a chunked body."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._lines.waiting.pop(self, None)  # only now, as half a head is no request
        limits, now = self._lines.limits, self.loop.time()
        self._in_head, self._due = False, now + limits.body_seconds
        size = len(self.url) + sum(map(len, chain.from_iterable(self.headers)))
        state: dict[str, Any] = self.scope["state"]
        state["lines"], state["pipelined"] = self._lines, self._asked > 0
        self._asked += 1
        state["head_too_large"] = size > limits.max_head or len(self.headers) > limits.max_headers
        state["running"] = 0 if self._answering else self._lines.running(len(self.tasks))
        self._piped = self._piped + size if self._answering else 0
        self._ending |= len(self.pipeline) >= MOST_PIPELINED or self._piped > MOST_PIPED
        self._ignored = self._ending
        if self._may_be_quick():
            self._held = b""
        elif not self._ignored:
            self._begin_cycle()

    def _begin_cycle(self) -> None:
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before and self.scope["method"] == "POST":
            self.cycle.transport = Together(self.transport)  # type: ignore[assignment]

    def _may_be_quick(self) -> bool:
        """Whether it is a call that `Quick` may answer when its body is complete."""
        is_call = self.url == b"/" and self.parser.get_method() == b"POST"
        is_plain = self.parser.should_keep_alive() and not self.expect_100_continue
        is_free = not (self._ending or self._answering or self.flow.write_paused)
        return is_call and is_plain and is_free and self._lines.quick is not None

    def _begin_ordinary(self) -> None:
        """Start the ordinary handling of a request whose body was held."""
        body, self._held = self._held, None
        self._begin_cycle()
        if body:
            super().on_body(body)

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def on_body(self, body: bytes) -> None:
        if self._ignored:
            return
        if self._held is not None:
            self._held += body
            if len(self._held) > FREE_BYTES:
                self._begin_ordinary()
            return
        if self.pipeline and self.cycle is self.pipeline[0][0]:
            self._piped += len(body)
            if self._piped > MOST_PIPED:
                self.pipeline.popleft()
                self._ending = self._ignored = True
                return
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._due = NEVER
        if self._held is not None and self._lines.quick is not None:
            self.scope["state"]["quick"] = self._lines.quick
            if not self._is_tried and self._answer_at_once(self._held):
                self._at_once, self._held = len(self._held), None
                return
            self._begin_ordinary()
        if not self._ignored:
            super().on_message_complete()

    def _answer_at_once(self, body: bytes) -> bool:
        """Answer by `Quick`, if it can, and leave the connection waiting for the next request."""
        lines, defaults = self._lines, self.server_state.default_headers
        answer = lines.quick(self.scope, body) if lines.quick else None
        if answer is None:
            return False
        if lines.begin[0] is not defaults:
            head = b"".join(b"%b: %b\r\n" % each for each in defaults)
            lines.begin = defaults, STATUS_LINE[200] + head
        self.transport.write(lines.begin[1] + answer)
        self.server_state.total_requests += 1
        self._idle_due = self.loop.time() + self.timeout_keep_alive
        lines.waiting.pop(self, None)
        lines.waiting[self] = None
        return True

    def on_response_complete(self) -> None:
        early = self.cycle.response_complete and self.cycle.more_body
        if early or (self._ending and not self.pipeline):
            self.transport.close()  # the rest of that body, or what comes after it, is not read
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self.pipeline or self._ending:
            self.flow.pause_reading()
        elif self.cycle.response_complete:
            self._lines.waiting[self] = None

    def pause_writing(self) -> None:
        self._read_due = self.loop.time() + self._lines.limits.send_seconds
        super().pause_writing()

    def resume_writing(self) -> None:
        self._read_due = NEVER
        super().resume_writing()

    def check_deadlines(self, now: float) -> None:
        """Close an overdue connection; abort a closed one whose client does not read."""
        if self.transport.is_closing():
            if self._read_due == NEVER:
                self._read_due = now + self._lines.limits.send_seconds
            elif self._read_due <= now:
                self.transport.abort()
        elif self._read_due <= now:
            self.transport.abort()
        elif self._idle_due <= now:
            self.end()
        elif self._due <= now:
            self._send_error(TooSlow("The request did not come in time."))

    def end(self) -> None:
        """Close the connection without a response, as when it is idle."""
        self._leave()
        self.transport.close()

    def _leave(self) -> None:
        self._lines.waiting.pop(self, None)
        if self._is_counted:
            self._is_counted = False
            self._lines.leave(self.peer)

    def shutdown(self) -> None:
        """The server stops: close now if idle, else after the response; a stream has a second."""
        if not self._answering:
            self.transport.close()
            return
        self.cycle.keep_alive = False
        stream: asyncio.Task[None] | None = self.cycle.scope["state"].get("stream")
        if stream is not None:
            self.loop.call_later(STREAM_SECONDS, self._cut, stream)

    def _cut(self, stream: asyncio.Task[None]) -> None:
        if not stream.done():
            self.cycle.disconnected = True
            self.transport.close()
            stream.cancel()

    def send_400_response(self, msg: str) -> None:
        self._send_error(InvalidRequest("That is not HTTP as this server reads it."))

    def _send_error(self, error: RequestError) -> None:
        """Send an error, unless a response is under way, and close the connection."""
        self._due = NEVER
        self._lines.waiting.pop(self, None)
        self._lines.failed(error.code)
        cycle, answering = self.cycle, self._answering
        if answering and (self.pipeline or not cycle.more_body):
            self._ending = True  # complete requests get their responses first
            if cycle.more_body:
                self.pipeline.popleft()
            self.flow.pause_reading()
            return
        if answering:
            cycle.disconnected = True
            cycle.message_event.set()
        if not answering or not cycle.response_started:
            self.transport.write(_answer(error, _logged(error)))
        self.transport.close()


class Together:
    """A transport that writes a response's head together with its body: a system call takes two
    thirds of the time of a cache hit, and the client would wake up twice.

    A head without Content-Length, which may be a stream's, is written at once.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._head, self._begun = transport, b"", False
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if not self._begun and ANNOUNCED in data:
            self._head, self._begun = data, True
            return
        head, self._head = self._head, b""
        if len(data) <= MOST_JOINED:
            self._transport.write(head + data)
        else:
            self._transport.writelines((head, data))

    def close(self) -> None:
        if self._head:
            self.write(b"")
        self._transport.close()


def _logged(error: RequestError) -> str:
    """Log an error that came before the guard; gives its correlation id."""
    ident = new_ident()
    token = correlation_id.set(ident)
    log.info("refused", extra={"status": error.status, "reason": error.sentence})
    correlation_id.reset(token)
    return ident


def _answer(error: RequestError, ident: str) -> bytes:
    body = error_body(b"null", error)
    fixed = {"content-type": "application/json", "content-length": str(len(body))}
    fixed |= {CORRELATION.decode(): ident, "connection": "close"}
    headers = {**fixed, **error.headers()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[error.status] + lines.encode() + b"\r\n" + body


def _descriptors(wanted: int) -> int:
    """The number of file descriptors to plan with, after raising the limit towards `wanted`."""
    try:
        import resource
    except ImportError:  # Windows
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    with contextlib.suppress(OSError, ValueError):
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most < 2 * SPARE:  # as many connections as are left, after some fifty for everything else
        log.warning("few descriptors may be open", extra={"most": most})
        return SPARE + max(LEAST, most - 56)
    return most
