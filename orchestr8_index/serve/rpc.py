"""JSON-RPC 2.0: from the bytes of a request to the bytes of a reply, whatever carries them."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ..errors import (
    InternalError,
    InvalidRequest,
    MethodNotFound,
    ParseError,
    RequestError,
    StoreUnavailable,
)
from ..store.ledger import query_note
from .methods import METHODS, Method, read_params
from .state import State

MAX_BATCH = 100
log = logging.getLogger("orchestr8.rpc")


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
    name, notified = "", False
    try:
        call = _read_call(body)
        ident, notified = _ident(call)
        name = _method_name(call)
        result = await _result(state, name, call)
        reply = Reply(_success(ident, result), 200, name)
    except RequestError as error:
        state.metrics.failed(error.code)
        reply = Reply(_error(ident, error), error.status, name)
    except sqlite3.Error as error:
        reply = _store_refusal(state, ident, name, error)
    except Exception:  # the one place where a defect becomes an answer
        log.exception("the method failed", extra={"method": name})
        failure = InternalError("The server met an error of its own.")
        state.metrics.failed(failure.code)
        reply = Reply(_error(ident, failure), failure.status, name)
    return Reply(b"", 204, name) if notified else reply


def _store_refusal(state: State, ident: bytes, name: str, error: sqlite3.Error) -> Reply:
    """A database that cannot be read any more: answers go on, and /health says why."""
    if state.keeper is not None:
        state.keeper.failed(error)
    refusal = StoreUnavailable("The store cannot be read.")
    state.metrics.failed(refusal.code)
    return Reply(_error(ident, refusal), refusal.status, name)


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


async def _result(state: State, name: str, call: Call) -> bytes:
    method = METHODS.get(name)
    if method is None:
        known = ", ".join(METHODS)
        raise MethodNotFound("There is no such method.", f"The methods are {known}.")
    started = time.perf_counter()
    raw = b"{}" if isinstance(call.params, UnsetType) else bytes(call.params)
    params = read_params(method, raw)
    result = await (
        _cached(state, method, params) if method.cache else _plain(state, method, params)
    )
    spent = (time.perf_counter() - started) * 1000
    state.metrics.answered(name, spent, bool(method.cache))
    return result


async def _plain(state: State, method: Method, params: Any) -> bytes:
    return msgspec.json.encode(await method.call(state, params))


async def _cached(state: State, method: Method, params: Any) -> bytes:
    cache = state.query_cache if method.cache == "query" else state.pattern_cache
    key = (method.name, _digest(msgspec.json.encode(params)), state.stamp)
    started, known = time.perf_counter(), cache.get(key)
    if known is None:
        result = await method.call(state, params)
        answer = msgspec.json.encode(result)
        again = {**result, "cache_hit": True} if _tells(result) else None
        cache.put(key, msgspec.json.encode(again) if again else answer)
    else:
        answer = known
    _note(state, method, params, answer, known is not None, started)
    return answer


def _tells(result: Any) -> bool:
    return isinstance(result, dict) and "cache_hit" in result


def _note(
    state: State, method: Method, params: Any, answer: bytes, hit: bool, started: float
) -> None:
    """A row for the query log: names only, so that what waits for the disk stays small."""
    if state.keeper is not None and method.cache == "query":
        spent = (time.perf_counter() - started) * 1000
        state.keeper.note_query(query_note(method.name, params, answer, hit, spent))


def _digest(params: bytes) -> bytes:
    """Params may be long, and the cache counts the bytes of answers only."""
    return hashlib.blake2b(params, digest_size=16).digest()


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
