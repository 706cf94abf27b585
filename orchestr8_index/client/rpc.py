"""Call a method of the server: encode params as a JSON-RPC request, decode the response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from ..daemon.http import HttpClient, HttpResponse, HttpStream, NoAnswer
from ..errors import InvalidParams, RequestError, WithFacts
from ..table import Method, error_kind
from ..validate import read_params

NONSENSE = "it answers nonsense"


def call(http: HttpClient, wire: str, params: bytes, waits: float = 0.0) -> bytes:
    """Call a method by its wire name; gives its result as JSON. `waits` extends the timeout, in
    seconds. Raises NoAnswer, or the RequestError that the server answers."""
    return read_reply(http.send("POST", "/", request(wire, params), waits))


def open_stream(http: HttpClient, path: str, seconds: float) -> HttpStream:
    """Open the event stream at a path. Raises NoAnswer, or the RequestError that is answered."""
    answer = http.stream(path, seconds)
    if isinstance(answer, HttpStream):
        return answer
    read_reply(answer)
    raise NoAnswer(NONSENSE)


def write_params(method: Method, given: Mapping[str, Any]) -> tuple[Any, bytes]:
    """(checked params, their JSON) of arguments by name, without `self` and those that are None.

    A mapping becomes an object, any other iterable a list. Raises InvalidParams.
    """
    params = {name: value for name, value in given.items() if value is not None and name != "self"}
    try:
        raw = msgspec.json.encode(params, enc_hook=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParams({"params": f"cannot be written as JSON: {error}"}) from None
    return read_params(method.params, raw), raw


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value)


def request(wire: str, params: bytes, ident: int = 1) -> bytes:
    """A JSON-RPC request, of params that are JSON already."""
    head = f'{{"jsonrpc":"2.0","id":{ident},"method":"{wire}","params":'
    return head.encode() + params + b"}"


class ErrorObject(Struct):
    code: int
    message: str
    data: dict[str, Any] = {}


class RpcReply(Struct):
    """One JSON-RPC response: a result as raw JSON, or an error."""

    jsonrpc: str
    id: int | None = None
    result: Raw = Raw()
    error: ErrorObject | None = None


_ONE, _MANY = msgspec.json.Decoder(RpcReply), msgspec.json.Decoder(list[RpcReply])


def read_reply(response: HttpResponse) -> bytes:
    """The result's JSON. Raises NoAnswer for an invalid response, RequestError for an error."""
    try:
        reply = _ONE.decode(response.body)
    except (msgspec.DecodeError, RecursionError):
        raise NoAnswer(f"{NONSENSE} (HTTP {response.status})") from None
    if reply.error is not None:
        raise error_of(reply.error)
    if not bytes(reply.result):
        raise NoAnswer(NONSENSE)
    return bytes(reply.result)


def read_replies(response: HttpResponse, count: int) -> list[RpcReply]:
    """The responses to the `count` calls of a batch, in the calls' order. Raises NoAnswer."""
    try:
        replies = {each.id: each for each in _MANY.decode(response.body)}
        return [replies[number] for number in range(count)]
    except (msgspec.DecodeError, RecursionError, KeyError):
        raise NoAnswer(f"{NONSENSE} (HTTP {response.status})") from None


def read_result(method: Method, result: bytes) -> Any:
    """The result as the method's type. Raises NoAnswer when it has another shape."""
    try:
        return msgspec.json.decode(result, type=method.result)
    except (msgspec.DecodeError, RecursionError):
        raise NoAnswer(NONSENSE) from None


def error_of(error: ErrorObject) -> RequestError:
    """The exception for an error of the server's response."""
    if error.code == InvalidParams.code:
        rows = error.data.get("validation_errors")
        listed = rows if isinstance(rows, list) else []
        problems = {str(r.get("field")): str(r.get("message")) for r in listed if type(r) is dict}
        cure = str(error.data.get("cure", InvalidParams.cure))
        return InvalidParams(problems or {"params": error.message}, error.message, cure)
    raised = error_kind(error.code)(error.message)
    raised.code, raised.cure = error.code, str(error.data.pop("cure", ""))
    if isinstance(raised, WithFacts):
        raised.facts = error.data
    return raised
