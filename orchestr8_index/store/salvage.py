"""Reads what a damaged database still holds: every decision whose row is as it was written.

SQLite stops at the first damaged page that it meets. So the decisions are read in ranges of their
numbers, and a range that fails is read in halves, down to single rows.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..records import Decision, Pattern
from . import ledger, plans
from .database import connect, transaction
from .schema import read_as_now

FURTHER = 10_000
"""Numbers looked for beyond the highest that is known, where the file does not say its own."""


MOST_FAILURES = 10_000
"""Unreadable rows after which a failing range is given up whole."""


@dataclass(slots=True)
class Salvage:
    """`whole` says that nothing of the decisions was unreadable."""

    decisions: dict[int, Decision] = field(default_factory=dict)
    patterns: list[Pattern] = field(default_factory=list)
    whole: bool = False


def read_damaged(path: Path, known: int = 0) -> Salvage:
    """`known` is the highest number of a decision that another copy has."""
    try:
        with contextlib.closing(connect(path)) as connection:
            with contextlib.suppress(sqlite3.Error):
                read_as_now(connection)
            return _read(connection, known)
    except sqlite3.Error:  # not even its first page
        return Salvage()


def _read(connection: sqlite3.Connection, known: int) -> Salvage:
    found = Salvage()
    failed: list[int] = []
    for decision, intact in _decisions(connection, 0, _last(connection, known), failed):
        if intact:
            found.decisions[decision.id] = decision
        else:
            failed.append(decision.id)
    found.whole = not failed
    with contextlib.suppress(sqlite3.Error):
        found.patterns = [each for each in plans.patterns(connection)[0] if each.stored]
    return found


def _last(connection: sqlite3.Connection, known: int) -> int:
    with contextlib.suppress(sqlite3.Error):
        row = connection.execute("SELECT seq FROM sqlite_sequence").fetchone()
        return int(row[0]) if row else 0
    return known + FURTHER


def _decisions(
    connection: sqlite3.Connection, after: int, last: int, failed: list[int]
) -> Iterator[tuple[Decision, bool]]:
    """The readable ones with a number above `after` up to `last`; `failed` gets the others'."""
    reached = after
    try:
        for decision, intact in ledger.checked_decisions(connection, after, last):
            reached = decision.id
            yield decision, intact
    except (sqlite3.Error, TypeError):
        if last - reached <= 1 or len(failed) > MOST_FAILURES:
            failed.append(last)
            return
        middle = (reached + last) // 2
        yield from _decisions(connection, reached, middle, failed)
        yield from _decisions(connection, middle, last, failed)


def bring_back(connection: sqlite3.Connection, found: Salvage) -> int:
    """Put what was read into a sound database; returns how many decisions it did not have.

    What the damaged file says is newer. If all of it could be read, then what it does not have was
    forgotten on purpose. What was derived is derived again.
    """
    before = {decision.id: decision for decision in ledger.decisions(connection)}
    changed = [one for one in found.decisions.values() if before.get(one.id) != one]
    gone = [number for number in before if number not in found.decisions] if found.whole else []
    with transaction(connection):
        ledger.delete_decisions(connection, [*gone, *(decision.id for decision in changed)])
        for decision in changed:
            ledger.put_back(connection, decision)
        for pattern in found.patterns:
            plans.define_pattern(connection, pattern)
        ledger.drop_checkpoint(connection)
    return len(found.decisions.keys() - before.keys())
