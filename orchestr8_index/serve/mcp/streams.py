"""How does a stream end that would stand for ever? As if the client left.

The stream of a session before 2026 is a GET that only the client ends; it would hold up a server
that is told to stop for as long as running requests may take. And no stream outlives the key that
opened it.
"""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive, Send


class Standing:
    """`receive` and `send` of one request, which ends with any of `endings`; `finish` completes
    what was begun and not ended."""

    def __init__(self, receive: Receive, send: Send, *endings: asyncio.Event) -> None:
        self._receive, self._send, self._endings = receive, send, endings
        self._open = False

    async def receive(self) -> Message:
        coming = (self._receive(), *(ending.wait() for ending in self._endings))
        waits = [asyncio.ensure_future(each) for each in coming]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if not waits[0].done():
                return {"type": "http.disconnect"}
            message: Message = waits[0].result()  # type: ignore[assignment]
            return message
        finally:
            for wait in waits:
                wait.cancel()

    async def send(self, message: Message) -> None:
        self._open = message["type"] == "http.response.start" or message.get("more_body", False)
        await self._send(message)

    async def finish(self) -> None:
        if self._open and any(ending.is_set() for ending in self._endings):
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
