"""One thread writes: what waits together is committed together, then acknowledged.

An outcome's future is resolved when its transaction is on the disk. The query log rides along with
the next commit, or with a commit of its own once a second; it never holds anybody up.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .database import transaction

MAX_BATCH = 512
LOG_SECONDS = 1.0
MAX_LOG = 4096
FLUSH_AT = 64
Work = Callable[[sqlite3.Connection], Any]
Done = Callable[[Any, Exception | None], None]


@dataclass(slots=True)
class Job:
    """`work` runs inside a transaction; `done` is called from the writer's thread after commit."""

    work: Work
    done: Done


_WAKE = Job(lambda connection: None, lambda value, error: None)


@dataclass(slots=True)
class Writer:
    """`resolve` gets all finished jobs of a commit at once, as (job, value, error)."""

    connection: sqlite3.Connection
    resolve: Callable[[list[tuple[Job, Any, Exception | None]]], None]
    write_log: Callable[[sqlite3.Connection, Sequence[Any]], None] = lambda connection, rows: None
    _jobs: queue.SimpleQueue[Job | None] = field(default_factory=queue.SimpleQueue)
    _log: deque[Any] = field(default_factory=lambda: deque(maxlen=MAX_LOG))
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        self._jobs.put(job)

    def note(self, row: Any) -> None:
        """One row of the query log; the oldest is dropped when the disk cannot keep up."""
        self._log.append(row)
        if len(self._log) == FLUSH_AT:
            self._jobs.put(_WAKE)

    def stop(self) -> None:
        """Write what waits, then end."""
        self._jobs.put(None)
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        ending = False
        while not ending:
            jobs, ending = self._take()
            if real := [job for job in jobs if job is not _WAKE]:
                self.resolve(self._commit(real))
            if self._log and len(real) < MAX_BATCH:
                self._flush_log()
        if self._log:
            self._flush_log()

    def _take(self) -> tuple[list[Job], bool]:
        try:
            job = self._jobs.get(timeout=LOG_SECONDS)
        except queue.Empty:
            return [], False
        jobs: list[Job] = []
        while job is not None:
            jobs.append(job)
            if len(jobs) == MAX_BATCH or self._jobs.empty():
                return jobs, False
            job = self._jobs.get()
        return jobs, True

    def _commit(self, jobs: list[Job]) -> list[tuple[Job, Any, Exception | None]]:
        """One transaction for all; if it fails, one for each: none can spoil the others."""
        try:
            with transaction(self.connection):
                values = [job.work(self.connection) for job in jobs]
            return [(job, value, None) for job, value in zip(jobs, values, strict=True)]
        except Exception as error:  # the thread's loop: whatever a job does, the next ones run
            if len(jobs) == 1:
                return [(jobs[0], None, error)]
        return [result for job in jobs for result in self._commit([job])]

    def _flush_log(self) -> None:
        rows = [self._log.popleft() for _ in range(len(self._log))]
        try:
            with transaction(self.connection):
                self.write_log(self.connection, rows)
        except sqlite3.Error:
            return  # analytics: an outcome's error says that the store is ill
