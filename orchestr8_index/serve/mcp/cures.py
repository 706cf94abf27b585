"""What the SDK refuses says its cure, as everything that the server refuses does."""

from __future__ import annotations

import msgspec
from starlette.types import Message, Send

from ...validate import UNDECODABLE

CURES = {
    "accept": "Send `Accept: application/json, text/event-stream` (a GET: text/event-stream).",
    "content-type": "Send `Content-Type: application/json`.",
    "only one": "End the other GET of the session first.",
    "session": "POST initialize first, and send the Mcp-Session-Id of its answer.",
    "protocol": "Send one of the named versions in MCP-Protocol-Version, as in initialize.",
    "parse": "Send one JSON-RPC 2.0 request as the body.",
}
"""By a word of what was refused; the first that is in it."""


class Cured:
    """`send` of one request: to a refusal without a cure it adds one."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and 400 <= message["status"] < 500:
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            start, self._start = self._start, None
            body = message.get("body", b"")
            whole = not message.get("more_body", False)
            if whole and (cured := _cured(body)) is not None:
                kept = [pair for pair in start["headers"] if pair[0] != b"content-length"]
                start = {**start, "headers": [*kept, (b"content-length", b"%d" % len(cured))]}
                body = cured
            await self._send(start)
            await self._send({**message, "body": body})


def _cured(body: bytes) -> bytes | None:
    """None for what is no error of JSON-RPC, or has a cure or other data already."""
    try:
        decoded = msgspec.json.decode(body)
        error = decoded["error"]
        sentence = error["message"].lower()
    except (*UNDECODABLE, TypeError, KeyError, AttributeError):
        return None
    cure = next((cure for word, cure in CURES.items() if word in sentence), None)
    if error.get("data") or cure is None:
        return None
    return msgspec.json.encode({**decoded, "error": {**error, "data": {"cure": cure}}})
