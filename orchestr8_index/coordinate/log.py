"""The log of changes: read after a revision, and compacted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from itertools import islice
from typing import Any

from msgspec import Raw

from ..errors import Compacted, InvalidParams
from ..records import JsonObject
from ..store.database import transaction
from . import statements as sql
from .caller import Caller, may_see, read_message
from .clock import iso
from .journal import last_revision, oldest, set_oldest
from .messages import message_row
from .search import index_message
from .select import Keys, page
from .statements import DELETE, KINDS, MESSAGE, PUT, where

MOST_EVENTS, MOST_DAYS = 1_000_000, 30
COMPACTED_AT_ONCE = 500  # events that one compaction looks at
DROPPED_AT_ONCE = 5_000  # events that are removed early where room is short
DAY_MS = 86_400_000


def read_events(
    connection: sqlite3.Connection, caller: Caller, keys: Keys, after: int, limit: int
) -> tuple[list[JsonObject], int, bool]:
    """The events after a revision, the revision reached, and whether there are more.

    A revision is never cut in two, so that there may be more than `limit`. 0 is the beginning of
    what is kept. Raises Compacted where events after `after` are gone.
    """
    with transaction(connection, "DEFERRED"):
        _check_kept(connection, caller.project, after)
        reached = max(last_revision(connection, caller.project), after)
        keys = caller.may_read(keys)
        log = (sql.READ_LOG_OF, "key") if keys.keys else (sql.READ_LOG, "event.key")
        query, values = where(*log, keys)
        asked = ((after + 1) << 10, caller.project, *values)
        rows = connection.execute(query, asked * 2 if keys.keys else asked)
        shown = ((row[0] >> 10, len(row[3] or ""), _shown(connection, caller, row)) for row in rows)
        found, more = page((each for each in shown if each[2]), limit, whole=True)
        return found, found[-1]["rev"] if more else reached, more


def _check_kept(connection: sqlite3.Connection, project: str, rev: int, least: int = 1) -> None:
    if least <= rev < (first := oldest(connection, project)):
        raise Compacted(f"The log begins after revision {first}, not {rev}.", oldest=first)


def check_rev(connection: sqlite3.Connection, project: str, rev: int | None, last: int) -> None:
    """Raises Compacted for a revision that the log has lost, InvalidParams for a future one."""
    if rev is not None:
        if rev > last:
            raise InvalidParams({"at_rev": f"is in the future: the last revision is {last}"})
        _check_kept(connection, project, rev, 0)


ShownEvent = tuple[int, int, JsonObject | None]
"""An event's id, its Unix ms, and what a caller sees of it, if anything."""


def events_after(
    connection: sqlite3.Connection, caller: Caller, after: int, limit: int
) -> list[ShownEvent]:
    """At most `limit` events after an id. Raises Compacted."""
    with transaction(connection, "DEFERRED"):
        _check_kept(connection, caller.project, after >> 10)
        rows = _from(connection, caller, after + 1, limit)
        return [(row[0], row[5], _shown(connection, caller, row)) for row in rows]


def _from(connection: sqlite3.Connection, caller: Caller, start: int, limit: int) -> list[Any]:
    query, values = where(sql.READ_LOG, "event.key", caller.may_read(Keys(prefix="")))
    rows = connection.execute(query, (start, caller.project, *values))
    try:
        return list(islice(rows, limit))
    finally:
        rows.close()


def first_at(connection: sqlite3.Connection, caller: Caller, at: int) -> int:
    """The id after which the project's events are those from a moment on, in Unix ms."""

    def from_id(start: int) -> tuple[int, int] | None:
        rows = _from(connection, caller, start, 1)
        return (rows[0][0], rows[0][5]) if rows else None

    low = oldest(connection, caller.project) << 10
    high = (last_revision(connection, caller.project) + 1) << 10
    with transaction(connection, "DEFERRED"):
        return _halve(low, high, at, from_id) - 1


def _halve(low: int, high: int, at: int, from_id: Callable[[int], Any]) -> int:
    """Bisect for the first id whose event is of a moment or later, as ids follow time; `from_id`
    gives the first event from an id on: its id and Unix ms."""
    while low < high:
        middle = (low + high) // 2
        event = from_id(middle)
        if event and event[1] < at:
            low = min(event[0] + 1, high)
        else:
            high = middle
    return low


def _shown(
    connection: sqlite3.Connection, caller: Caller, row: tuple[Any, ...]
) -> JsonObject | None:
    """The row of an event; None for a message that the caller may not see."""
    number, kind, key, value, by, at, cause = row
    shown: Any = Raw(b"null" if kind == DELETE else (value or "null").encode())
    if kind == MESSAGE:
        message = read_message(value)
        if not may_see(caller, message, number, connection):
            return None
        shown = message_row(number, message, at)
    event = {"rev": number >> 10, "kind": KINDS[kind], "key": key, "value": shown}
    return {**event, "by": by, "at": iso(at), "cause": cause or None}


# --- compaction --------------------------------------------------------------------------------


def compact(connection: sqlite3.Connection, before: int, start: int = 0, project: str = "") -> int:
    """Remove some superfluous events before a revision; returns where to go on, 0 at the end.

    The last write of each key stays, so that later revisions can be read as they were, and so do
    messages that are not acknowledged.
    """
    if before - 1 > oldest(connection, project):
        set_oldest(connection, before - 1)
    end = before << 10
    rows = connection.execute(sql.SOME_EVENTS, (start, end, COMPACTED_AT_ONCE)).fetchall()
    gone = [row for row in rows if _is_superfluous(connection, row, end)]
    for number, _, kind, key, value in gone:
        if kind == MESSAGE:
            index_message(connection, number, key, read_message(value), remove=True)
            connection.execute(sql.DELETE_DELIVERIES, (number,))
    connection.executemany(sql.DELETE_EVENT, [(row[0],) for row in gone])
    return rows[-1][0] + 1 if len(rows) == COMPACTED_AT_ONCE else 0


def _is_superfluous(connection: sqlite3.Connection, row: tuple[Any, ...], end: int) -> bool:
    number, project, kind, key, _ = row
    if kind == PUT:
        later = connection.execute(sql.LATER_WRITE, (project, key, number, end) * 2)
        return later.fetchone() is not None
    if kind == MESSAGE:
        return connection.execute(sql.UNACKNOWLEDGED, (number,)).fetchone() is None
    return True


def horizon(connection: sqlite3.Connection, at: int, most: int, days: float) -> int:
    """The revision before which the log may be compacted: by number and by age, and never past
    a message that is not acknowledged."""
    row = connection.execute(sql.NTH_LAST, (most,)).fetchone()
    by_number = (row[0] >> 10) + 1 if row else 0
    low, high = connection.execute(sql.ENDS_OF_LOG).fetchone()

    def from_id(start: int) -> Any:
        return connection.execute(sql.FIRST_FROM, (start,)).fetchone()

    first = from_id(_halve(low or 0, high or 0, at - int(days * DAY_MS), from_id))
    return _kept(connection, max(by_number, first[0] >> 10 if first else 0))


def _kept(connection: sqlite3.Connection, before: int) -> int:
    """At most the revision of the oldest message that is not acknowledged."""
    waiting = connection.execute(sql.FIRST_UNACKNOWLEDGED).fetchone()[0]
    return before if waiting is None else min(before, waiting >> 10)


def drop_oldest(connection: sqlite3.Connection) -> int:
    """Near the limit of the file: compact the oldest part of the log early; returns how many
    revisions that was."""
    first = oldest(connection, "")
    row = connection.execute(sql.NTH_FROM, ((first + 1) << 10, DROPPED_AT_ONCE)).fetchone()
    before = _kept(connection, row[0] >> 10 if row else last_revision(connection, "") + 1)
    start = 0
    while before > first + 1 and (start := compact(connection, before, start)):
        pass
    return max(0, before - first - 1)
