"""Sessions: agents that work on one task, their shared state, and their messages."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from ..errors import Conflict, InvalidParams, NoSuchSession
from ..records import JsonObject
from ..sharing import SessionCall, text_of
from . import statements as sql
from .caller import Caller, Message, may_see, read_message, visible
from .clock import iso
from .extract import within
from .journal import Change, last_revision
from .messages import message_number, message_row, visible_message
from .search import search
from .select import page
from .statements import SESSION, below, noted, notes
from .values import delete_below

NOT_PUBLIC, PUBLIC = '"visibility":', Message("", [], "")
MOST_READ = 5000  # messages that an extract looks at
DAY_MS, IDLE_DAYS, KEPT_DAYS = 86_400_000, 7, 30


class Session(Struct, frozen=True, omit_defaults=True):
    """As it is stored; times are Unix ms. An archived one is not listed."""

    id: str
    created: int
    last: int
    purpose: str = ""
    state: Raw = Raw(b"null")
    metadata: Raw = Raw(b"null")
    ttl_s: int | None = None
    status: str = "open"
    by: str = ""


_read = msgspec.json.Decoder(Session).decode


def change_session(change: Change, params: SessionCall) -> JsonObject:
    """create, join, leave, set and close. Raises Conflict, NoSuchSession, InvalidParams."""
    if params.action == "create":
        return _create(change, params)
    session = open_session(change, require_id(params))
    if params.action == "join":
        _join(change, session.id, params.metadata)
    elif params.action == "leave":
        change.forget(f"@member/{session.id}/{change.caller.name}")
    elif params.action == "set":
        session = _set(session, params)
    else:
        session = replace(session, status="closed")
        delete_below(change, f"s/{session.id}/", "session closed")
    _keep(change, replace(session, last=change.at), params.action)
    return get_session(change.connection, change.project, session.id)


def _create(change: Change, params: SessionCall) -> JsonObject:
    ident = params.id or f"session_{secrets.token_hex(8)}"
    if found := _find(change.connection, change.project, ident):
        sentence = f"There is a session {ident} already, {found.status}."
        cure = "Join it, or create one with another id."
        raise Conflict(sentence, cure, key=f"s/{ident}", rev=0, by="")
    session = Session(ident, change.at, change.at, ttl_s=params.ttl_s, by=change.caller.name)
    _keep(change, _set(session, params), "create")
    _join(change, ident, None)
    return get_session(change.connection, change.project, ident)


def _set(session: Session, params: SessionCall) -> Session:
    """The session with the fields that are given."""
    given: JsonObject = {"purpose": params.purpose, "ttl_s": params.ttl_s}
    for name, value in (("state", params.state), ("metadata", params.metadata)):
        given[name] = None if value is None else text_of(value, name)
    return replace(session, **{name: value for name, value in given.items() if value is not None})


def _join(change: Change, ident: str, metadata: Any) -> None:
    member = {"role": change.caller.role, "joined": iso(change.at), "metadata": metadata}
    change.note(f"@member/{ident}/{change.caller.name}", member)


def _keep(change: Change, session: Session, action: str) -> None:
    _write(change, session)
    change.event(SESSION, f"s/{session.id}", {"action": action, "status": session.status})


def _write(change: Change, session: Session) -> None:
    ends = None if session.ttl_s is None else change.lease(session.ttl_s)
    change.note(f"@session/{session.id}", session, ends)


def touch_session(change: Change, ident: str) -> None:
    """After a message: the session is not idle, and its `ttl_s` begins anew."""
    _write(change, replace(open_session(change, ident), last=change.at))


def require_id(params: SessionCall) -> str:
    if params.id is None:
        raise InvalidParams({"id": f"{params.action} needs the id of a session"})
    return params.id


def open_session(change: Change, ident: str) -> Session:
    """Raises NoSuchSession if it does not exist or is closed."""
    session = find_session(change.connection, change.project, ident)
    if session.status == "closed":
        raise NoSuchSession(f"The session {ident} is closed.", "Create another.", near=[])
    return replace(session, status="open")


def find_session(connection: sqlite3.Connection, project: str, ident: str) -> Session:
    """Raises NoSuchSession, with the names of similar ones."""
    if session := _find(connection, project, ident):
        return session
    from rapidfuzz import process

    known = [session.id for session in all_sessions(connection, project)]
    near = [name for name, _, _ in process.extract(ident, known, limit=3, score_cutoff=60)]
    meant = f" Near ones: {', '.join(near)}." if near else ""
    raise NoSuchSession(f"There is no session {ident}.{meant}", near=near)


def _find(connection: sqlite3.Connection, project: str, ident: str) -> Session | None:
    found = noted(connection, project, f"@session/{ident}")
    return _read(found) if found else None


def all_sessions(connection: sqlite3.Connection, project: str) -> list[Session]:
    return [_read(value) for _, value in notes(connection, project, "@session/")]


def get_session(connection: sqlite3.Connection, project: str, ident: str) -> JsonObject:
    """Raises NoSuchSession."""
    session = find_session(connection, project, ident)
    return {"session": _shown(connection, project, session)}


def _shown(connection: sqlite3.Connection, project: str, session: Session) -> JsonObject:
    members = notes(connection, project, f"@member/{session.id}/")
    return {
        "id": session.id,
        "purpose": session.purpose,
        "state": session.state,
        "metadata": session.metadata,
        "members": [{"name": name, **msgspec.json.decode(value)} for name, value in members],
        "created": iso(session.created),
        "by": session.by,
        "last": iso(session.last),
        "status": session.status,
    }


def list_sessions(
    connection: sqlite3.Connection, caller: Caller, params: SessionCall
) -> JsonObject:
    """The open sessions, or all with `in_all`; the latest first."""
    every = all_sessions(connection, caller.project)
    found = [one for one in every if params.in_all or one.status == "open"]
    found.sort(key=lambda session: -session.last)
    shown = [_shown(connection, caller.project, each) for each in found[: params.limit]]
    return {"sessions": shown}


def read_session(connection: sqlite3.Connection, caller: Caller, params: SessionCall) -> JsonObject:
    """The newest messages that the caller may see, or those after a revision; oldest first.

    With `query` those that answer it, best first, each with its `score`. Raises NoSuchSession.
    """
    ident = require_id(params)
    find_session(connection, caller.project, ident)
    rev = last_revision(connection, caller.project)
    if params.message:
        return {"messages": _one(connection, caller, params), "rev": rev}
    if params.max_tokens is not None:
        rows, more = _messages(connection, caller, replace(params, limit=MOST_READ))
        return {**within(rows, params.max_tokens), "rev": rev, "more": more}
    if params.offset is not None:
        return {**_page(connection, caller, params), "rev": rev}
    if params.query:
        found = search(connection, caller, ident, params)
        rows = [{**message_row(n, m, at), "score": round(s, 1)} for s, n, m, at in found]
        return {"messages": rows, "rev": rev}
    rows, more = _messages(connection, caller, params)
    return {"messages": rows, "rev": rev, "more": more}


def _one(connection: sqlite3.Connection, caller: Caller, params: SessionCall) -> list[JsonObject]:
    found = visible_message(connection, caller, message_number(params.message, "message"))
    return [message_row(*found)] if found and found[1].session == params.id else []


def _page(connection: sqlite3.Connection, caller: Caller, params: SessionCall) -> dict[str, Any]:
    """The messages from `offset` on, counted from the oldest, and how many there are in all."""
    first, total, found = params.offset or 0, 0, list[JsonObject]()
    asked = caller.project, f"s/{params.id}", 0
    for number, text, at in connection.execute(sql.SESSION_MESSAGES, asked):
        is_meant = first <= total < first + params.limit
        is_public = NOT_PUBLIC not in text  # and need not be read to be counted
        message = PUBLIC if is_public and not is_meant else read_message(text)
        if params.visibility and message.visibility not in params.visibility:
            continue
        if may_see(caller, message, number, connection):
            found += [message_row(number, message, at)] if is_meant else []
            total += 1
    return {"messages": found, "total": total, "more": first + len(found) < total}


def _messages(
    connection: sqlite3.Connection, caller: Caller, params: SessionCall
) -> tuple[list[JsonObject], bool]:
    """The last messages, or the first ones after a revision, and whether there are more."""
    is_last = params.after is None
    start = 0 if params.after is None else (params.after + 1) << 10
    query = sql.LAST_MESSAGES if is_last else sql.SESSION_MESSAGES
    rows = connection.execute(query, (caller.project, f"s/{params.id}", start))
    messages = visible(connection, caller, rows)
    sized = ((n, len(m.body) + len(bytes(m.metadata)), (n, m, at)) for n, m, at in messages)
    found, more = page(sized, params.limit)
    shown = [message_row(*each) for each in found]
    return shown[::-1] if is_last else shown, more


def retire_sessions(change: Change) -> None:
    """Archive idle sessions, and remove those that were archived long ago, with their keys."""
    for session in all_sessions(change.connection, change.project):
        idle = (change.at - session.last) / DAY_MS
        if session.status == "open" and idle > IDLE_DAYS:
            _keep(change, replace(session, status="archived"), "archive")
        elif session.status != "open" and idle > IDLE_DAYS + KEPT_DAYS:
            remove_session(change, session.id)


def remove_session(change: Change, ident: str) -> None:
    """Remove it with its members and the keys below `s/ID/`; messages stay as long as the log."""
    delete_below(change, f"s/{ident}/", "session removed")
    change.connection.execute(sql.DELETE_ITEMS, (change.project, *below(f"@member/{ident}/")))
    change.forget(f"@session/{ident}")
    change.event(SESSION, f"s/{ident}", {"action": "remove"})
