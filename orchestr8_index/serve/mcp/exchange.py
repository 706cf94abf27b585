"""`receive` and `send` of one request to the MCP SDK, which make up for three of its limits.

Only the client ends its streams; it answers with a stream also clients that accept none; and its
errors have no cure.
"""

from __future__ import annotations

import asyncio

import msgspec
from starlette.types import Message, Receive, Send

from ...errors import McpAway, RequestError
from ...validate import UNDECODABLE
from ..body import error_body, send_error

BOTH = b"application/json, text/event-stream"
ONE_BODY = "one_body"  # marks a request whose client accepts no stream
LET_IN = "let_in"  # the key of the scope's state for a call that the SDK has accepted
CUT_OFF = "The answer was cut off: the server is stopping, or the session ended."
CURES = {
    "accept": "Send `Accept: application/json, text/event-stream` (a GET: text/event-stream).",
    "content-type": "Send `Content-Type: application/json`.",
    "only one": "End the other GET of the session first.",
    "session": "POST initialize first, and send the Mcp-Session-Id of its answer.",
    "protocol": "Send one of the named versions in MCP-Protocol-Version, as in initialize.",
    "parse": "Send one JSON-RPC 2.0 request as the body.",
}
"""The cure for an error of the SDK, by the first of these words in its sentence."""
_JSON = {b"application/json", b"application/*"}
_STREAMS = {b"*/*", b"text/*", b"text/event-stream"}
_OF_STREAMS = {b"content-type", b"content-length", b"cache-control", b"x-accel-buffering"}


def takes_stream(accept: bytes) -> bool:
    """Whether an Accept header allows an event stream; an empty one does."""
    kinds = _named(accept)
    return bool(kinds & _STREAMS) or kinds == {b""}


def takes_json(accept: bytes) -> bool:
    """Whether an Accept header names JSON."""
    return bool(_named(accept) & _JSON)


def _named(accept: bytes) -> set[bytes]:
    return {part.split(b";")[0].strip() for part in accept.lower().split(b",")}


class Exchange:
    """The pair. When one of `ends` is set, the SDK sees a disconnect, so that no stream outlives
    its key or delays a stop.

    `one_body`: the client accepts no stream and gets its last event, the response, as a body.
    `refusal` is the error of a `send`, which the SDK wraps in an ExceptionGroup or only logs.
    """

    def __init__(
        self, receive: Receive, send: Send, one_body: bool, ends: list[asyncio.Event]
    ) -> None:
        self._receive, self._send, self._one_body, self._ends = receive, send, one_body, ends
        self._is_open = False
        self._held: Message | None = None  # the start of a response that is changed when complete
        self._body = bytearray()
        self.refusal: RequestError | None = None

    async def receive(self) -> Message:
        waits = [asyncio.ensure_future(self._receive())]
        waits += [asyncio.ensure_future(end.wait()) for end in self._ends]  # type: ignore[arg-type]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return waits[0].result() if waits[0].done() else {"type": "http.disconnect"}
        finally:
            for wait in waits:
                wait.cancel()

    async def send(self, message: Message) -> None:
        if self.refusal is not None:
            raise self.refusal
        try:
            await self._pass_on(message)
        except RequestError as error:
            self.refusal = error
            raise
        self._is_open = message["type"] == "http.response.start" or message.get("more_body", False)

    async def _pass_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind: bytes = dict(message["headers"]).get(b"content-type", b"")
            is_stream = self._one_body and kind.startswith(b"text/event-stream")
            if is_stream or 400 <= message["status"] < 500:
                self._held = message
                return
        elif self._held is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_held(self._held)
            return
        await self._send(message)

    async def _send_held(self, start: Message) -> None:
        if start["status"] >= 400:
            body, pairs = _cured(bytes(self._body)), list(start["headers"])
        else:
            data = [line[5:].strip() for line in self._body.splitlines() if line[:5] == b"data:"]
            if not data or not data[-1]:
                await send_error(self._send, McpAway(CUT_OFF))
                return
            pairs = [pair for pair in start["headers"] if pair[0].lower() not in _OF_STREAMS]
            body, pairs = bytes(data[-1]), [*pairs, (b"content-type", b"application/json")]
        headers = [pair for pair in pairs if pair[0] != b"content-length"]
        length = (b"content-length", b"%d" % len(body))
        await self._send({**start, "headers": [*headers, length]})
        await self._send({"type": "http.response.body", "body": body})

    async def finish(self, ident: bytes) -> None:
        """Complete a response that was cut off; a stream gets its refusal as the response to the
        call `ident`. Raises the refusal if no stream was begun."""
        last = b""
        if self.refusal is not None:
            if not (self._is_open and ident):
                raise self.refusal
            last = b"data: %b\r\n\r\n" % error_body(ident, self.refusal)
        if self._is_open and (last or any(end.is_set() for end in self._ends)):
            await self._pass_on({"type": "http.response.body", "body": last, "more_body": False})


def _cured(body: bytes) -> bytes:
    """A JSON-RPC error with a cure added, if it has no data; any other body as it is."""
    try:
        decoded = msgspec.json.decode(body)
        error = decoded["error"]
        sentence = error["message"].lower()
    except (*UNDECODABLE, TypeError, KeyError, AttributeError):
        return body
    cure = next((cure for word, cure in CURES.items() if word in sentence), None)
    if error.get("data") or cure is None:
        return body
    return msgspec.json.encode({**decoded, "error": {**error, "data": {"cure": cure}}})
