"""Who calls, as the connection says it, and what that caller may see."""

from __future__ import annotations

import sqlite3

import msgspec
from msgspec import Struct

from ..errors import Forbidden
from . import statements as sql
from .statements import among

SCOPES = ("read", "report", "admin")


class Caller(Struct, frozen=True):
    """`name` is the inbox and the label; `ident` tells apart two callers that look alike.

    `tree` is the absolute path of the caller's working tree, "" where it is not known; `tool` is
    what it used last, where a host tells that.
    """

    name: str
    ident: str = ""
    project: str = "default"
    scope: str = "admin"
    role: str = ""
    tree: str = ""
    tool: str = ""

    @property
    def who(self) -> str:
        return self.ident or self.name

    @property
    def inboxes(self) -> tuple[str, ...]:
        return (self.name, f"role:{self.role}") if self.role else (self.name,)

    def require(self, scope: str) -> None:
        """Raises Forbidden below that scope."""
        if SCOPES.index(self.scope) < SCOPES.index(scope):
            raise Forbidden(f"This needs a key of the scope {scope}.")


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


read_message = msgspec.json.Decoder(Message).decode


def may_see(caller: Caller, message: Message, number: int, connection: sqlite3.Connection) -> bool:
    """The one rule for messages, in reads, waits, streams, resources and search.

    Public ones are for everybody of the project; private ones for sender, recipients and admins.
    """
    if message.visibility == "public" or caller.scope == "admin":
        return True
    return message.sender == caller.name or _was_sent(caller, number, connection)


def _was_sent(caller: Caller, number: int, connection: sqlite3.Connection) -> bool:
    asked = (number, caller.project, caller.name, *caller.inboxes)
    found = connection.execute(among(sql.WAS_SENT, len(caller.inboxes)), asked)
    return found.fetchone() is not None
