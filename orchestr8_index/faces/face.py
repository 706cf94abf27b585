"""What a face is made of, and what it is given: the core's methods, and who calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from msgspec import Struct

from ..errors import RequestError

JsonObject = dict[str, Any]
Arguments = JsonObject


class Who(Struct, frozen=True):
    """The caller, as the connection says it.

    `label` is its name among agents, `kind` what it has in common with others of its sort: the
    key, else the client's name. `keyed`: a key proves it. `own` is what the keys begin with that
    it alone sees.
    """

    label: str
    kind: str
    right: str
    keyed: bool
    own: str


class Core(Protocol):
    """The methods of the table, for one caller. `workspace` is the folder of tasks, "" for none."""

    @property
    def who(self) -> Who: ...
    @property
    def workspace(self) -> str: ...
    def rename(self, name: str) -> None:
        """A caller without a key calls itself so, from now on in its session."""

    async def call(self, method: str, **params: Any) -> Any:
        """The method's result. Raises RequestError."""


Run = Callable[[Core, Arguments], Awaitable[JsonObject]]


class Tool(Struct, frozen=True):
    """`fields` are the properties of its arguments' schema; those in `needs` must be given."""

    name: str
    description: str
    fields: dict[str, Any]
    needs: tuple[str, ...]
    run: Run
    reads: bool = False
    extra: bool = False

    @property
    def described(self) -> JsonObject:
        """As `tools/list` has it."""
        schema = {"type": "object", "properties": self.fields, "required": list(self.needs)}
        told = {"name": self.name, "description": self.description, "inputSchema": schema}
        return {**told, "annotations": {"readOnlyHint": True}} if self.reads else told


VISIBILITIES = ("public", "private", "agent_only", "admin_only")
SCOPES = {"all": [], "public": ["public"], "private": ["private"]}
SCHEMAS: dict[str, Any] = {
    "": {"type": "string"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "object": {"type": "object"},
    "objects": {"type": "array", "items": {"type": "object"}},
    "strings": {"type": "array", "items": {"type": "string"}},
    "any": {"description": "Any JSON."},
    "json": {"type": "string", "description": "Often JSON."},
    "seconds": {"type": "integer", "description": "Seconds."},
    "ttl": {"type": "number", "description": "Seconds, 1-86400; 3600 if not given."},
    "score": {"type": "number", "description": "0-100; 60 if not given."},
    "seen": {"type": "string", "enum": list(VISIBILITIES)},
    "scope": {"type": "string", "enum": list(SCOPES)},
    "token": {"type": "string", "description": "Of claim_file."},
}


def tool(signature: str, *, reads: bool = False, extra: bool = False) -> Callable[[Run], Tool]:
    """What runs it becomes a tool, which its docstring describes for a model.

    In `name field! field:int …` a field is a string unless SCHEMAS has what it says; one with a `!`
    must be given.
    """
    name, *words = signature.split()
    pairs = [word.rstrip("!").partition(":") for word in words]
    fields = {field: SCHEMAS[kind] for field, _, kind in pairs}
    needs = tuple(f for word, (f, _, _) in zip(words, pairs, strict=True) if word.endswith("!"))
    return lambda run: Tool(
        name, " ".join((run.__doc__ or "").split()), fields, needs, run, reads, extra
    )


class Product(Struct, frozen=True):
    """One product's tools. `by_session`: agents without a name of their own are told apart by
    their MCP session. `open_right` is what a caller without a key may at most. `talk`: it tells
    what agents said for others to read, and no file or value that must stay as it is."""

    tools: tuple[Tool, ...]
    instructions: str
    failed: Callable[[RequestError], JsonObject]
    templates: dict[str, str] = {}
    read: Callable[[Core, str], Awaitable[Any]] | None = None
    http: Callable[[Core, str, str, bytes], Awaitable[tuple[int, JsonObject]]] | None = None
    by_session: bool = False
    open_right: Literal["read", "report", "admin"] = "admin"
    talk: bool = False


class Declined(Exception):
    """A tool refuses, with this body."""

    def __init__(self, body: JsonObject) -> None:
        super().__init__(str(body))
        self.body = body


def now() -> str:
    """The time as ISO 8601 with milliseconds and Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
