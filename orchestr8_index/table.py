"""The shape of the table of methods: what a row says, and which errors any method may have."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from .errors import (
    Forbidden,
    InternalError,
    InvalidParams,
    Overloaded,
    RequestError,
    TooManyRequests,
    Unauthorized,
    WithFacts,
)
from .records import Kind
from .validate import Params

Scope = Literal["read", "report", "admin"]


def error_kind(code: int) -> type[RequestError]:
    """The error class of a JSON-RPC code; its subclasses of the same code are read as it."""
    return next((k for k in RequestError.__subclasses__() if k.code == code), RequestError)


def error_name(outcome: str) -> str:
    """The name of the error class for a code as text; other text as it is."""
    return error_kind(int(outcome)).__name__ if outcome.startswith("-") else outcome


def is_failure(code: int) -> bool:
    """Whether a call that ended with this code counts as failed. Conflicts among agents do not, nor
    do refusals of a server that is full."""
    return not issubclass(error_kind(code), WithFacts | TooManyRequests | Overloaded)


class Example(Struct, frozen=True):
    """A call's params and a result that they may have, as JSON."""

    params: str
    result: str


COMMON_ERRORS: tuple[type[RequestError], ...] = (
    InvalidParams,
    InternalError,
    TooManyRequests,
    Unauthorized,
    Forbidden,
    Overloaded,
)
"""What any method may answer with; its own `errors` come before them."""


class Method(Struct, frozen=True):
    """One method. `name` is its name in JSON-RPC; `short` in MCP, the clients and the command line.

    `params` is a struct; `result` a type that msgspec can decode. `scope` is the right that a
    caller needs. `cache` names the server's cache that keeps its answers; only those carry
    `cache_hit`. `about` is the kind of entries whose experience alone can change an answer.
    `away` is what a client does without a server: answer from an index of its own, fail, or keep
    the call until a server is there. `face` is the MCP address that offers it: /mcp, or
    /mcp/coordinate; `page` is none, but for people. A `quiet` call leaves no trace. `sentence` is
    for people. `when` tells a model when to call it; a method without it is no MCP tool. `errors`
    are its own, beside COMMON_ERRORS.
    """

    name: str
    short: str
    params: type[Params]
    result: Any
    sentence: str
    scope: Scope = "read"
    cache: Literal["", "query", "pattern"] = ""
    about: Kind | None = None
    away: Literal["answer", "fail", "keep"] = "fail"
    face: Literal["index", "coordinate", "page"] = "index"
    quiet: bool = False
    when: str = ""
    errors: tuple[type[RequestError], ...] = ()
    example: Example | None = None
