"""Messages: one delivery for each recipient, taken for a time, ended by an acknowledgement."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import InvalidParams
from ..records import JsonObject
from ..sharing import ReadInbox, SendMessage, text_of
from . import statements as sql
from .agents import agent_names
from .caller import Caller, Message, SentMessage, for_admins, read_message, visible
from .clock import iso
from .journal import Change
from .search import index_message
from .statements import MESSAGE, READY, among, notes

SERVER = "server"
MOST_COUNTED = 10_000
SESSION_OF = "session:"
SAY_IT_THERE = "name it as `session`, too, so that who joins later can read it"


def send(change: Change, params: SendMessage) -> JsonObject:
    """Raises InvalidParams for a reply to a message that the caller may not see, and for a session
    in which nobody would get it; then nothing is written."""
    caller = change.caller
    answered = _answered(change, params.reply_to) if params.reply_to else None
    recipients = _recipients(change, params)
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
        _acknowledge(change, [answered])
    names = [name for name in recipients if not name.startswith("queue:")]
    unseen = [name for name in names if change.noted(f"@agent/{name}") is None]
    return {"id": str(number), "recipients": len(recipients), "never_seen": unseen}


def _answered(change: Change, ident: str) -> int:
    number = message_number(ident, "reply_to")
    if not visible_message(change.connection, change.caller, number):
        raise InvalidParams({"reply_to": "there is no such message for you"})
    return number


def visible_message(
    connection: sqlite3.Connection, caller: Caller, number: int
) -> SentMessage | None:
    """The message of that id, if it is there and the caller may see it."""
    rows = connection.execute(sql.MESSAGE_OF, (number, caller.project)).fetchall()
    return next(visible(connection, caller, [(number, *each) for each in rows]), None)


def message_number(ident: str, field: str) -> int:
    """Raises InvalidParams, which names the field, for anything else."""
    if not (ident.isascii() and ident.isdigit() and len(ident) < 19):
        raise InvalidParams({field: f"{ident[:40]} is no id of a message"})
    return int(ident)


def post(change: Change, to: Sequence[str], subject: str, body: str) -> None:
    """A private message of the server's own."""
    message = Message(SERVER, list(to), body, subject[:200], visibility="private")
    _store(change, message, list(to), 2_592_000)


def _store(change: Change, message: Message, recipients: Iterable[str], expires_s: int) -> int:
    key = f"s/{message.session}" if message.session else ""
    number = change.event(MESSAGE, key, message)
    index_message(change.connection, number, key, message)
    ends, is_hidden = change.lease(expires_s), message.visibility == "admin_only"
    boxes = [for_admins(each) if is_hidden else each for each in recipients]
    rows = [
        (change.project, number, box, READY, message.priority, 0, "", ends, ends) for box in boxes
    ]
    change.connection.executemany(sql.ADD_DELIVERY, rows)
    change.topics += [f"@inbox/{box}" for box in boxes]
    return number


def sessions_of(params: SendMessage) -> list[str]:
    """The sessions that a message is sent to, and the one that it is part of."""
    named = [each.removeprefix(SESSION_OF) for each in params.to if each.startswith(SESSION_OF)]
    return [*filter(None, named), *([] if params.session is None else [params.session])]


def _recipients(change: Change, params: SendMessage) -> list[str]:
    """Names and queues, each once; `role:ROLE` itself while no agent has the role."""
    found, own = dict[str, None](), change.caller.name
    for each in (to := params.to):
        kind, _, rest = each.partition(":")
        if each == "all":
            found.update(dict.fromkeys(agent_names(change)))
        elif kind == "role" and rest:
            found.update(dict.fromkeys(agent_names(change, rest) or [each]))
        elif kind == "session" and rest:
            members = notes(change.connection, change.project, f"@member/{rest}/")
            inside = [name for name, _ in members]
            if params.session is None and not set(inside) - {own}:
                raise InvalidParams({"to": f"nobody else is in the session {rest}: {SAY_IT_THERE}"})
            found.update(dict.fromkeys(inside))
        else:
            found[each] = None
    return [each for each in found if each != own or own in to]


def _acknowledge(change: Change, numbers: Sequence[int]) -> None:
    """End the caller's deliveries of these messages, also those taken from a queue."""
    name, boxes = change.caller.name, change.caller.inboxes
    ended = [(name, number, change.project, *boxes, name) for number in numbers]
    change.connection.executemany(among(sql.ACKNOWLEDGE, len(boxes)), ended)


def take(change: Change, params: ReadInbox) -> list[JsonObject]:
    """Acknowledge, then take what is ready, or show it with `peek`."""
    _acknowledge(change, [message_number(each, "ack") for each in params.ack])
    rows = _ready(change.connection, change.caller, params)
    if rows and not params.peek:
        name, until = change.caller.name, change.lease(params.take_s)
        taken = [(name, until, number, box) for _, number, box, _ in rows]
        change.connection.executemany(sql.TAKE, taken)
    return _shown(change.connection, change.project, rows, tried=not params.peek)


def peek(connection: sqlite3.Connection, caller: Caller, params: ReadInbox) -> list[JsonObject]:
    """What is ready; nothing is taken."""
    return _shown(connection, caller.project, _ready(connection, caller, params))


def _ready(connection: sqlite3.Connection, caller: Caller, params: ReadInbox) -> list[Any]:
    """By priority, then in the order of sending: (-priority, message, recipient, tries)."""
    asked = ((caller.project, box, params.limit) for box in boxes_of(caller, params))
    found = (connection.execute(sql.READY_IN, each) for each in asked)
    return sorted(row for rows in found for row in rows)[: params.limit]


def boxes_of(caller: Caller, params: ReadInbox) -> tuple[str, ...]:
    return caller.with_admins((f"queue:{params.queue}",)) if params.queue else caller.inboxes


def count_waiting(
    connection: sqlite3.Connection, project: str, boxes: Sequence[str], most: int = MOST_COUNTED
) -> int:
    """How many messages are ready; at most `most` of each box are counted."""
    found = (connection.execute(sql.COUNT_READY, (project, box, most)) for box in boxes)
    return sum(int(row.fetchone()[0]) for row in found)


def _shown(
    connection: sqlite3.Connection, project: str, rows: Sequence[Any], tried: bool = False
) -> list[JsonObject]:
    shown = list[JsonObject]()
    for _, number, _, tries in rows:
        text, at = connection.execute(sql.MESSAGE_OF, (number, project)).fetchone()
        shown.append({**message_row(number, read_message(text), at), "tries": tries + tried})
    return shown


def message_row(number: int, message: Message, at: int) -> JsonObject:
    """A message as its reader gets it; `at` is Unix ms."""
    row: JsonObject = {
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
