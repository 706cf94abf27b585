"""One JSON body for a client of MCP that accepts no stream."""

from __future__ import annotations

from starlette.types import Message, Send

from ...errors import McpAway
from ..body import send_error

BOTH = b"application/json, text/event-stream"
ANY = {b"*/*", b"text/*", b"text/event-stream"}
ONE_BODY = "one_body"  # marks a request that can be asked nothing on its way
LET_IN = "let_in"  # marks a call that the SDK has let in, with who asks
CUT_OFF = "The answer was cut off: the server is stopping, or the session ended."


def accepts_streams_alone(accept: bytes) -> bool:
    """By the header: a stream is named, which an answer can be, or nothing is."""
    named = {part.split(b";")[0].strip() for part in accept.lower().split(b",")}
    return bool(named & ANY) or named == {b""}


def accepts_json_alone(accept: bytes) -> bool:
    """By the header: JSON is named, a stream is not."""
    named = {part.split(b";")[0].strip() for part in accept.lower().split(b",")}
    return not named & ANY and bool(named & {b"application/json", b"application/*"})


class OneBody:
    """`send` of one request: of a stream of events the last one, which is the answer; what came
    before it (progress, logs) has no place in one body. Anything else passes as it is."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._events = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_stream(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._events += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        data = [line[5:].strip() for line in self._events.splitlines() if line[:5] == b"data:"]
        if not data or not data[-1]:
            await send_error(self._send, McpAway(CUT_OFF))
            return
        kept = [pair for pair in start["headers"] if pair[0].lower() not in _OF_STREAMS]
        kept += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data[-1]))]
        await self._send({**start, "headers": kept})
        await self._send({"type": "http.response.body", "body": bytes(data[-1])})


_OF_STREAMS = {b"content-type", b"content-length", b"cache-control", b"x-accel-buffering"}


def _is_stream(start: Message) -> bool:
    kind: bytes = dict(start["headers"]).get(b"content-type", b"")
    return kind.startswith(b"text/event-stream")
