"""The types of a face: its tools, and the methods and caller that each call is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from msgspec import Struct

from ..errors import RequestError

JsonObject = dict[str, Any]
Arguments = JsonObject


class Who(Struct, frozen=True):
    """The caller of a tool.

    `label` is its agent name; `kind` is shared by agents of one kind: the key's name, else the
    client's. `keyed`: an API key proves the name. `own` is the prefix of its private shared keys.
    """

    label: str
    kind: str
    right: str
    keyed: bool
    own: str


class Core(Protocol):
    """The methods of the table, called as one caller. `workspace` is the tasks' folder or ""."""

    @property
    def who(self) -> Who: ...
    @property
    def workspace(self) -> str: ...
    def must_write(self, key: str) -> None: ...  # raises Forbidden
    def rename(self, name: str) -> None:
        """Set the name of a caller without a key, for the rest of its session."""

    async def call(self, method: str, **params: Any) -> Any:
        """Call a method; gives its result. Raises RequestError."""


Run = Callable[[Core, Arguments], Awaitable[JsonObject]]


class Tool(Struct, frozen=True):
    """A tool; `fields` are its arguments' JSON schemas by name, `needs` the required ones."""

    name: str
    description: str
    fields: dict[str, Any]
    needs: tuple[str, ...]
    run: Run
    reads: bool = False
    extra: bool = False

    @property
    def described(self) -> JsonObject:
        """Its row in `tools/list`."""
        schema = {"type": "object", "properties": self.fields, "required": list(self.needs)}
        row = {"name": self.name, "description": self.description, "inputSchema": schema}
        return {**row, "annotations": {"readOnlyHint": True}} if self.reads else row


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
    """Make a function a tool; its docstring is the tool's description for models.

    The signature is `name field! field:int …`: a field is a string, or what SCHEMAS has under the
    word after its colon; `!` marks a required one.
    """
    name, *words = signature.split()
    pairs = [word.rstrip("!").partition(":") for word in words]
    fields = {field: SCHEMAS[kind] for field, _, kind in pairs}
    needs = tuple(f for word, (f, _, _) in zip(words, pairs, strict=True) if word.endswith("!"))
    return lambda run: Tool(
        name, " ".join((run.__doc__ or "").split()), fields, needs, run, reads, extra
    )


class Product(Struct, frozen=True):
    """One product's tools. `by_session`: agents without a name are told apart by MCP session.
    `open_right` is the highest scope of a caller without a key. `talk`: results are agents'
    messages, not files or values that must be passed on unaltered."""

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
    """A tool refused the call; `body` is its answer."""

    def __init__(self, body: JsonObject) -> None:
        super().__init__(str(body))
        self.body = body


def now() -> str:
    """The time as ISO 8601 with milliseconds and Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
