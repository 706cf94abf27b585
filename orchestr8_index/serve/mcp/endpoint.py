"""The route /mcp: imports the MCP SDK at the first request, and ends its streams at a stop.

The SDK costs half a second and some 27 MB, which a server without MCP clients does not pay. Its
sessions run in a task of their own, not in that of the first request.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct
from starlette.types import Receive, Scope, Send

from ...environment import ADDRESSES, EVERY
from ...environment import FACES as PRODUCTS
from ...errors import EncodingRefused, InvalidRequest, McpAway, NoSuchAddress
from ..body import again, read_body, send_error
from ..callers import caller
from ..faces import answer_plain
from ..gate import HEADER
from ..host_names import is_json
from ..memory import defer
from ..rpc import check_text
from ..shares import account
from ..state import State
from .accepted import AcceptedCalls
from .exchange import BOTH, CURES, ONE_BODY, Exchange, takes_json, takes_stream

if TYPE_CHECKING:
    from .server import Face

FACES = {"/mcp": "index", **{f"/mcp/{face}": face for face in ADDRESSES}}
RETRY_SECONDS = 5.0
MOST_FIRST, MOST_NAME = 8192, 200
CLOSED = "The server is not serving MCP now: it is starting or stopping."
FAILED = "MCP cannot be served: {0}."
CURE = "Install the packages of requirements.lock; JSON-RPC works."
log = logging.getLogger("orchestr8.mcp")


def load() -> type[Face]:
    """Import the SDK; slow, so to be called in a thread.

    Two of its packages are deferred, as they would import its client and other servers (11 MB).
    """
    defer("mcp")
    defer("mcp.server")
    from .server import Face

    return Face


class McpRoute:
    """The endpoint of one project and face; `trouble` is the error while it is not served."""

    def __init__(self, state: State, name: str = "index") -> None:
        self._state, self._name = state, name
        self.trouble = McpAway(CLOSED)
        self._face: asyncio.Future[Face | None] | None = None
        self._life: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._accepted = AcceptedCalls()
        self._failed_at = float("-inf")

    async def stop(self) -> None:
        """End all sessions; running requests have ended, or had their time."""
        self._state.ending.set()
        self._over.set()
        if self._life is not None:
            await self._life

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["account"] = account.get()
        pairs = [(name, value.strip()) for name, value in scope["headers"]]  # unlike httptools
        scope, headers = {**scope, "headers": pairs}, dict(pairs)
        if self._face is None:
            _check_first(scope["method"], headers)
        if scope["method"] != "POST":
            await self._hand_on(scope, receive, send)
            return
        if not is_json(headers):
            raise EncodingRefused("MCP comes as application/json.", CURES["content-type"])
        body = await read_body(receive)  # with the limits of every route
        check_text(body)
        if await answer_plain(self._state, self._name.removesuffix(EVERY), scope, body, send):
            return
        face = self._open_face
        if face and await self._accepted.answer(face, scope, body, send):
            return
        first, accept = read_first(body), headers.get(b"accept", b"")
        scope["state"]["begins"] = first.method == "initialize"
        original, accepts_stream = scope, takes_stream(accept)
        one_body = scope["state"][ONE_BODY] = takes_json(accept) and not accepts_stream
        if one_body or accepts_stream:  # the SDK requires both
            others = [pair for pair in pairs if pair[0] != b"accept"]
            scope = {**scope, "headers": [*others, (b"accept", BOTH)]}
        await self._hand_on(scope, again(body, receive), send, bytes(first.id))
        if self._name == "index":
            self._accepted.learn(original, body)

    async def _hand_on(
        self, scope: Scope, receive: Receive, send: Send, ident: bytes = b""
    ) -> None:
        """Pass a request on to the SDK; `ident` is the id of its call as JSON, if any."""
        face = await self._opened()
        if face is None:
            await send_error(send, self.trouble)
            return
        one_body = scope["state"].get(ONE_BODY, False)
        with self._state.gate.sessions.stream(caller.get().name) as revoked:
            ends = [revoked, self._state.ending] if scope["method"] == "GET" else [revoked]
            exchange = Exchange(receive, send, one_body, ends)
            try:
                await face(scope, exchange.receive, exchange.send)
            except ExceptionGroup:
                if exchange.refusal is None:
                    raise
            await exchange.finish(b"" if one_body else ident)

    @property
    def _open_face(self) -> Face | None:
        """The index's face, if it is loaded and the server is not stopping."""
        opened = self._face if self._name == "index" else None
        is_there = opened is not None and opened.done() and not self._state.ending.is_set()
        return opened.result() if opened is not None and is_there else None

    async def _opened(self) -> Face | None:
        """The face, loaded at the first call; None while it cannot be served."""
        if self._state.ending.is_set():
            return None
        if self._face is None:
            if time.monotonic() - self._failed_at < RETRY_SECONDS:
                return None
            self._face = asyncio.get_running_loop().create_future()
            life = self._live(self._face)
            self._life = asyncio.create_task(life, context=contextvars.Context())
        return await asyncio.shield(self._face)

    async def _live(self, opened: asyncio.Future[Face | None]) -> None:
        try:
            make_face = await asyncio.to_thread(load)
            face = make_face(self._state, self._name)
            async with face.life():
                opened.set_result(face)
                log.info("MCP is served")
                await self._state.ending.wait()
                face.subscriptions.end()
                await self._over.wait()
        except Exception as error:  # in a task, where nobody else would log it
            self._failed_at = time.monotonic()
            self.trouble = McpAway(FAILED.format(error), CURE)
            log.exception("MCP cannot be served")
        self._face = None
        if not opened.done():
            opened.set_result(None)


def _check_first(method: str, headers: dict[bytes, bytes]) -> None:
    """Refuse requests that cannot open a session, so that they do not load the SDK. Raises
    NoSuchAddress, in the SDK's words, and InvalidRequest."""
    if HEADER in headers:
        raise NoSuchAddress("Session not found", CURES["session"])
    if method != "POST":
        raise InvalidRequest("A session is begun with a POST.", "POST initialize.")


class ClientInfo(Struct):
    name: str = ""


class FirstParams(Struct, rename="camel"):
    client_info: ClientInfo | None = None


class FirstCall(Struct):
    """The fields of a call that are read here."""

    id: Raw = Raw(b"null")
    method: str = ""
    params: FirstParams | None = None


def read_first(body: bytes) -> FirstCall:
    """Decode a call. Raises InvalidRequest for a large `initialize`, as sessions keep it."""
    try:
        call = _FIRST.decode(body)
    except msgspec.ValidationError:
        return FirstCall()  # the SDK refuses it
    client = call.params.client_info if call.params else None
    is_long = len(body) > MOST_FIRST or (client and len(client.name) > MOST_NAME)
    if call.method == "initialize" and is_long:
        sentence = f"initialize has at most {MOST_FIRST:,} bytes, the client's name {MOST_NAME}."
        raise InvalidRequest(sentence, "Send less in initialize.")
    return call


_FIRST = msgspec.json.Decoder(FirstCall)


class McpRoutes:
    """The endpoints, one for each project and face that was requested."""

    def __init__(self, state: State) -> None:
        self._first, self._routes = state, dict[tuple[int, str], tuple[State, McpRoute]]()
        self._is_open = False

    def begin(self) -> None:
        self._is_open = True

    async def stop(self) -> None:
        """End all sessions of all projects."""
        self._is_open = False
        self._first.ending.set()
        await asyncio.gather(*(route.stop() for _, route in self._routes.values()))

    async def answer(self, state: State, scope: Scope, receive: Receive, send: Send) -> None:
        face = FACES[scope["path"].rstrip("/")]
        if face in PRODUCTS and scope["query_string"] == b"all":
            face += EVERY
        if not self._is_open:
            await send_error(send, McpAway(CLOSED))
            return
        _, route = self._routes.setdefault((id(state), face), (state, McpRoute(state, face)))
        await route(scope, receive, send)
