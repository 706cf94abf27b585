"""What ends by itself: values, locks, takes and messages whose time is over."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import Any

from . import statements as sql
from .caller import Caller
from .granting import end
from .holds import holds
from .journal import NEVER, Journal
from .messages import SERVER

BITE = 1000
Topics = dict[str, list[str]]


def expire(connection: sqlite3.Connection, journal: Journal, now: int) -> Topics:
    """End what is over, as events; returns, by project, the keys whose waiters are woken."""
    topics: Topics = defaultdict(list)
    _expire_items(connection, journal, now, topics)
    _expire_holds(connection, journal, now, topics)
    _expire_deliveries(connection, now, topics)
    journal.due = next_due(connection)
    journal.save_clock(connection, always=True)
    return topics


def next_due(connection: sqlite3.Connection) -> int:
    """When the next lease, value or message ends, on the clock in milliseconds."""
    return min(
        (row[0] for row in connection.execute(sql.NEXT_DUE) if row[0] is not None), default=NEVER
    )


def _due(connection: sqlite3.Connection, statement: str, now: int) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for project, *rest in connection.execute(statement, (now, BITE)):
        found[project].append(rest)
    return found


def _expire_items(
    connection: sqlite3.Connection, journal: Journal, now: int, topics: Topics
) -> None:
    for project, rows in _due(connection, sql.DUE_ITEMS, now).items():
        change = journal.begin(connection, Caller(SERVER, project=project), now)
        for key, number in rows:
            change.delete(key, "expired") if number else change.forget(key)
        topics[project] += change.topics
        journal.expired += len(change.topics)


def _expire_holds(
    connection: sqlite3.Connection, journal: Journal, now: int, topics: Topics
) -> None:
    for project, revisions in _due(connection, sql.DUE_HOLDS, now).items():
        change = journal.begin(connection, Caller(SERVER, project=project), now)
        for rev in sorted({rev for (rev,) in revisions}):
            found = holds(connection, sql.HOLDS_OF_SET, project, rev)
            rows = [row for row in found if row.ends <= now]
            end(change, rows, "expired")
            journal.expired += len(rows)
        topics[project] += change.topics


def _expire_deliveries(connection: sqlite3.Connection, now: int, topics: Topics) -> None:
    """A take that nobody acknowledged makes the message ready again; an old message is over."""
    for project, rows in _due(connection, sql.DUE_DELIVERIES, now).items():
        topics[project] += [f"@inbox/{recipient}" for (recipient,) in rows]
    connection.execute(sql.END_MESSAGES, (now, now))
    connection.execute(sql.END_TAKES, (now,))
