"""One thread writes: what waits together is committed together, then acknowledged.

An outcome's future is resolved when its transaction is on the disk. The query log rides along with
the next commit, or with a commit of its own once a second; it never holds anybody up.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import StoreUnavailable
from .database import transaction
from .lease import Lease

MAX_BATCH = 512
LOG_SECONDS, SETTLE_SECONDS = 1.0, 5.0
MAX_LOG = 4096
FLUSH_AT = 64
Work = Callable[[sqlite3.Connection], Any]
Done = Callable[[Any, BaseException | None], None]


@dataclass(slots=True)
class Job:
    """`work` runs inside a transaction; `done` is called from the writer's thread after commit."""

    work: Work
    done: Done


def _nobody(value: Any, error: BaseException | None) -> None:
    """Nobody waits for it."""


_WAKE, _NOTED = (Job(lambda connection: None, _nobody) for _ in range(2))
_SIGNS = (_WAKE, _NOTED)


@dataclass(slots=True)
class Writer:
    """`resolve` gets all finished jobs of a commit at once, as (job, value, error). `is_settled`:
    the database has all that was acknowledged, without its log; `settled_at` is when it last had.
    """

    connection: sqlite3.Connection
    resolve: Callable[[list[tuple[Job, Any, BaseException | None]]], None]
    write_log: Callable[[sqlite3.Connection, Sequence[Any]], None] = lambda connection, rows: None
    lease: Lease | None = None
    is_settled: bool = False
    settled_at: float = field(default_factory=time.time)
    _settle_at: float = field(default_factory=lambda: time.monotonic() + SETTLE_SECONDS)
    _jobs: queue.SimpleQueue[Job | None] = field(default_factory=queue.SimpleQueue)
    _log: deque[Any] = field(default_factory=lambda: deque(maxlen=MAX_LOG))
    _thread: threading.Thread | None = None
    _ended: bool = False

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        self._jobs.put(job)
        if self._ended:
            self._refuse_rest()

    def note(self, row: Any) -> None:
        """One row of the query log; the oldest is dropped when the disk cannot keep up."""
        self._log.append(row)
        if len(self._log) == 1:
            self._jobs.put(_NOTED)
        if len(self._log) == FLUSH_AT:
            self._jobs.put(_WAKE)

    def stop(self) -> None:
        """Write what waits, then end."""
        self._jobs.put(None)
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._write()
        finally:
            self._ended = True
            self._refuse_rest()

    def _write(self) -> None:
        ending = False
        while not ending:
            jobs, ending = self._take()
            if real := [job for job in jobs if job not in _SIGNS]:
                self.resolve(self._commit(real))
            if self._log and len(real) < MAX_BATCH:
                self._flush_log()
            if not self.is_settled and (not jobs or time.monotonic() > self._settle_at):
                self._settle()
        if self._log:
            self._flush_log()

    def _refuse_rest(self) -> None:
        """Whoever waits for a thread that has ended is told."""
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is not None and job not in _SIGNS:
                self.resolve([(job, None, StoreUnavailable("The store is closed."))])

    def _take(self) -> tuple[list[Job], bool]:
        try:
            job = self._first()
        except queue.Empty:
            return [], False
        jobs: list[Job] = []
        while job is not None:
            jobs.append(job)
            if len(jobs) == MAX_BATCH or self._jobs.empty():
                return jobs, False
            job = self._jobs.get()
        return jobs, True

    def _first(self) -> Job | None:
        """Rests until there is something; rows of the log alone wait for LOG_SECONDS, and so does
        what is to be settled."""
        waits = self._log or not self.is_settled
        job = self._jobs.get(timeout=LOG_SECONDS if waits else None)
        return self._jobs.get(timeout=LOG_SECONDS) if job is _NOTED else job

    def _commit(self, jobs: list[Job]) -> list[tuple[Job, Any, BaseException | None]]:
        """One transaction for all; if it fails, one for each: none can spoil the others."""
        try:
            with self._turn():
                values = [job.work(self.connection) for job in jobs]
        except BaseException as error:  # the thread's loop: whatever a job does, the next ones run
            if len(jobs) == 1:
                return [(jobs[0], None, error)]
            return [result for job in jobs for result in self._commit([job])]
        lost = self.lease.lost() if self.lease else None
        return [(job, value, lost) for job, value in zip(jobs, values, strict=True)]

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """A transaction of the database's owner."""
        if self.connection.in_transaction:  # a commit that failed and could not be rolled back
            self.connection.execute("ROLLBACK")
        self.is_settled = False
        with self.lease.turn(self.connection) if self.lease else transaction(self.connection):
            yield

    def _settle(self) -> None:
        """Move what the log holds into the database: what becomes of the log takes none of it."""
        self._settle_at = time.monotonic() + SETTLE_SECONDS
        if self.lease and self.lease.lost():
            return
        with contextlib.suppress(sqlite3.Error):
            _, logged, moved = self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if logged == moved:
                self.is_settled, self.settled_at = True, time.time()

    def _flush_log(self) -> None:
        """Analytics: where it fails, an outcome's error says that the store is ill."""
        rows = [self._log.popleft() for _ in range(len(self._log))]
        self._commit([Job(lambda connection: self.write_log(connection, rows), _nobody)])
