"""The open store of a team: PostgreSQL behind what the rooms know as a store.

One thread writes. Waiting changes of one project are committed together: its row is locked first,
and the other servers are notified last.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

from ..coordinate.commits import Found
from ..errors import StoreUnavailable
from ..store.database import transaction
from ..store.store import Store
from ..store.writer import Job, Work, Writer
from .connection import Reach, ReadingConnection, TeamConnection

WRITE_SECONDS, READ_SECONDS = 5.0, 2.0
READERS = 3  # with those that write, listen and watch six connections
Begin = Callable[[TeamConnection, str, int], None]
Tell = Callable[[TeamConnection, str, Sequence[Any]], None]


class TeamWriter(Writer):
    """`begin` opens a project's commit, `tell` ends it with what was done, before it is final."""

    def __init__(self, connection: Any, resolve: Any, begin: Begin, tell: Tell) -> None:
        super().__init__(connection, resolve)
        self.begin, self.tell = begin, tell

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
        self.tell(self.connection, jobs[0].project, values)  # type: ignore[arg-type]


class TeamStore(Store):
    """As `Store`, but disk, backups and integrity are left to the database. `size` returns bytes,
    as the registry counted them."""

    def __init__(self, url: str, schema: str, server: str, begin: Begin, tell: Tell) -> None:
        super().__init__(Path())
        self.reach = Reach()
        self._begin, self._tell = begin, tell
        self._address = (url, schema, self.reach)
        self._server = server
        self.size: Callable[[], int] = lambda: 0
        self.greet: Callable[[Any], None] = lambda opened: None
        self.reader: Any = self._made()
        self._readers, self._own = [self.reader], threading.local()
        self._reading = ThreadPoolExecutor(READERS, "reads")

    def _made(self) -> ReadingConnection:
        return ReadingConnection(*self._address, READ_SECONDS, f"{self._server} reads")

    async def read(self, work: Callable[..., Found], *asked: Any) -> Found:
        """`work(connection, *asked)` in a thread of its own. Raises StoreUnavailable."""
        if self._writer is None:
            raise StoreUnavailable("The store is closed.")
        return await asyncio.wrap_future(self._reading.submit(self._read, work, asked))

    def _read(self, work: Callable[..., Found], asked: Sequence[Any]) -> Found:
        if not hasattr(self._own, "reader"):
            self._own.reader = self._made()
            self._readers.append(self._own.reader)
        return work(self._own.reader, *asked)

    def open(self) -> None:
        """Nothing is asked yet: the first statement connects."""
        writing: Any = TeamConnection(*self._address, WRITE_SECONDS, f"{self._server} writes")
        writing.greet = self.greet
        self._writer = TeamWriter(writing, self._resolve, self._begin, self._tell)

    def submit(self, work: Work, apply: Any, project: str, ended: Callable[[], None]) -> None:
        """As `write`, from another thread; nobody waits for it."""

        def done(value: Any, error: BaseException | None) -> None:
            ended()
            if error is None:
                apply(value)

        if self._writer is not None:
            self._writer.submit(Job(work, done, project))

    def prepare(self, work: Work) -> None:
        """Nothing: other servers are at work."""

    def _close_reader(self) -> None:
        super()._close_reader()
        self._reading.shutdown()
        for reader in self._readers:
            reader.close()

    def _checkpoint(self, connection: Any) -> None:
        """The database's own care."""

    def has_room(self, more: int = 0) -> bool:
        return True

    @property
    def size_mb(self) -> float:
        return round(self.size() / 1e6, 3)

    @property
    def lost(self) -> str:
        return self.reach.trouble

    @property
    def reasons(self) -> list[str]:
        return [why for why in [self.reach.trouble or self.trouble] if why]

    async def check(self) -> bool:
        """Once a second: whether it has just gone away."""
        was, self._was_lost = self._was_lost, self.reach.is_away
        return self._was_lost and not was
