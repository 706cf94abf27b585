"""Sessions: who works on one thing together, its state, and what was said there."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from ..errors import Conflict, InvalidParams, NoSuchSession
from ..sharing import SessionCall, text_of
from . import statements as sql
from .caller import Caller, Message, may_see, read_message
from .clock import iso
from .extract import within
from .journal import Change, last_revision
from .messages import message_number, message_row
from .search import search
from .select import page
from .statements import SESSION, below, notes
from .values import delete_below

NOT_PUBLIC, PUBLIC = '"visibility":', Message("", [], "")
MOST_READ = 5000  # messages that an extract looks at
DAY_MS = 86_400_000
Row = dict[str, Any]


class Session(Struct, frozen=True, omit_defaults=True):
    """As the table keeps it; times are Unix ms. An archived one is no longer listed."""

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


def change_session(change: Change, caller: Caller, params: SessionCall) -> Row:
    """create, join, leave, set and close. Raises Conflict, NoSuchSession, InvalidParams."""
    if params.action == "create":
        return _create(change, caller, params)
    session = open_session(change, require_id(params))
    if params.action in ("join", "leave"):
        _change_member(change, caller, session, params)
    elif params.action == "set":
        session = _set(session, params)
    else:
        session = replace(session, status="closed")
        delete_below(change, f"s/{session.id}/", "session closed")
    _keep(change, replace(session, last=change.at), params.action)
    return get_session(change.connection, change.project, session.id)


def _create(change: Change, caller: Caller, params: SessionCall) -> Row:
    ident = params.id or f"session_{secrets.token_hex(8)}"
    if found := find_session(change.connection, change.project, ident):
        sentence = f"There is a session {ident} already, {found.status}."
        cure = "Join it, or create one with another id."
        raise Conflict(sentence, cure, key=f"s/{ident}", rev=0, by="")
    session = _set(Session(ident, change.at, change.at, ttl_s=params.ttl_s, by=caller.name), params)
    _keep(change, session, "create")
    _change_member(change, caller, session, SessionCall(action="join"))
    return get_session(change.connection, change.project, ident)


def _set(session: Session, params: SessionCall) -> Session:
    """What is given replaces what was there."""
    given: Row = {}
    if params.purpose is not None:
        given["purpose"] = params.purpose
    if params.state is not None:
        given["state"] = text_of(params.state, "state")
    if params.metadata is not None:
        given["metadata"] = text_of(params.metadata, "metadata")
    if params.ttl_s is not None:
        given["ttl_s"] = params.ttl_s
    return replace(session, **given)


def _change_member(change: Change, caller: Caller, session: Session, params: SessionCall) -> None:
    key = f"@member/{session.id}/{caller.name}"
    if params.action == "leave":
        change.forget(key)
        return
    told = {"role": caller.role, "joined": iso(change.at), "metadata": params.metadata}
    change.note(key, msgspec.json.encode(told).decode())


def _keep(change: Change, session: Session, action: str) -> None:
    ends = None if session.ttl_s is None else change.lease(session.ttl_s)
    change.note(f"@session/{session.id}", msgspec.json.encode(session).decode(), ends)
    told = msgspec.json.encode({"action": action, "status": session.status}).decode()
    change.event(SESSION, f"s/{session.id}", told)


def touch_session(change: Change, ident: str) -> None:
    """Something was said there: it is not idle, and a `ttl_s` begins anew."""
    session = open_session(change, ident)
    ends = None if session.ttl_s is None else change.lease(session.ttl_s)
    kept = msgspec.json.encode(replace(session, last=change.at)).decode()
    change.note(f"@session/{ident}", kept, ends)


def require_id(params: SessionCall) -> str:
    if params.id is None:
        raise InvalidParams({"id": f"{params.action} needs the id of a session"})
    return params.id


def open_session(change: Change, ident: str) -> Session:
    """Raises NoSuchSession for one that is not there, or is closed."""
    session = find_session(change.connection, change.project, ident)
    if session is None or session.status == "closed":
        raise no_session(change.connection, change.project, ident, session)
    return replace(session, status="open")


def find_session(connection: sqlite3.Connection, project: str, ident: str) -> Session | None:
    row = connection.execute(sql.ITEM, (project, f"@session/{ident}")).fetchone()
    return _read(row[0]) if row else None


def no_session(
    connection: sqlite3.Connection, project: str, ident: str, closed: Session | None = None
) -> NoSuchSession:
    from rapidfuzz import process

    if closed is not None:
        return NoSuchSession(f"The session {ident} is closed.", "Create another.", near=[])
    known = [session.id for session in all_sessions(connection, project)]
    near = [name for name, _, _ in process.extract(ident, known, limit=3, score_cutoff=60)]
    meant = f" Near ones: {', '.join(near)}." if near else ""
    return NoSuchSession(f"There is no session {ident}.{meant}", near=near)


def all_sessions(connection: sqlite3.Connection, project: str) -> list[Session]:
    return [_read(value) for _, value in notes(connection, project, "@session/")]


def get_session(connection: sqlite3.Connection, project: str, ident: str) -> Row:
    """Raises NoSuchSession."""
    session = find_session(connection, project, ident)
    if session is None:
        raise no_session(connection, project, ident)
    return {"session": _shown(connection, project, session)}


def _shown(connection: sqlite3.Connection, project: str, session: Session) -> Row:
    return {
        "id": session.id,
        "purpose": session.purpose,
        "state": session.state,
        "metadata": session.metadata,
        "members": _members(connection, project, session.id),
        "created": iso(session.created),
        "by": session.by,
        "last": iso(session.last),
        "status": session.status,
    }


def _members(connection: sqlite3.Connection, project: str, ident: str) -> list[Row]:
    found = notes(connection, project, f"@member/{ident}/")
    return [{"name": name, **msgspec.json.decode(value)} for name, value in found]


def list_sessions(connection: sqlite3.Connection, caller: Caller, params: SessionCall) -> Row:
    """Open ones, the latest first; `in_all` those that are not, too."""
    every = all_sessions(connection, caller.project)
    found = [one for one in every if params.in_all or one.status == "open"]
    found.sort(key=lambda session: -session.last)
    shown = [_shown(connection, caller.project, each) for each in found[: params.limit]]
    return {"sessions": shown}


def read_session(connection: sqlite3.Connection, caller: Caller, params: SessionCall) -> Row:
    """The newest messages that the caller may see, or those after a revision; oldest first.

    With `query` those that answer it, best first, each with its `score`. Raises NoSuchSession.
    """
    ident = require_id(params)
    if find_session(connection, caller.project, ident) is None:
        raise no_session(connection, caller.project, ident)
    rev = last_revision(connection, caller.project)
    if params.message:
        return {"messages": _one(connection, caller, params), "rev": rev}
    if params.max_tokens is not None:
        rows, more = _said(connection, caller, f"s/{ident}", replace(params, limit=MOST_READ))
        return {**within(rows, params.max_tokens), "rev": rev, "more": more}
    if params.offset is not None:
        return {**_page(connection, caller, f"s/{ident}", params), "rev": rev}
    if params.query:
        found = search(connection, caller, ident, params)
        rows = [{**message_row(n, m, at), "score": round(s, 1)} for s, n, m, at in found]
        return {"messages": rows, "rev": rev}
    rows, more = _said(connection, caller, f"s/{ident}", params)
    return {"messages": rows, "rev": rev, "more": more}


def _one(connection: sqlite3.Connection, caller: Caller, params: SessionCall) -> list[Row]:
    number = message_number(params.message, "message")
    row = connection.execute(sql.MESSAGE_OF, (number, caller.project)).fetchone()
    message = read_message(row[0]) if row else None
    if message is None or message.session != params.id:
        return []
    is_seen = may_see(caller, message, number, connection)
    return [message_row(number, message, row[1])] if is_seen else []


def _page(
    connection: sqlite3.Connection, caller: Caller, key: str, params: SessionCall
) -> dict[str, Any]:
    """Some messages from the oldest on, and how many there are in all."""
    first, total, found = params.offset or 0, 0, list[Row]()
    for number, value, at in connection.execute(sql.SAID, (caller.project, key, 0)):
        is_meant = first <= total < first + params.limit
        is_public = NOT_PUBLIC not in value  # and need not be read to be counted
        message = PUBLIC if is_public and not is_meant else read_message(value)
        if params.visibility and message.visibility not in params.visibility:
            continue
        if may_see(caller, message, number, connection):
            found += [message_row(number, message, at)] if is_meant else []
            total += 1
    return {"messages": found, "total": total, "more": first + len(found) < total}


def _said(
    connection: sqlite3.Connection, caller: Caller, key: str, params: SessionCall
) -> tuple[list[Row], bool]:
    last = params.after is None
    after = 0 if params.after is None else (params.after + 1) << 10
    rows = connection.execute(sql.SAID_LAST if last else sql.SAID, (caller.project, key, after))
    seen = (
        (number, len(value), message_row(number, message, at))
        for number, value, at in rows
        if may_see(caller, message := read_message(value), number, connection)
    )
    found, more = page(seen, params.limit)
    return found[::-1] if last else found, more


def retire_sessions(change: Change, idle_days: float, kept_days: float) -> int:
    """Archive what is idle, and remove what was archived long ago, with its keys; how many."""
    done = 0
    for session in all_sessions(change.connection, change.project):
        idle = (change.at - session.last) / DAY_MS
        if session.status == "open" and idle > idle_days:
            _keep(change, replace(session, status="archived"), "archive")
            done += 1
        elif session.status != "open" and idle > idle_days + kept_days:
            remove_session(change, session.id)
            done += 1
    return done


def remove_session(change: Change, ident: str) -> None:
    """With its members and the keys below `s/ID/`; its messages stay as long as the log."""
    delete_below(change, f"s/{ident}/", "session removed")
    change.connection.execute(sql.DELETE_ITEMS, (change.project, *below(f"@member/{ident}/")))
    change.forget(f"@session/{ident}")
    change.event(SESSION, f"s/{ident}", '{"action":"remove"}')
