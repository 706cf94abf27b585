"""JSON-RPC 2.0: from the bytes of a request to the bytes of a response."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ..errors import InvalidRequest, ParseError, RequestError
from ..sharing import SHARING
from .body import REPLY, error_body
from .callers import caller
from .calls import check_face, perform
from .shares import account
from .state import State

MOST_BYTES = 16_000_000  # of one result: our own clients read no more


class Call(Struct, frozen=True):
    """A request; `id` has its raw bytes, so that the response repeats them exactly."""

    jsonrpc: Any = UNSET
    method: Any = UNSET
    id: Raw | UnsetType = UNSET
    params: Raw | UnsetType = UNSET


class Response(Struct, frozen=True):
    """`body` is empty for notifications; `status` is HTTP's; `methods` are for the log."""

    body: bytes
    status: int
    methods: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


LARGE_BYTES = 1_000_000
SHARED = frozenset(method.name for method in SHARING)
"""The methods of the shared state, which need no index."""
_CALL = msgspec.json.Decoder(Call)
_BATCH = msgspec.json.Decoder(list[Raw])


async def reply_to(state: State, body: bytes, face: str = "") -> Response:
    """The response to a call or a batch; errors are responses, too. With `face` only that face's
    methods exist."""
    if body.lstrip()[:1] == b"[":
        return await _reply_to_batch(state, body, face)
    return await _reply_to_one(state, body, face)


async def _reply_to_batch(state: State, body: bytes, face: str) -> Response:
    try:
        check_text(body)
        calls, most = _BATCH.decode(body), state.settings.limits.max_batch
        if not 0 < len(calls) <= most:
            raise InvalidRequest(f"A batch has 1 to {most} calls, not {len(calls)}.")
        state.gate.buckets.charge(caller.get().name, len(calls) - 1)  # each counts as a request
    except RequestError as error:
        state.metrics.failed(error.code)
        return _failure(b"null", error)
    replies, room = list[Response](), state.settings.limits.max_batch_bytes
    for call in calls:
        await asyncio.sleep(0)  # yield to other requests
        replies.append(await _reply_to_one(state, bytes(call), face, room))
        room -= len(replies[-1].body)
    bodies = [reply.body for reply in replies if reply.body]
    methods = ",".join(reply.methods for reply in replies)
    if not bodies:
        return Response(b"", 204, methods)
    return Response(b"[" + b",".join(bodies) + b"]", 200, methods)


async def _reply_to_one(state: State, body: bytes, face: str, room: int = MOST_BYTES) -> Response:
    ident = b"null"
    notified = False
    try:
        call = read_call(body)
        ident, notified = _ident(call)
        name = _method_name(call)
        check_face(name, face)
    except RequestError as error:
        state.metrics.failed(error.code)
        return Response(b"", 204) if notified else _failure(ident, error)
    try:
        raw = b"{}" if isinstance(call.params, UnsetType) else bytes(call.params)
        if name not in SHARED:
            await state.projects.make_ready(state)
        result = await perform(state, name, raw)
        _check_size(state, len(result), room)
        reply = Response(REPLY % (ident, result), 200, name)
    except RequestError as error:
        reply = _failure(ident, error, name)
    return Response(b"", 204, name) if notified else reply


def _check_size(state: State, size: int, room: int) -> None:
    """Raises InvalidRequest for a result larger than `room`; charges that of a batch to the
    request's account, which raises Overloaded."""
    try:
        if size > room:
            sentence, cure = "The answers of this request are too large together.", "Ask for less"
            raise InvalidRequest(sentence, f"{cure} at once: fewer calls, max_tokens, a limit.")
        if room < MOST_BYTES:
            account.get().hold(size)
    except RequestError as error:
        state.metrics.failed(error.code)
        raise


def read_call(body: bytes) -> Call:
    """Decode one call. Raises ParseError and InvalidRequest."""
    try:
        check_text(body)
        return _CALL.decode(body)
    except msgspec.ValidationError:
        raise InvalidRequest("A call is a JSON object.") from None


def check_text(body: bytes) -> None:
    """Check that the whole body is UTF-8 and JSON, also parts that a decoder skips, with unique
    member names (up to LARGE_BYTES). Raises ParseError."""
    try:
        text = body.decode("utf-8")
        if len(body) > LARGE_BYTES:  # as objects it would take twenty times its size
            msgspec.json.decode(body, type=Raw)
            return
        msgspec.json.decode(body)
        _UNIQUE.decode(text)
    except msgspec.ValidationError:
        raise ParseError("The body holds a number that is out of range.") from None
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise ParseError("The body is not JSON.") from None


def _unique(pairs: list[tuple[str, Any]]) -> None:
    """Raises ParseError for an object that has a member twice, as parsers take different ones."""
    if len(pairs) > 1 and len(dict(pairs)) < len(pairs):
        raise ParseError("An object names a member twice.", "Name each member once.")


_UNIQUE = json.JSONDecoder(object_pairs_hook=_unique)  # `loads` would make one for each body


def _ident(call: Call) -> tuple[bytes, bool]:
    """(the id's bytes, whether this is a notification). Raises InvalidRequest."""
    if isinstance(call.id, UnsetType):
        if call.jsonrpc != "2.0" or not isinstance(call.method, str):
            raise InvalidRequest('A call has jsonrpc "2.0" and a method\'s name.')
        return b"null", True
    ident = bytes(call.id).strip()
    if ident != b"null" and ident[:1] not in b'"-0123456789':
        raise InvalidRequest("An id is a string, a number or null.")
    return ident, False


def _method_name(call: Call) -> str:
    if call.jsonrpc != "2.0":
        raise InvalidRequest('A call has the member jsonrpc with the value "2.0".')
    if not isinstance(call.method, str):
        raise InvalidRequest("A call has a method's name.")
    return call.method


def _failure(ident: bytes, error: RequestError, method: str = "") -> Response:
    headers = tuple((name.encode(), value.encode()) for name, value in error.headers().items())
    return Response(error_body(ident, error), error.status, method, headers)
