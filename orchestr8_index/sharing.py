"""The params of the methods by which agents share values, locks, messages and sessions."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from .errors import InvalidParams
from .validate import Params

MAX_VALUE = 10_485_760
MAX_BODY = 100_000
KEY = r"^[A-Za-z0-9:_./-]*$(?!\n)"
Key = Annotated[str, Meta(min_length=1, max_length=255, pattern=KEY)]
Prefix = Annotated[str, Meta(max_length=255, pattern=KEY)]
Pattern = Annotated[str, Meta(max_length=255, pattern=r"^[A-Za-z0-9:_./*?-]*$(?!\n)")]
Rev = Annotated[int, Meta(ge=0, lt=1 << 53)]
Wait = Annotated[int, Meta(ge=0, le=45_000)]
Request = Annotated[str, Meta(max_length=200)]
Short = Annotated[str, Meta(max_length=200)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Limit = Annotated[int, Meta(ge=1, le=1000)]
SessionId = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9:_.-]*$(?!\n)")]


class ReadShared(Params, frozen=True):
    """One of `keys`, `prefix` and `pattern`; `after` is a key, `changed_after` a revision."""

    keys: Annotated[list[Key], Meta(max_length=100)] | None = None
    prefix: Prefix | None = None
    pattern: Pattern | None = None
    limit: Limit = 100
    after: Prefix = ""
    history: bool = False
    at_rev: Rev | None = None
    changed_after: Rev | None = None
    wait_ms: Wait = 0

    def problems(self) -> dict[str, str]:
        given = sum(each is not None for each in (self.keys, self.prefix, self.pattern))
        return {} if given == 1 else {"keys": "give exactly one of keys, prefix and pattern"}


class Op(Struct, frozen=True, forbid_unknown_fields=True):
    """A null value deletes the key; `if_rev` 0 demands that there is none."""

    key: Key
    value: Raw
    ttl_s: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    if_rev: Rev | None = None


class Fence(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing is written unless `token` holds `resource` at that moment."""

    resource: str
    token: Short


class WriteShared(Params, frozen=True):
    ops: Annotated[list[Op], Meta(min_length=1, max_length=100)]
    fence: Annotated[list[Fence], Meta(max_length=64)] = []
    request_id: Request = ""


class LockResources(Params, frozen=True):
    action: Literal["acquire", "renew", "release", "list"]
    resources: Annotated[list[str], Meta(max_length=64)] = []
    mode: Literal["exclusive", "shared"] = "exclusive"
    ttl_s: Annotated[int, Meta(ge=5, le=86_400)] = 300
    on_busy: Literal["refuse", "wait", "notify"] = "refuse"
    wait_ms: Wait = 0
    purpose: Short = ""
    token: Short = ""
    request_id: Request = ""


class SendMessage(Params, frozen=True):
    """`to`: NAME, role:R, session:ID, queue:Q or all."""

    to: Annotated[list[Name], Meta(min_length=1, max_length=50)]
    body: Annotated[str, Meta(max_length=MAX_BODY)]
    subject: Short = ""
    session: SessionId | None = None
    reply_to: Short = ""
    visibility: Literal["public", "private"] = "public"
    priority: Annotated[int, Meta(ge=0, le=3)] = 1
    metadata: Any = None
    expires_s: Annotated[int, Meta(ge=1, le=2_592_000)] = 2_592_000
    fence: Annotated[list[Fence], Meta(max_length=64)] = []
    request_id: Request = ""


class ReadInbox(Params, frozen=True):
    """A message is shown once until `take_s` passes; only `ack` or a reply ends it."""

    limit: Annotated[int, Meta(ge=1, le=50)] = 10
    wait_ms: Wait = 0
    ack: Annotated[list[Short], Meta(max_length=1000)] = []
    queue: Short = ""
    take_s: Annotated[int, Meta(ge=10, le=3600)] = 300
    peek: bool = False


class SessionCall(Params, frozen=True):
    action: Literal["create", "join", "leave", "list", "get", "read", "set", "close"]
    id: SessionId | None = None
    purpose: Short | None = None
    metadata: Any = None
    state: Any = None
    ttl_s: Annotated[int, Meta(ge=60, le=2_592_000)] | None = None
    limit: Limit = 50
    after: Rev | None = None
    query: Annotated[str, Meta(max_length=500)] = ""
    fuzzy_threshold: Annotated[float, Meta(ge=0, le=100)] = 60


class BreakLock(Params, frozen=True):
    resource: str
    reason: Annotated[str, Meta(min_length=1, max_length=200)]


class SnapshotShared(Params, frozen=True):
    prefix: Prefix = ""


class Kept(Struct, frozen=True, forbid_unknown_fields=True):
    key: Key
    value: Raw
    expires_in: Annotated[int, Meta(ge=1, le=86_400)] | None = None


class RestoreShared(Params, frozen=True):
    """Every key below `prefix` is afterwards as in `items`, or gone."""

    items: list[Kept]
    prefix: Prefix = ""


def value_text(raw: Raw, field: str) -> str:
    """The JSON text of a value. Raises InvalidParams for what is too long or no JSON."""
    data = bytes(raw)
    if len(data) > MAX_VALUE:
        raise InvalidParams({field: f"has {len(data):,} bytes; the most is {MAX_VALUE:,}"})
    try:
        msgspec.json.decode(data)
        return data.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        why = "is no JSON value (NaN, infinity and lone surrogates are none)"
        raise InvalidParams({field: why}) from None


def text_of(anything: Any, field: str) -> Raw:
    """A decoded value as JSON again. Raises InvalidParams for what is too long."""
    return Raw(value_text(value_of(anything), field).encode())


def value_of(anything: Any) -> Raw:
    """Any value of Python as the raw JSON that a param holds. Raises InvalidParams."""
    try:
        return Raw(json.dumps(anything, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParams({"value": f"is no JSON value: {error}"}) from None
