"""The open store: one writer, one reader, limits, and a sentence when it cannot be used."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StoreUnavailable
from ..private import make_folder
from . import backup, ledger, schema
from .database import NAME, connect, connect_to_read, size_bytes, transaction, used_bytes
from .writer import Job, Work, Writer

MB = 1_000_000
SIZE_EVERY, NOTES_EVERY = 64, 1024
PRUNED_TO = 0.75  # of the soft limit
GONE = "The database was moved or removed while the server runs: what is stored now would be lost."
GONE_CURE = "Put the data directory back, or restart the server: it begins a new one."
CURES = {
    sqlite3.SQLITE_FULL: " Free space on the disk of the data directory.",
    sqlite3.SQLITE_READONLY: " Make the data directory writable, or mount its disk for writing.",
    sqlite3.SQLITE_IOERR: " Look after the disk of the data directory, then restart the server.",
    sqlite3.SQLITE_CANTOPEN: " Check the data directory and the rights of its files.",
}
Finished = list[tuple[Job, Any, Exception | None]]


def _nothing_to_prune(connection: sqlite3.Connection) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Layout:
    """A database file: its name, its tables, and how it is mended and kept small.

    `room_cure` says what helps when it has reached its hard limit.
    """

    name: str
    migrations: schema.Steps
    mend: Callable[[Path, str], backup.Repair]
    room_cure: str
    write_log: Callable[[sqlite3.Connection, Sequence[Any]], None] = lambda connection, rows: None
    prune: Callable[[sqlite3.Connection], int] = _nothing_to_prune
    synchronous: str = "FULL"


LEDGER = Layout(
    NAME,
    schema.MIGRATIONS,
    backup.mend,
    "Raise MCP_STORE_HARD_MB, or remove old decisions with `orchestr8-index forget`.",
    ledger.write_queries,
    ledger.prune_queries,
)


class Store:
    """Opened once by `open` (blocking; raises sqlite3.Error or OSError), used from one event loop.

    `trouble` says why the last write failed, "" when it did not; `repaired` what was mended at
    start.
    """

    def __init__(
        self, data_dir: Path, soft_mb: int = 100, hard_mb: int = 500, layout: Layout = LEDGER
    ) -> None:
        self._data_dir, self.layout = data_dir, layout
        self._soft, self._hard = min(soft_mb, hard_mb) * MB, hard_mb * MB
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: Writer | None = None
        self._admitted = self._noted = self._used = 0
        self._pruning = False
        self.trouble = ""
        self._place: tuple[int, int] | None = None
        self.repaired: backup.Repair | None = None
        self.reader: sqlite3.Connection

    def open(self) -> None:
        make_folder(self._data_dir)
        path = self._path
        backup.finish_replacing(self._data_dir, self.layout.name)
        self._refuse_newer(path)
        if damage := backup.damage_of(path):
            self.repaired = self.layout.mend(self._data_dir, damage)
        writing = connect(path, synchronous=self.layout.synchronous)
        reached = schema.version(writing)
        if 0 < reached < len(self.layout.migrations):
            backup.backup(self._data_dir, writing, self.layout.name)
        schema.migrate(writing, self.layout.migrations)
        self.reader = connect(path)
        self._place = _place(path)
        backup.remove_leftovers(self._data_dir)
        self._writer = Writer(writing, self._resolve, self.layout.write_log)

    def _refuse_newer(self, path: Path) -> None:
        """Before anything is written to it; a file that cannot be read is for the check."""
        if path.exists():
            unread = contextlib.suppress(sqlite3.Error)
            with unread, contextlib.closing(connect(path, read_only=True)) as look:
                schema.check_known(look, self.layout.migrations)

    def open_to_read(self) -> None:
        """Only read; a server may be writing meanwhile. Raises sqlite3.Error."""
        self.reader = connect_to_read(self._path)
        try:
            schema.check_known(self.reader, self.layout.migrations)
        except BaseException:
            self.reader.close()
            raise

    def prepare(self, work: Work) -> None:
        """Run `work` in a transaction before `start`. Raises sqlite3.Error and what it raises."""
        assert self._writer
        with transaction(self._writer.connection):
            work(self._writer.connection)

    def start(self) -> None:
        """Begin to write, in the running loop."""
        self._loop = asyncio.get_running_loop()
        assert self._writer
        self._writer.start()

    def close(self) -> None:
        if self._writer:
            self._writer.stop()
            with contextlib.suppress(sqlite3.Error):
                self._writer.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._writer.connection.close()
            self._writer = None
        self.reader.close()

    def write(self, work: Work, apply: Any = None) -> asyncio.Future[Any]:
        """Queue `work` for the next commit. The future has its value once that is on the disk.

        `apply(value)` runs in the loop right after the commit, in the order of the commits; the
        future then has what it returns. Fails with StoreUnavailable.
        """
        if self._writer is None or self._loop is None:
            raise StoreUnavailable("The store is not open.")
        if self.is_gone:
            raise StoreUnavailable(GONE, GONE_CURE)
        future: asyncio.Future[Any] = self._loop.create_future()

        def done(value: Any, error: Exception | None) -> None:
            _finish(future, value, error, apply)

        self._writer.submit(Job(work, done))
        return future

    def note_query(self, row: Sequence[Any]) -> None:
        if self._writer is not None:
            self._writer.note(row)
            self._noted += 1
            if self._noted % NOTES_EVERY == 0:
                self._look_at_size()

    def _resolve(self, finished: Finished) -> None:
        assert self._loop
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._hand_over, finished)

    def _hand_over(self, finished: Finished) -> None:
        failed = [error for _, _, error in finished if error]
        self.trouble = (
            f"The store cannot be written: {failed[-1]}.{_cure(failed[-1])}" if failed else ""
        )
        for job, value, error in finished:
            job.done(value, error)

    @property
    def _path(self) -> Path:
        return self._data_dir / self.layout.name

    @property
    def is_gone(self) -> bool:
        """Whether the file that is open no longer stands in its place."""
        return self._place is not None and _place(self._path) != self._place

    @property
    def size_mb(self) -> float:
        return round(size_bytes(self._data_dir, self.layout.name) / MB, 3)

    def has_room(self) -> bool:
        """Whether it is under the hard limit; above the soft one the query log shrinks."""
        self._admitted += 1
        if self._admitted % SIZE_EVERY == 1 or self._used > self._hard:
            self._look_at_size()
        return self._used <= self._hard

    def admit(self) -> None:
        """Raises StoreUnavailable above the hard limit."""
        if not self.has_room():
            limit = f"{self._hard // MB} MB"
            sentence = f"The store has reached its limit of {limit}."
            raise StoreUnavailable(sentence, self.layout.room_cure)

    def _look_at_size(self) -> None:
        self._used = used_bytes(self.reader)
        if self._used > self._soft and not self._pruning:
            self._prune()

    def _prune(self) -> None:
        """Bite by bite, so that no outcome waits for all of it, down to three quarters of the soft
        limit, or until there is nothing left to remove."""
        if self._writer is not None:
            self._pruning = True
            self._writer.submit(Job(self.layout.prune, self._pruned))

    def _pruned(self, rows: Any, error: Exception | None) -> None:
        self._pruning = False
        if error is None and rows:
            self._used = used_bytes(self.reader)
            if self._used > PRUNED_TO * self._soft:
                self._prune()


def _cure(error: Exception) -> str:
    """What mends the disk, by SQLite's own code."""
    return CURES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")


def _place(path: Path) -> tuple[int, int] | None:
    """Which file this is, whatever its name; None for one that is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _finish(future: asyncio.Future[Any], value: Any, error: Exception | None, apply: Any) -> None:
    failure = StoreUnavailable(f"What came was not stored: {error}.") if error else None
    if failure is None and apply:
        try:
            value = apply(value)
        except sqlite3.Error as unread:
            failure = StoreUnavailable(f"What came was stored, but not counted: {unread}.")
    if future.cancelled():
        return
    if failure is None:
        future.set_result(value)
    else:
        future.set_exception(failure)
