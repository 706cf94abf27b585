"""The open store of a team: PostgreSQL behind the interface of `Store` and `Journal`.

One thread writes. Waiting changes of one project are committed together. Each commit first locks
the project's row and takes its revisions and the time from it, so that what is checked until the
commit is what the whole team sees; the other servers are notified last.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

from ..coordinate.clock import Clock
from ..coordinate.commits import T
from ..coordinate.journal import NEVER, Journal
from ..errors import StoreUnavailable
from ..store.database import transaction
from ..store.store import Store
from ..store.writer import Job, Work, Writer
from .circuit import Circuit
from .connection import ReadingConnection, TeamConnection
from .schema import TAKE

WRITE_SECONDS, READ_SECONDS = 5.0, 2.0
READERS = 3  # with those that write, listen and watch six connections
Begin = Callable[[TeamConnection, str, int], None]
Notify = Callable[[TeamConnection, str, Sequence[Any]], None]


class DatabaseClock(Clock):
    """The database's clock in Unix ms, read with each commit and heartbeat; in between, time passes
    by the monotonic clock. The wall clock of this machine is never used."""

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
        """The last revision that was given out."""
        return self._next

    def take(self, connection: TeamConnection, project: str, count: int) -> None:
        """Lock the project's row until the commit, and take `count` revisions."""
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
    """The writer's clock and revisions, on one of several servers."""

    revisions: Reserved  # type: ignore[assignment]

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, Reserved(clock))  # type: ignore[arg-type]

    def take(self, connection: TeamConnection, project: str, count: int) -> None:
        """Begin a commit: take its revisions, and read the time and when the next lease ends."""
        self.revisions.take(connection, project, count)
        self.due = self.revisions.due

    def open(self, connection: Any) -> None:
        """Nothing is reserved beforehand."""

    def save_clock(self, connection: Any, always: bool = False) -> None:
        """The database has its own."""


class TeamWriter(Writer):
    """`begin` is called first in a transaction, `notify` last, with the results of its jobs."""

    def __init__(self, connection: Any, resolve: Any, begin: Begin, notify: Notify) -> None:
        super().__init__(connection, resolve)
        self.begin, self.notify = begin, notify

    def _rounds(self, jobs: list[Job]) -> Iterator[list[Job]]:
        jobs.sort(key=lambda job: job.project)
        return (list(each) for _, each in groupby(jobs, key=lambda job: job.project))

    @contextlib.contextmanager
    def _turn(self, jobs: Sequence[Job]) -> Iterator[None]:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        with transaction(self.connection):
            self.begin(self.connection, jobs[0].project, len(jobs))  # type: ignore[arg-type]
            yield

    def _done(self, jobs: Sequence[Job], values: Sequence[Any]) -> None:
        self.notify(self.connection, jobs[0].project, values)  # type: ignore[arg-type]


class TeamStore(Store):
    """As `Store`, but disk, backups and integrity are left to the database. `size` returns bytes,
    as the registry counted them."""

    def __init__(self, url: str, schema: str, server: str, begin: Begin, notify: Notify) -> None:
        super().__init__(Path())
        self.circuit = Circuit()
        self._begin, self._notify = begin, notify
        self._address = (url, schema, self.circuit)
        self._server = server
        self.size: Callable[[], int] = lambda: 0
        self.greet: Callable[[Any], None] = lambda opened: None
        self.reader: Any = self._made()
        self._readers, self._own = [self.reader], threading.local()
        self._reading = ThreadPoolExecutor(READERS, "reads")

    def _made(self) -> ReadingConnection:
        return ReadingConnection(*self._address, READ_SECONDS, f"{self._server} reads")

    async def read(self, work: Callable[..., T], *asked: Any) -> T:
        """`work(connection, *asked)` in one of the reading threads. Raises StoreUnavailable."""
        if self._writer is None:
            raise StoreUnavailable("The store is closed.")
        return await asyncio.wrap_future(self._reading.submit(self._read, work, asked))

    def _read(self, work: Callable[..., T], asked: Sequence[Any]) -> T:
        if not hasattr(self._own, "reader"):
            self._own.reader = self._made()
            self._readers.append(self._own.reader)
        return work(self._own.reader, *asked)

    def open(self) -> None:
        """Without connecting: the first statement does."""
        writing: Any = TeamConnection(*self._address, WRITE_SECONDS, f"{self._server} writes")
        writing.greet = self.greet
        self._writer = TeamWriter(writing, self._resolve, self._begin, self._notify)

    def submit(self, work: Work, apply: Any, project: str, ended: Callable[[], None]) -> None:
        """As `write`, from another thread and without waiting for the result."""

        def done(value: Any, error: BaseException | None) -> None:
            ended()
            if error is None:
                apply(value)

        if self._writer is not None:
            self._writer.submit(Job(work, done, project))

    def prepare(self, work: Work) -> None:
        """Nothing: other servers use the database."""

    def _close_reader(self) -> None:
        super()._close_reader()
        self._reading.shutdown()
        for reader in self._readers:
            reader.close()

    def _checkpoint(self, connection: Any) -> None:
        """Nothing: the database does that."""

    def has_room(self, more: int = 0) -> bool:
        return True

    @property
    def size_mb(self) -> float:
        return round(self.size() / 1e6, 3)

    @property
    def lost(self) -> str:
        return self.circuit.trouble

    @property
    def reasons(self) -> list[str]:
        return [why for why in [self.circuit.trouble or self.trouble] if why]

    async def check(self) -> bool:
        """Once a second: whether the database has just gone away."""
        was, self._was_lost = self._was_lost, not self.circuit.connected
        return self._was_lost and not was
