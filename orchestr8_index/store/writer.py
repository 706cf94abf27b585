"""One writer thread with group commit: waiting jobs share a transaction, then are acknowledged.

An outcome's future is resolved when its transaction is on the disk.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import StoreUnavailable
from .database import Lost, transaction
from .lease import Lease

MAX_BATCH = 512
REST_SECONDS, SETTLE_SECONDS = 1.0, 5.0
Work = Callable[[sqlite3.Connection], Any]
Done = Callable[[Any, BaseException | None], None]


@dataclass(slots=True, eq=False)
class Job:
    """`work` runs inside a transaction; `done` is called from the writer's thread after commit."""

    work: Work
    done: Done
    project: str = ""


def nobody(value: Any, error: BaseException | None) -> None:
    """The `done` of a job for which nobody waits."""


@dataclass(slots=True)
class Writer:
    """`resolve` gets all finished jobs of a commit at once, as (job, value, error). `is_settled`:
    the WAL is checkpointed, with all that was acknowledged; `settled_at` is when it last was.
    """

    connection: sqlite3.Connection
    resolve: Callable[[list[tuple[Job, Any, BaseException | None]]], None]
    lease: Lease | None = None
    is_settled: bool = True
    settled_at: float = field(default_factory=time.time)
    _settle_at: float = field(default_factory=lambda: time.monotonic() + SETTLE_SECONDS)
    _jobs: queue.SimpleQueue[Job | None] = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None
    _ended: bool = False

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        self._jobs.put(job)
        if self._ended:
            self._refuse_rest()

    def stop(self) -> None:
        """Run the waiting jobs, then end the thread."""
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
            for each in self._rounds(jobs):
                self.resolve(self._commit(each))
            if not self.is_settled and (not jobs or time.monotonic() > self._settle_at):
                self._settle()

    def _rounds(self, jobs: list[Job]) -> Iterator[list[Job]]:
        """The jobs in groups, each for one commit."""
        return iter([jobs] if jobs else [])

    def _refuse_rest(self) -> None:
        """Fail the jobs that are left after the thread has ended."""
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is not None:
                self.resolve([(job, None, StoreUnavailable("The store is closed."))])

    def _take(self) -> tuple[list[Job], bool]:
        """(the waiting jobs, whether to end); no jobs after REST_SECONDS without any, to settle."""
        jobs = list[Job]()
        try:
            job = self._jobs.get(timeout=None if self.is_settled else REST_SECONDS)
        except queue.Empty:
            return jobs, False
        while job is not None:
            jobs.append(job)
            if len(jobs) == MAX_BATCH or self._jobs.empty():
                return jobs, False
            job = self._jobs.get()
        return jobs, True

    def _commit(self, jobs: list[Job]) -> list[tuple[Job, Any, BaseException | None]]:
        """One transaction for all; if it fails, one for each, so that no job fails another. Nothing
        is retried when the connection broke, as it may have been committed."""
        try:
            with self._turn(jobs):
                values = [job.work(self.connection) for job in jobs]
                self._done(jobs, values)
        except BaseException as error:  # the thread's loop: whatever a job does, the next ones run
            if len(jobs) == 1 or isinstance(error, Lost):
                return [(job, None, error) for job in jobs]
            return [result for job in jobs for result in self._commit([job])]
        lost = self.lease.lost() if self.lease else None
        return [(job, value, lost) for job, value in zip(jobs, values, strict=True)]

    @contextlib.contextmanager
    def _turn(self, jobs: Sequence[Job]) -> Iterator[None]:
        """A transaction of the database's owner."""
        if self.connection.in_transaction:  # a commit that failed and could not be rolled back
            self.connection.execute("ROLLBACK")
        self.is_settled = False
        with self.lease.turn(self.connection) if self.lease else transaction(self.connection):
            yield

    def _done(self, jobs: Sequence[Job], values: Sequence[Any]) -> None:
        """Called just before the commit."""

    def _settle(self) -> None:
        """Checkpoint the WAL into the database, so that damage to the WAL can no longer lose it."""
        self._settle_at = time.monotonic() + SETTLE_SECONDS
        if self.lease and self.lease.lost():
            return
        with contextlib.suppress(sqlite3.Error):
            _, logged, moved = self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if logged == moved:
                self.is_settled, self.settled_at = True, time.time()
