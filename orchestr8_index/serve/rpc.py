"""JSON-RPC 2.0: from the bytes of a request to the bytes of a reply, whatever carries them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ..errors import InvalidRequest, ParseError, RequestError
from .calls import perform
from .state import State

MAX_BATCH = 100


class Call(Struct, frozen=True):
    """A request as sent: the id's own bytes are kept, so that a reply repeats them exactly."""

    jsonrpc: Any = UNSET
    method: Any = UNSET
    id: Raw | UnsetType = UNSET
    params: Raw | UnsetType = UNSET


class Reply(Struct, frozen=True):
    """`body` is empty for notifications; `status` is HTTP's; `methods` are for the log."""

    body: bytes
    status: int
    methods: str = ""


_CALL = msgspec.json.Decoder(Call)
_BATCH = msgspec.json.Decoder(list[Raw])


async def reply_to(state: State, body: bytes) -> Reply:
    if body.lstrip()[:1] == b"[":
        return await _reply_to_batch(state, body)
    return await _reply_to_one(state, body)


async def _reply_to_batch(state: State, body: bytes) -> Reply:
    try:
        _check_text(body)
        calls = _BATCH.decode(body)
    except ParseError as error:
        return _refusal(state, error)
    if not 0 < len(calls) <= MAX_BATCH:
        sentence = f"A batch has 1 to {MAX_BATCH} calls, not {len(calls)}."
        return _refusal(state, InvalidRequest(sentence))
    replies = [await _reply_to_one(state, bytes(call)) for call in calls]
    bodies = [reply.body for reply in replies if reply.body]
    methods = ",".join(reply.methods for reply in replies)
    if not bodies:
        return Reply(b"", 204, methods)
    return Reply(b"[" + b",".join(bodies) + b"]", 200, methods)


async def _reply_to_one(state: State, body: bytes) -> Reply:
    ident = b"null"
    notified = False
    try:
        call = _read_call(body)
        ident, notified = _ident(call)
        name = _method_name(call)
    except RequestError as error:
        state.metrics.failed(error.code)
        return Reply(b"", 204) if notified else Reply(_error(ident, error), error.status)
    try:
        raw = b"{}" if isinstance(call.params, UnsetType) else bytes(call.params)
        reply = Reply(_success(ident, await perform(state, name, raw)), 200, name)
    except RequestError as error:
        reply = Reply(_error(ident, error), error.status, name)
    return Reply(b"", 204, name) if notified else reply


def _read_call(body: bytes) -> Call:
    try:
        _check_text(body)
        return _CALL.decode(body)
    except msgspec.ValidationError:
        raise InvalidRequest("A call is a JSON object.") from None


def _check_text(body: bytes) -> None:
    """The decoder skips over parts that nobody reads; all of the body must be UTF-8 and JSON.

    Raises ParseError.
    """
    try:
        body.decode("utf-8")
        msgspec.json.decode(body)
    except msgspec.ValidationError:
        raise ParseError("The body holds a number that is out of range.") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ParseError("The body is not JSON.") from None


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


def _success(ident: bytes, result: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":' + ident + b',"result":' + result + b"}"


def _error(ident: bytes, error: RequestError) -> bytes:
    body: dict[str, Any] = {"code": error.code, "message": error.sentence}
    if data := error.data():
        body["data"] = data
    return b'{"jsonrpc":"2.0","id":' + ident + b',"error":' + msgspec.json.encode(body) + b"}"


def _refusal(state: State, error: RequestError) -> Reply:
    state.metrics.failed(error.code)
    return Reply(_error(b"null", error), error.status)


def refusal(error: RequestError) -> bytes:
    """A reply to nobody in particular: the body of an HTTP refusal."""
    return _error(b"null", error)
