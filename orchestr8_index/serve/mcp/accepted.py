"""A fast path for tool calls that the SDK has accepted before, but for their id and arguments.

All that the SDK checks of such a call is in its headers and the rest of its body, whose digest is
the key here. A call of a session needs the session to be open, and any other message of the session
makes the path forget its calls. Everything else goes through the SDK.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct
from starlette.types import Scope, Send

from ...memo import keep
from ..body import JSON, REPLY, send_bytes
from ..callers import CORRELATION
from ..gate import HEADER
from .exchange import LET_IN, takes_json, takes_stream

if TYPE_CHECKING:
    from .server import Face
    from .tools import LetIn

MOST_KNOWN = 64  # sessions, and as many calls of each
SERVER_INFO = "io.modelcontextprotocol/serverInfo"
_VARYING = "progressToken"  # of _meta; unused, as no tool of the index reports progress


class _ToolParams(Struct, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, Any] = {}
    meta: dict[str, Raw] = msgspec.field(name="_meta", default_factory=dict)


class _ToolCall(Struct, forbid_unknown_fields=True):
    jsonrpc: Literal["2.0"]
    id: int | Annotated[str, Meta(max_length=200)]
    method: Literal["tools/call"]
    params: _ToolParams


_TOOL_CALL = msgspec.json.Decoder(_ToolCall)


class AcceptedCalls:
    """The accepted calls of one endpoint, by session ("" for the era without sessions)."""

    def __init__(self) -> None:
        self._known: dict[bytes, dict[bytes, LetIn]] = {}

    async def answer(self, face: Face, scope: Scope, body: bytes, send: Send) -> bool:
        """Answer a call that was accepted before; False for any other."""
        session, call = _session(scope), _read(body)
        if call is None:
            self._known.pop(session, None)
            return False
        let_in = self._known.get(session, {}).get(_key(scope, call))
        method = face.tools.of_index(call.params.name) if face.tools else None
        if let_in is None or method is None or not _is_ready(let_in, face, session):
            return False
        scope["state"]["rpc_methods"] = method.short
        own = scope["state"].get("account")
        assert face.tools is not None
        result = await face.tools.result(let_in, method, call.params.arguments, own)
        if not session:
            result = _stamped(result, face.server_info)
        encoded = REPLY % (msgspec.json.encode(call.id), msgspec.json.encode(result))
        await send_bytes(send, 200, encoded, JSON, *([(HEADER, session)] if session else []))
        return True

    def learn(self, scope: Scope, body: bytes) -> None:
        """Remember a call that the SDK has accepted and answered."""
        let_in, call, session = scope["state"].get(LET_IN), _read(body), _session(scope)
        accept: bytes = dict(scope["headers"]).get(b"accept", b"")
        takes_both = takes_json(accept) and takes_stream(accept)  # where the SDK sends a stream
        if let_in is not None and call is not None and takes_both:
            known = self._known.get(session) or keep(self._known, MOST_KNOWN, session, {})
            keep(known, MOST_KNOWN, _key(scope, call), let_in)


def _stamped(result: dict[str, Any], server: dict[str, Any]) -> dict[str, Any]:
    """A result with the fields that the SDK adds in the era without sessions, in its order."""
    rest = {name: value for name, value in result.items() if name == "structuredContent"}
    first = {name: value for name, value in result.items() if name not in rest}
    about = {**result.get("_meta", {}), SERVER_INFO: server}
    return {**first, "resultType": "complete", **rest, "_meta": about}


def _is_ready(let_in: LetIn, face: Face, session: bytes) -> bool:
    """Whether the project is awake and the session open; renews both, as any request does."""
    projects = let_in.state.projects
    if not projects.is_awake(let_in.state) or not face.touch(session.decode("latin-1")):
        return False
    projects.note_asked(let_in.state)
    return True


def _read(body: bytes) -> _ToolCall | None:
    try:
        return _TOOL_CALL.decode(body)
    except msgspec.MsgspecError:
        return None


def _key(scope: Scope, call: _ToolCall) -> bytes:
    headers = [each for each in scope["headers"] if each[0] not in (b"content-length", CORRELATION)]
    meta = [(name, bytes(raw)) for name, raw in call.params.meta.items() if name != _VARYING]
    is_text, name = isinstance(call.id, str), call.params.name
    whole = msgspec.msgpack.encode((headers, is_text, name, meta, scope["query_string"]))
    return hashlib.blake2b(whole, digest_size=32).digest()


def _session(scope: Scope) -> bytes:
    return next((value for name, value in scope["headers"] if name == HEADER), b"")
