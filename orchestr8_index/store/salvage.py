"""Salvages a damaged database: every decision whose row still fits its digest.

SQLite stops at the first damaged page that it meets. So the decisions are read in ranges of their
numbers, and a range that fails is split in halves, down to single rows.
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
"""Numbers tried beyond the highest known one, where the file's own highest cannot be read."""

MOST_FAILURES = 10_000
"""Unreadable rows after which a failing range is given up whole."""


@dataclass(slots=True)
class Salvage:
    """`whole`: every decision of the file could be read."""

    decisions: dict[int, Decision] = field(default_factory=dict)
    patterns: list[Pattern] = field(default_factory=list)
    whole: bool = False


def read_damaged(path: Path, known: int = 0) -> Salvage:
    """What can be read of a damaged file; `known` is the highest number of a decision elsewhere."""
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
    """(decision, intact) for numbers above `after` up to `last`; `failed` gets unreadable ones."""
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

    The damaged file is the newer one. If all of it could be read, decisions that it lacks were
    forgotten on purpose, and are deleted. The derived state is counted again.
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
