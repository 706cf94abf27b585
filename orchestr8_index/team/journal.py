"""The revisions and the clock of a project, taken from its row at the start of a commit.

The row stays locked until the commit: what is checked in between is what the whole team sees.
"""

from __future__ import annotations

import time
from typing import Any

from ..coordinate.clock import Clock
from ..coordinate.journal import NEVER, Journal
from .connection import TeamConnection
from .schema import TAKE

JUMP = 1 << 20  # revisions passed over after a fail-over, which may have lost the last ones


class DatabaseClock(Clock):
    """The database's clock in Unix ms, read with each commit and each second; in between, time goes
    on by the monotonic clock. The wall clock of this machine is never used."""

    def __init__(self) -> None:
        super().__init__(wall=lambda: self.now() / 1000)
        self.start(int(time.time() * 1000))


class Reserved:
    """The revisions that a commit has taken from its project's row."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._connection: TeamConnection
        self._project = ""
        self._next = self._end = self.reserved = 0
        self.due = NEVER

    @property
    def last(self) -> int:
        """The newest that was given out."""
        return self._next

    def take(self, connection: TeamConnection, project: str, count: int) -> None:
        """Lock the project's row until the commit; `count` revisions are this commit's."""
        self._connection, self._project = connection, project
        connection.project = project
        rev, now, due = connection.execute(TAKE, (project, count)).fetchone()
        self.due = due or NEVER
        self._next, self._end = rev - count, rev
        if isinstance(self._clock, DatabaseClock):
            self._clock.start(now)

    def next(self) -> int:
        if self._next == self._end:
            self.take(self._connection, self._project, 16)
        self._next += 1
        return self._next


class TeamJournal(Journal):
    """What the writer's thread owns of one server among several."""

    revisions: Reserved  # type: ignore[assignment]

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, Reserved(clock))  # type: ignore[arg-type]

    def take(self, connection: TeamConnection, project: str, count: int) -> None:
        """Begin a commit of a project: its revisions, the time, and what has ended meanwhile."""
        self.revisions.take(connection, project, count)
        self.due = self.revisions.due

    def open(self, connection: Any) -> None:
        """Nothing is reserved beforehand."""

    def save_clock(self, connection: Any, always: bool = False) -> None:
        """The database has its own."""
