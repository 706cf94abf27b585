"""From the arguments of a call to a JSON-RPC request, and from its reply to a typed result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from ..errors import InvalidParams, RequestError
from ..methods import Method
from ..validate import read_params
from .steps import Reply, Trouble


def write_params(method: Method, given: Mapping[str, Any]) -> tuple[Any, bytes]:
    """The checked params and their JSON; None means not given, `self` is none.

    Whatever can be walked through becomes a list or an object. Raises InvalidParams.
    """
    named = {name: value for name, value in given.items() if value is not None and name != "self"}
    try:
        raw = msgspec.json.encode(named, enc_hook=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParams({"params": f"cannot be written as JSON: {error}"}) from None
    return read_params(method.params, raw), raw


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value)


def request(wire: str, raw: bytes, ident: int = 1) -> bytes:
    head = f'{{"jsonrpc":"2.0","id":{ident},"method":"{wire}","params":'
    return head.encode() + raw + b"}"


# --- what the server says ----------------------------------------------------------------------


class Complaint(Struct):
    code: int
    message: str
    data: dict[str, Any] = {}


class Said(Struct):
    """One JSON-RPC reply: either a result, as it came, or a complaint."""

    jsonrpc: str
    id: int | None = None
    result: Raw = Raw()
    error: Complaint | None = None


_SAID, _ALL_SAID = msgspec.json.Decoder(Said), msgspec.json.Decoder(list[Said])
NONSENSE = "it answers nonsense"


def read_reply(reply: Reply) -> bytes | Trouble:
    """The result's JSON, or what is wrong."""
    try:
        said = _SAID.decode(reply.body)
    except (msgspec.DecodeError, RecursionError):
        return Trouble(f"{NONSENSE} (HTTP {reply.status})")
    if said.error is not None:
        error = error_of(said.error)
        return Trouble(error.sentence, error=error)
    return bytes(said.result) or Trouble(NONSENSE)


def read_replies(reply: Reply, count: int) -> list[Said] | Trouble:
    """One for each of the `count` calls of a batch, in their order."""
    try:
        said = {each.id: each for each in _ALL_SAID.decode(reply.body)}
        return [said[number] for number in range(count)]
    except (msgspec.DecodeError, RecursionError, KeyError):
        return Trouble(f"{NONSENSE} (HTTP {reply.status})")


def read_result(method: Method, result: bytes) -> Any:
    """The typed result. Raises msgspec.DecodeError for another shape."""
    return msgspec.json.decode(result, type=method.result)


def error_of(said: Complaint) -> RequestError:
    """The error of the family that the server raised."""
    if said.code == InvalidParams.code:
        rows = said.data.get("validation_errors")
        named = rows if isinstance(rows, list) else []
        problems = {str(r.get("field")): str(r.get("message")) for r in named if type(r) is dict}
        return InvalidParams(problems or {"params": said.message})
    kind = next((k for k in RequestError.__subclasses__() if k.code == said.code), RequestError)
    error = kind(said.message)
    error.code, error.cure = said.code, str(said.data.get("cure", ""))
    return error
