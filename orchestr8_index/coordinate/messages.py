"""Messages: stored for each recipient, shown once for each take, ended by an acknowledgement."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ..errors import InvalidParams
from ..sharing import ReadInbox, SendMessage, text_of
from . import statements as sql
from .agents import names
from .caller import Caller, Message, for_admins, may_see, read_message
from .clock import iso
from .journal import Change
from .search import index_message
from .statements import MESSAGE, READY, among, notes

SERVER = "server"
MOST_COUNTED = 10_000
SESSION_OF = "session:"
SAY_IT_THERE = "name it as `session`, too, so that who joins later can read it"
Row = dict[str, Any]


def send(change: Change, caller: Caller, params: SendMessage) -> Row:
    """Raises InvalidParams for a reply to what the caller cannot see, and for a session in which
    nobody would get it; then nothing is written."""
    answered = _answered(change, caller, params.reply_to) if params.reply_to else None
    recipients = resolve_recipients(change, caller, params)
    message = Message(
        sender=caller.name,
        to=list(params.to),
        body=params.body,
        subject=params.subject,
        session=params.session or "",
        reply_to=params.reply_to,
        visibility=params.visibility,
        priority=params.priority,
        metadata=text_of(params.metadata, "metadata"),
        kind=caller.kind,
        verified=caller.verified,
    )
    number = _store(change, message, recipients, params.expires_s)
    if answered is not None:
        acknowledge(change, caller, [answered])
    unseen = [name for name in recipients if not _was_seen(change, name)]
    return {"id": str(number), "recipients": len(recipients), "never_seen": unseen}


def _answered(change: Change, caller: Caller, ident: str) -> int:
    number = message_number(ident, "reply_to")
    row = change.connection.execute(sql.MESSAGE_OF, (number, change.project)).fetchone()
    if row is None or not may_see(caller, read_message(row[0]), number, change.connection):
        raise InvalidParams({"reply_to": "there is no such message for you"})
    return number


def message_number(ident: str, field: str) -> int:
    """Raises InvalidParams, which names the field, for what is no id of a message."""
    if not (ident.isascii() and ident.isdigit() and len(ident) < 19):
        raise InvalidParams({field: f"{ident[:40]} is no id of a message"})
    return int(ident)


def post(change: Change, to: Sequence[str], subject: str, body: str) -> None:
    """A private message of the server's own."""
    message = Message(SERVER, list(to), body, subject[:200], visibility="private")
    _store(change, message, list(to), 2_592_000)


def _store(change: Change, message: Message, recipients: Iterable[str], expires_s: int) -> int:
    key = f"s/{message.session}" if message.session else ""
    text = msgspec.json.encode(message).decode()
    number = change.event(MESSAGE, key, text)
    index_message(change.connection, number, key, text)
    ends, is_hidden = change.lease(expires_s), message.visibility == "admin_only"
    boxes = [for_admins(each) if is_hidden else each for each in recipients]
    rows = [
        (change.project, number, box, READY, message.priority, 0, "", ends, ends) for box in boxes
    ]
    change.connection.executemany(sql.ADD_DELIVERY, rows)
    change.topics += [f"@inbox/{box}" for box in boxes]
    return number


def sessions_of(params: SendMessage) -> list[str]:
    """The sessions that a message names: to which it goes, and in which it is said."""
    named = [each.removeprefix(SESSION_OF) for each in params.to if each.startswith(SESSION_OF)]
    return [*filter(None, named), *([] if params.session is None else [params.session])]


def resolve_recipients(change: Change, caller: Caller, params: SendMessage) -> list[str]:
    """Names and queues, each once. A role that nobody has yet waits under its own name."""
    found: dict[str, None] = {}
    for each in (to := params.to):
        kind, _, rest = each.partition(":")
        if each == "all":
            found.update(dict.fromkeys(names(change)))
        elif kind == "role" and rest:
            found.update(dict.fromkeys(names(change, rest) or [each]))
        elif kind == "session" and rest:
            members = notes(change.connection, change.project, f"@member/{rest}/")
            inside = [name for name, _ in members]
            if params.session is None and not set(inside) - {caller.name}:
                raise InvalidParams({"to": f"nobody else is in the session {rest}: {SAY_IT_THERE}"})
            found.update(dict.fromkeys(inside))
        else:
            found[each] = None
    named = {each for each in to if each == caller.name}
    return [each for each in found if each != caller.name or each in named]


def _was_seen(change: Change, name: str) -> bool:
    return name.startswith("queue:") or change.noted(f"@agent/{name}") is not None


def acknowledge(change: Change, caller: Caller, numbers: Sequence[int]) -> None:
    """End deliveries to the caller, and those that the caller took from a queue."""
    name, project = caller.name, change.project
    ended = [(name, number, project, *caller.inboxes, name) for number in numbers]
    change.connection.executemany(among(sql.ACKNOWLEDGE, len(caller.inboxes)), ended)


def take(change: Change, caller: Caller, params: ReadInbox) -> list[Row]:
    """Acknowledge, then take what is ready: by priority, then in the order of sending."""
    numbers = [message_number(each, "ack") for each in params.ack]
    acknowledge(change, caller, numbers)
    boxes = boxes_of(caller, params)
    rows = _ready(change.connection, change.project, boxes, params.limit)
    until = change.lease(params.take_s) if rows else 0
    taken = [(caller.name, until, number, box) for _, number, box, _ in rows]
    change.connection.executemany(sql.TAKE, taken)
    asked = (change.connection, change.project)
    return [_shown(*asked, number, tries + 1) for _, number, _, tries in rows]


def peek(connection: sqlite3.Connection, caller: Caller, params: ReadInbox) -> list[Row]:
    """What is ready, without taking it."""
    rows = _ready(connection, caller.project, boxes_of(caller, params), params.limit)
    return [_shown(connection, caller.project, number, tries) for _, number, _, tries in rows]


def _ready(
    connection: sqlite3.Connection, project: str, boxes: Sequence[str], limit: int
) -> list[Any]:
    """By priority, then in the order of sending: (-priority, message, recipient, tries)."""
    found = (connection.execute(sql.READY_IN, (project, box, limit)) for box in boxes)
    return sorted(row for rows in found for row in rows)[:limit]


def boxes_of(caller: Caller, params: ReadInbox) -> tuple[str, ...]:
    return caller.with_admins((f"queue:{params.queue}",)) if params.queue else caller.inboxes


def count_waiting(
    connection: sqlite3.Connection, project: str, boxes: Sequence[str], most: int = MOST_COUNTED
) -> int:
    """How many are ready; of each box at most `most` are counted."""
    found = (connection.execute(sql.COUNT_READY, (project, box, most)) for box in boxes)
    return sum(int(row.fetchone()[0]) for row in found)


def _shown(connection: sqlite3.Connection, project: str, number: int, tries: int) -> Row:
    row = connection.execute(sql.MESSAGE_OF, (number, project)).fetchone()
    return {**message_row(number, read_message(row[0]), row[1]), "tries": tries}


def message_row(number: int, message: Message, at: int) -> Row:
    """A message as its reader gets it; `at` in the clock's milliseconds."""
    row: Row = {
        "id": str(number),
        "from": message.sender,
        "to": message.to,
        "subject": message.subject,
        "body": message.body,
        "session": message.session or None,
        "reply_to": message.reply_to or None,
        "priority": message.priority,
        "at": iso(at),
    }
    if bytes(message.metadata) != b"null":
        row["metadata"] = message.metadata
    if message.visibility != "public":
        row["visibility"] = message.visibility
    more = {"kind": message.kind, "verified": message.verified}
    return row | {name: value for name, value in more.items() if value}
