"""The caller of a method: its identity, and the keys and messages that it may see."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..changeable import PREFIX
from ..errors import Forbidden
from ..validate import UNDECODABLE
from . import statements as sql
from .feed import Owner
from .select import PRIVATE, Keys
from .statements import among

SCOPES = ("read", "report", "admin")


class Caller(Struct, frozen=True):
    """`name` is the inbox and the label; `ident` tells apart two callers of one name.

    `tree` is the absolute path of the caller's working tree, "" where it is unknown; `tool` is the
    one that it used last, where a host says so; `kind` is the group for `agent_only` messages.
    `verified`: an API key proves the name. `writes` are the keys that it may write, as prefixes
    where they end in `*`; none means all. `sees_one`: its API key is for some projects, so it may
    not change the settings of the whole server. `owner` is charged for its waiting calls.
    """

    name: str
    ident: str = ""
    project: str = "default"
    scope: str = "admin"
    role: str = ""
    tree: str = ""
    tool: str = ""
    kind: str = ""
    verified: bool = False
    writes: tuple[str, ...] = ()
    sees_one: bool = False
    owner: Owner | None = None

    @property
    def payer(self) -> Owner:
        return self.owner or Owner(self.name)

    @property
    def own(self) -> str:
        """The prefix of its private keys."""
        name = f"{self.verified:d}{self.name}".encode()
        return f"{PRIVATE}{hashlib.blake2b(name, digest_size=10).hexdigest()}/"

    @property
    def sees_all(self) -> bool:
        """Whether it sees the private keys of others: an admin by an API key does."""
        return self.scope == "admin" and self.verified

    def may_read(self, keys: Keys) -> Keys:
        """`keys` without the private ones of others."""
        if self.sees_all or not keys.reaches_private:
            return keys
        return replace(keys, own=self.own)

    def may_write(self, keys: Iterable[str]) -> None:
        """Raises Forbidden for a private key of another, for a key that is not among its `writes`,
        and for a setting of the servers, which is for admins.

        A key that ends in `*` stands for all keys with that prefix.
        """
        for key in keys:
            if _overlaps(key, PREFIX) and (self.scope != "admin" or self.sees_one):
                cure = "Ask with such a key, which is for all projects."
                raise Forbidden("The servers' settings are for admins.", cure)
            if self.writes and not any(_covers(key, pattern) for pattern in self.writes):
                cure = f"It may write {', '.join(self.writes)}."
                raise Forbidden(f"This API key may not write {key}.", cure)
            if key.startswith(PRIVATE) and not self.sees_all and not key.startswith(self.own):
                raise Forbidden(f"What is below {PRIVATE} is its owner's.", "Use another key.")

    @property
    def who(self) -> str:
        return self.ident or self.name

    @property
    def session(self) -> str:
        return session_of(self.who)

    @property
    def inboxes(self) -> tuple[str, ...]:
        return self.with_admins((self.name, f"role:{self.role}") if self.role else (self.name,))

    def with_admins(self, boxes: tuple[str, ...]) -> tuple[str, ...]:
        """The boxes and, for an admin, those of the same names for messages to admins alone."""
        return (*boxes, *map(for_admins, boxes)) if self.scope == "admin" else boxes

    def require(self, scope: str) -> None:
        """Raises Forbidden for a lower scope."""
        if SCOPES.index(self.scope) < SCOPES.index(scope):
            raise Forbidden(f"This needs a key of the scope {scope}.")


def _overlaps(key: str, prefix: str) -> bool:
    """Whether the key, or one of those that `key*` stands for, begins with the prefix."""
    return key.startswith(prefix) or (key.endswith("*") and prefix.startswith(key[:-1]))


def _covers(key: str, pattern: str) -> bool:
    return key.startswith(pattern[:-1]) if pattern.endswith("*") else key == pattern


def session_of(ident: str) -> str:
    """The session of a SESSION/AGENT."""
    return ident.partition("/")[0]


def for_admins(box: str) -> str:
    """The box for messages that the recipient sees only as an admin; no agent has that name."""
    return f"admin:{box}"


class Message(Struct, omit_defaults=True):
    """A message as the log keeps it; `at` and id are the event's."""

    sender: str
    to: list[str]
    body: str
    subject: str = ""
    session: str = ""
    reply_to: str = ""
    visibility: str = "public"
    priority: int = 1
    metadata: msgspec.Raw = msgspec.Raw(b"null")
    kind: str = ""
    verified: bool = False


SentMessage = tuple[int, Message, int]
"""A message with its id and Unix ms."""
_read = msgspec.json.Decoder(Message).decode
DAMAGED = Message("", [], "This message is damaged.")


def read_message(text: str) -> Message:
    """Decode a message of the log; DAMAGED where that fails."""
    try:
        return _read(text)
    except (*UNDECODABLE, TypeError):
        return DAMAGED


def may_see(caller: Caller, message: Message, number: int, connection: sqlite3.Connection) -> bool:
    """The one rule for messages, in reads, waits, streams, resources and search.

    A public message is for the whole project, a private one for its sender and recipients, one with
    `agent_only` also for the sender's kind; admins see all. Where a key proved the sender's name,
    only a caller with a proven name counts as the sender, or as one of its kind.
    """
    if message.visibility == "public" or caller.scope == "admin":
        return True
    if message.visibility == "admin_only":
        return False
    is_proven = caller.verified or not message.verified
    is_alike = message.visibility == "agent_only" and message.kind and message.kind == caller.kind
    if is_proven and (is_alike or message.sender == caller.name):
        return True
    asked = (number, caller.project, caller.name, *caller.inboxes)
    found = connection.execute(among(sql.WAS_SENT, len(caller.inboxes)), asked)
    return found.fetchone() is not None


def visible(
    connection: sqlite3.Connection, caller: Caller, rows: Iterable[tuple[int, str, int]]
) -> Iterator[SentMessage]:
    """Of rows of the log (id, text, at), the messages that the caller may see."""
    for number, text, at in rows:
        if may_see(caller, message := read_message(text), number, connection):
            yield number, message, at
