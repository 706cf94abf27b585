"""The route /mcp: loads the MCP SDK at the first request, and ends its streams in time.

The SDK costs a second and some 30 MB, which a server that nobody asks in MCP never pays. Its
sessions live in a task of their own, not in that of the request which happened to be first.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct
from starlette.types import Message, Receive, Scope, Send

from ...environment import ADDRESSES, EVERY
from ...environment import FACES as PRODUCTS
from ...errors import EncodingRefused, InvalidRequest, McpAway, NoSuchAddress, RequestError
from ..body import Again, error_body, read_body, send_error
from ..callers import caller
from ..host_names import is_json
from ..rpc import check_text
from ..sessions import HEADER
from ..shares import account
from ..state import State
from .accepted import AcceptedCalls
from .cures import CURES, Cured
from .one_body import BOTH, ONE_BODY, OneBody, accepts_json_alone, accepts_streams_alone

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
    """The slow part, for a thread. Builds nothing yet."""
    from .server import Face

    return Face


class McpRoute:
    """The endpoint of an address of MCP. `trouble` says why there is no face."""

    def __init__(self, state: State, name: str = "index") -> None:
        self._state, self._name = state, name
        self.trouble = McpAway(CLOSED)
        self._face: asyncio.Future[Face | None] | None = None
        self._life: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._is_open = False
        self._accepted = AcceptedCalls()
        self._failed_at = float("-inf")

    def begin(self) -> None:
        self._is_open = True

    async def stop(self) -> None:
        """Ends all sessions; the requests have ended before, or had their time."""
        self._state.ending.set()
        self._over.set()
        if self._life is not None:
            await self._life

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["account"] = account.get()
        headers = [(name, value.strip()) for name, value in scope["headers"]]  # httptools does not
        scope = {**scope, "headers": headers}
        if self._face is None:
            _check_first(scope["method"], dict(headers))
        if scope["method"] == "POST" and not is_json(dict(headers)):
            raise EncodingRefused("MCP comes as application/json.", CURES["content-type"])
        ident, sent = b"", {**scope}
        if scope["method"] == "POST":  # read as every body is: what is refused is so here, too
            body = await read_body(receive)
            check_text(body)
            if await self._answered(scope, dict(headers), body, send):
                return
            open_face = self._open_face
            if open_face and await self._accepted.answer(open_face, sent, body, send):
                return
            first = read_first(body)
            scope["state"]["begins"], ident = first.method == "initialize", bytes(first.id)
            receive = Again(body, receive)
            if accepts_json_alone(dict(headers).get(b"accept", b"")):
                send, scope["headers"] = OneBody(send).send, _with_stream(headers)
                scope["state"][ONE_BODY], ident = True, b""
            elif accepts_streams_alone(dict(headers).get(b"accept", b"")):
                scope["headers"] = _with_stream(headers)
        face = await self._opened()
        if face is None:
            await send_error(send, self.trouble)
            return
        with self._state.gate.sessions.stream(caller.get().name) as revoked:
            ends = [revoked, self._state.ending] if scope["method"] == "GET" else [revoked]
            stream = EndingStream(receive, send, *ends)
            try:
                await face(scope, stream.receive, Cured(stream.send).send)
            except ExceptionGroup:
                if stream.refusal is None:
                    raise
            await stream.finish(ident)
        if scope["method"] == "POST" and self._name == "index":
            self._accepted.learn(sent, body)

    @property
    def _open_face(self) -> Face | None:
        """Of the index, if it is there."""
        opened = self._face if self._name == "index" and self._is_open else None
        is_there = opened is not None and opened.done() and not self._state.ending.is_set()
        return opened.result() if opened is not None and is_there else None

    async def _answered(
        self, scope: Scope, headers: dict[bytes, bytes], body: bytes, send: Send
    ) -> bool:
        """Whether it was a tool of a face, called by its own name as a method of JSON-RPC."""
        if self._name.removesuffix(EVERY) not in PRODUCTS or not is_json(headers):
            return False
        from ..faces import answer_plain

        return await answer_plain(self._state, self._name.removesuffix(EVERY), scope, body, send)

    async def _opened(self) -> Face | None:
        """The face, as soon as it is there; all that ask meanwhile wait for the same one."""
        if not self._is_open or self._state.ending.is_set():
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
        except Exception as error:  # else nobody would ever hear of it
            self._failed_at = time.monotonic()
            self.trouble = McpAway(FAILED.format(error), CURE)
            log.exception("MCP cannot be served")
        self._face = None
        if not opened.done():
            opened.set_result(None)


def _with_stream(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """As the SDK wants them of everybody."""
    return [pair for pair in headers if pair[0] != b"accept"] + [(b"accept", BOTH)]


def _check_first(method: str, headers: dict[bytes, bytes]) -> None:
    """Before there was a session, only what may begin one, or needs none, is worth loading for.

    Raises NoSuchAddress, in the words of the SDK, InvalidRequest and EncodingRefused.
    """
    if HEADER in headers:
        raise NoSuchAddress("Session not found", CURES["session"])
    if method != "POST":
        raise InvalidRequest("A session is begun with a POST.", "POST initialize.")


class ClientInfo(Struct):
    name: str = ""


class FirstParams(Struct):
    client: ClientInfo | None = msgspec.field(default=None, name="clientInfo")


class FirstCall(Struct):
    """What a session keeps as long as it lives."""

    id: Raw = Raw(b"null")
    method: str = ""
    params: FirstParams | None = None


def read_first(body: bytes) -> FirstCall:
    """Raises InvalidRequest for an `initialize` that says more of a client than is kept."""
    try:
        call = _FIRST.decode(body)
    except msgspec.ValidationError:
        return FirstCall()  # which the SDK refuses in its own words
    client = call.params.client if call.params else None
    is_long = len(body) > MOST_FIRST or (client and len(client.name) > MOST_NAME)
    if call.method == "initialize" and is_long:
        said = f"A client says who it is in {MOST_FIRST:,} bytes; its name has {MOST_NAME} at most."
        raise InvalidRequest(said, "Send less in initialize.")
    return call


_FIRST = msgspec.json.Decoder(FirstCall)


class McpRoutes:
    """One for each project and address that was asked in MCP: its sessions hear of no other."""

    def __init__(self, state: State) -> None:
        self._first, self._routes = state, dict[tuple[int, str], tuple[State, McpRoute]]()
        self._is_open = False

    def begin(self) -> None:
        self._is_open = True

    async def stop(self) -> None:
        """Ends all sessions of all projects."""
        self._is_open = False
        self._first.ending.set()
        await asyncio.gather(*(route.stop() for _, route in self._routes.values()))

    async def answer(self, state: State, scope: Scope, receive: Receive, send: Send) -> None:
        face = FACES[scope["path"].rstrip("/")]
        if face in PRODUCTS and scope["query_string"] == b"all":
            face += EVERY
        _, route = self._routes.setdefault((id(state), face), (state, McpRoute(state, face)))
        if self._is_open:
            route.begin()
        await route(scope, receive, send)


class EndingStream:
    """`receive` and `send` of one request, which ends with any of `ends` as if its client left.

    The stream of a session before 2026 is a GET that only the client ends; it would hold up a stop
    of the server. And no stream outlives the key that opened it. `refusal` is why something could
    not be sent: the SDK wraps that in a group of exceptions, or writes it to the log and goes on.
    """

    def __init__(self, receive: Receive, send: Send, *ends: asyncio.Event) -> None:
        self._receive, self._send, self._ends = receive, send, ends
        self._is_open = False
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
            await self._send(message)
        except RequestError as error:
            self.refusal = error
            raise
        self._is_open = message["type"] == "http.response.start" or message.get("more_body", False)

    async def finish(self, ident: bytes) -> None:
        """Complete a response that was begun and cut off: with its error, where it is a stream that
        answers the call `ident`. Raises the refusal where it is none."""
        said = b""
        if self.refusal is not None:
            if not (self._is_open and ident):
                raise self.refusal
            said = b"data: %b\r\n\r\n" % error_body(ident, self.refusal)
        if self._is_open and (said or any(end.is_set() for end in self._ends)):
            await self._send({"type": "http.response.body", "body": said, "more_body": False})
