"""The methods by which agents share values, locks, messages and sessions: params and rows."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from .errors import InvalidParams
from .queries import NoParams
from .table import Example, Method
from .validate import FOR_PROGRAMS, Name, Params

_FAR_POWER, _FAR = re.compile(rb"[eE]\+?[0-9]{3}"), re.compile(rb"(?<![0-9])[0-9]{300}")
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
Limit = Annotated[int, Meta(ge=1, le=1000)]
Visibility = Literal["public", "private", "agent_only", "admin_only"]
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
    """Values to put (or delete, with null), all or none of them."""

    ops: Annotated[list[Op], Meta(min_length=1, max_length=100)]
    fence: Annotated[list[Fence], Meta(max_length=64)] = []
    request_id: Request = ""


class LockResources(Params, frozen=True):
    """Locks to acquire, renew or release with a token, or to list."""

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
    """`to`: NAME, role:R, session:ID, queue:Q or all; nobody, where it is said in a session."""

    to: Annotated[list[Name], Meta(max_length=50)]
    body: Annotated[str, Meta(max_length=MAX_BODY)]
    subject: Short = ""
    session: SessionId | None = None
    reply_to: Short = ""
    visibility: Visibility = "public"
    priority: Annotated[int, Meta(ge=0, le=3)] = 1
    metadata: Any = None
    expires_s: Annotated[int, Meta(ge=1, le=2_592_000)] = 2_592_000
    fence: Annotated[list[Fence], Meta(max_length=64)] = []
    request_id: Request = ""

    def problems(self) -> dict[str, str]:
        is_heard = self.to or self.session is not None
        return {} if is_heard else {"to": "name somebody, or the session in which it is said"}


class ReadInbox(Params, frozen=True):
    """A message is shown once until `take_s` passes; only `ack` or a reply ends it."""

    limit: Annotated[int, Meta(ge=1, le=50)] = 10
    wait_ms: Wait = 0
    ack: Annotated[list[Short], Meta(max_length=1000)] = []
    queue: Short = ""
    take_s: Annotated[int, Meta(ge=10, le=3600)] = 300
    peek: bool = False


class SessionCall(Params, frozen=True):
    """What to do with a session, or with the messages in it.

    `max_tokens` reads the newest messages whole and an extract of those before. `offset` counts
    from the oldest message that the caller may see; `message` is one's id; `in_all` lists sessions
    that are closed, too, and searches names and metadata of messages, too.
    """

    action: Literal["create", "join", "leave", "list", "get", "read", "set", "close"]
    id: SessionId | None = None
    purpose: Annotated[str, Meta(max_length=1000)] | None = None
    metadata: Any = None
    state: Any = None
    ttl_s: Annotated[int, Meta(ge=60, le=2_592_000)] | None = None
    limit: Limit = 50
    after: Rev | None = None
    query: Annotated[str, Meta(max_length=500)] = ""
    fuzzy_threshold: Annotated[float, Meta(ge=0, le=100)] = 60
    max_tokens: Annotated[int, Meta(ge=100, le=200_000)] | None = None
    offset: Annotated[Rev | None, FOR_PROGRAMS] = None
    message: Annotated[Short, FOR_PROGRAMS] = ""
    visibility: Annotated[list[Visibility], FOR_PROGRAMS] = []
    in_all: Annotated[bool, FOR_PROGRAMS] = False


class BreakLock(Params, frozen=True):
    """A lock to take away from whoever holds it, with the reason that the holder is told."""

    resource: str
    reason: Annotated[str, Meta(min_length=1, max_length=200)]


class SnapshotShared(Params, frozen=True):
    """Which values to copy."""

    prefix: Prefix = ""


class SavedValue(Struct, frozen=True, forbid_unknown_fields=True):
    """One value of a snapshot."""

    key: Key
    value: Raw
    expires_in: Annotated[int, Meta(ge=1, le=86_400)] | None = None


class RestoreShared(Params, frozen=True):
    """Every key below `prefix` is afterwards as in `items`, or gone."""

    items: list[SavedValue]
    prefix: Prefix = ""


def plain_text(value: object) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def value_text(raw: Raw, field: str) -> str:
    """The JSON text of a value. Raises InvalidParams for what is too long or no JSON."""
    data = bytes(raw)
    if len(data) > MAX_VALUE and not _is_text(data):
        raise InvalidParams({field: f"has {len(data):,} bytes; the most is {MAX_VALUE:,}"})
    try:
        msgspec.json.decode(data, type=Raw)  # checks all of it, and builds nothing
        if _FAR_POWER.search(data) or (len(data) >= 300 and _FAR.search(data)):  # out of range?
            msgspec.json.decode(data)
        return data.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        why = "is no JSON value (NaN, infinity and lone surrogates are none)"
        raise InvalidParams({field: why}) from None


def _is_text(data: bytes) -> bool:
    """Whether it is a JSON string that is not too long once its escapes are decoded."""
    try:
        return len(msgspec.json.decode(data, type=str).encode()) <= MAX_VALUE
    except (msgspec.DecodeError, UnicodeError):
        return False


def text_of(anything: Any, field: str) -> Raw:
    """A decoded value as JSON again. Raises InvalidParams for what is too long."""
    return Raw(value_text(value_of(anything), field).encode())


def value_of(anything: Any) -> Raw:
    """Any value of Python as the raw JSON that a param holds. Raises InvalidParams."""
    try:
        return Raw(json.dumps(anything, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParams({"value": f"is no JSON value: {error}"}) from None


# --- the rows of the table ---------------------------------------------------------------------


def _row(name: str, short: str, params: type[Params], sentence: str, **more: Any) -> Method:
    return Method(name, short, params, dict[str, Any], sentence, face="coordinate", **more)


SHARING = (
    _row(
        "readShared",
        "read_shared",
        ReadShared,
        "Values that agents share, by keys, prefix or pattern: now, as they were, as they change.",
        when=(
            "Read what agents share: keys, a prefix or a pattern. changed_after with wait_ms waits"
            " for the next change."
        ),
        example=Example(
            '{"keys":["task/42"]}',
            '{"items":[{"key":"task/42","value":"review","rev":7,"by":"coder","at":1767225600.0}],"rev":7}',
        ),
    ),
    _row(
        "writeShared",
        "write_shared",
        WriteShared,
        "Write shared values, all or none; with if_rev only where nobody wrote since.",
        scope="report",
        when=(
            "Share values with other agents: all of ops or none. if_rev writes only over that"
            " revision; fence only while your lock holds."
        ),
        example=Example(
            '{"ops":[{"key":"task/42","value":"review"}]}',
            '{"rev":7,"items":[{"key":"task/42","rev":7}]}',
        ),
    ),
    _row(
        "lockResources",
        "lock",
        LockResources,
        "Acquire, renew, release or list locks on files, folders and names such as port:3000.",
        when=(
            "Before work that others must not do at once: acquire all that you need as one set"
            " (paths, folders with /, names as port:3000). Keep the token: it renews and releases."
        ),
        example=Example(
            '{"action":"acquire","resources":["port:3000"]}',
            '{"token":"8.3f9a","until":1767225900.0,"renewed":false}',
        ),
    ),
    _row(
        "sendMessage",
        "send_message",
        SendMessage,
        "A message to agents, a role, a session's members, a queue, or all.",
        scope="report",
        when=(
            "Tell other agents: NAME, role:R, session:ID, all, or queue:Q, whose tasks go to one"
            " taker each."
        ),
        example=Example(
            '{"to":["tester"],"body":"The parser is ready."}',
            '{"id":9,"recipients":1,"never_seen":[]}',
        ),
    ),
    _row(
        "readInbox",
        "read_inbox",
        ReadInbox,
        "Take the messages that wait for the caller or in a queue; ack ends them.",
        when="Take what others sent you, or a queued task. Ack what is done; else it comes again.",
        example=Example('{"limit":1}', '{"messages":[],"waiting":0}'),
    ),
    _row(
        "session",
        "session",
        SessionCall,
        "Sessions of agents: members, state, and messages that can be read and searched.",
        when="Work together on one thing: create or join, read or search what was said, set state.",
        example=Example('{"action":"list"}', '{"sessions":[]}'),
    ),
    _row(
        "breakLock",
        "break_lock",
        BreakLock,
        "End the locks on a resource for a reason; their holders are told.",
        scope="admin",
        example=Example('{"resource":"port:3000","reason":"its holder is gone"}', '{"broken":1}'),
    ),
    _row(
        "snapshotShared",
        "snapshot_shared",
        SnapshotShared,
        "All shared values below a prefix.",
        scope="admin",
        example=Example('{"prefix":"task/"}', '{"items":[],"rev":9}'),
    ),
    _row(
        "restoreShared",
        "restore_shared",
        RestoreShared,
        "Put shared values back as a snapshot has them.",
        scope="admin",
        example=Example('{"items":[{"key":"task/42","value":"review"}]}', '{"rev":10}'),
    ),
    _row(
        "coordination",
        "coordination",
        NoParams,
        "Which agents there are, what each holds, and counts and sizes of what they share.",
    ),
)
