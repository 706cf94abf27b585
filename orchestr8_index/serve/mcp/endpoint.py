"""Who opens the face, and who closes it? The SDK is loaded at the first request for /mcp.

It costs a second and some 30 MB, which a server that nobody asks in MCP never pays. The sessions
live in a task of the server's own life, not in that of the request which happened to be first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from ...errors import McpAway
from ..body import Again, read_body
from ..callers import caller
from ..rpc import check_text
from ..send import send_error
from ..state import State
from .streams import Standing

if TYPE_CHECKING:
    from .server import Face

RETRY_SECONDS = 5.0
CLOSED = "The server is not serving MCP now: it is starting or stopping."
FAILED, CURE = (
    "MCP cannot be served: {0}.",
    "Install the packages of requirements.lock; JSON-RPC works.",
)
log = logging.getLogger("orchestr8.mcp")


def load() -> type[Face]:
    """The slow part, for a thread. Builds nothing yet."""
    from .server import Face

    return Face


class McpRoute:
    """The endpoint of /mcp. `trouble` says why there is no face."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.trouble = McpAway(CLOSED)
        self._face: Face | None = None
        self._life: asyncio.Task[None] | None = None
        self._opening: asyncio.Event | None = None
        self._wanted, self._over = asyncio.Event(), asyncio.Event()
        self._tried = float("-inf")

    def begin(self) -> None:
        """In the server's lifespan."""
        self._life = asyncio.create_task(self._live())

    async def stop(self) -> None:
        """Ends all sessions; the requests have ended before, or had their time."""
        self._state.ending.set()
        self._over.set()
        if self._life is not None:
            await self._life

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        face = self._face or await self._open()
        if face is None:
            await send_error(send, self.trouble)
            return
        scope.setdefault("state", {})
        headers = [(name, value.strip()) for name, value in scope["headers"]]  # httptools does not
        scope = {**scope, "headers": headers}
        if scope["method"] == "POST":  # read as every body is: what is refused is so here, too
            body = await read_body(receive)
            check_text(body)
            receive = Again(body, receive)
        with self._state.gate.streams.standing(caller.get().name) as revoked:
            stops = [self._state.ending] if scope["method"] == "GET" else []
            standing = Standing(receive, send, revoked, *stops)
            await face(scope, standing.receive, standing.send)
            await standing.finish()

    async def _open(self) -> Face | None:
        """The face, as soon as it is there; all that ask meanwhile wait for the same one."""
        if self._life is None or self._state.ending.is_set():
            return None
        if self._opening is None:
            if time.monotonic() - self._tried < RETRY_SECONDS:
                return None
            self._opening = asyncio.Event()
            self._wanted.set()
        await self._opening.wait()
        return self._face

    async def _live(self) -> None:
        while await self._first(self._wanted):
            self._wanted.clear()
            try:
                await asyncio.to_thread(load)
                await self._serve()
            except Exception as error:  # else nobody would ever hear of it
                self._tried = time.monotonic()
                self.trouble = McpAway(FAILED.format(error), CURE)
                log.exception("MCP cannot be served")
            self._face = None
            self._settle()

    async def _serve(self) -> None:
        from .server import make_face

        face = make_face(self._state)
        async with face.life():
            self._face = face
            self._settle()
            log.info("MCP is served")
            await self._state.ending.wait()
            face.end_streams()
            await self._over.wait()

    async def _first(self, event: asyncio.Event) -> bool:
        """Whether `event` comes before the server's end."""
        waits = [asyncio.create_task(each.wait()) for each in (event, self._state.ending)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return not self._state.ending.is_set()

    def _settle(self) -> None:
        if self._opening is not None:
            self._opening.set()
        self._opening = None
