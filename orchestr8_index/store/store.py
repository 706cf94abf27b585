"""The open store: one writer, one reader, limits, and a sentence when it cannot be used."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import StoreUnavailable
from ..private import make_folder
from . import backup, notes, schema
from .database import CACHE_KB, NAME, connect, connect_to_read, size_bytes, used_bytes
from .lease import Lease
from .writer import Job, Work, Writer, nobody

MB = 1_000_000
SIZE_EVERY = 64
PRUNED_TO = 0.75  # of the soft limit
UNCOUNTED = "The write was stored, but not counted: a restart counts it."
FOREIGN = (
    "Another process has written to the database while the server runs: "
    "`orchestr8-index verify` says whether anything that was reported was changed."
)
CURES = {
    sqlite3.SQLITE_FULL: " Free space on the disk of the data directory.",
    sqlite3.SQLITE_READONLY: " Make the data directory writable, or mount its disk for writing.",
    sqlite3.SQLITE_IOERR: " Look after the disk of the data directory, then restart the server.",
    sqlite3.SQLITE_CANTOPEN: " Check the data directory and the rights of its files.",
}
Finished = list[tuple[Job, Any, BaseException | None]]


@dataclass(frozen=True, slots=True)
class Schema:
    """A database file: its name, its tables, and how it is mended and kept small.

    `room_cure` says what helps when it has reached its hard limit. `cache_kb` is the writer's: a
    commit that touches more pages writes some of them twice.
    """

    name: str
    migrations: schema.Steps
    mend: Callable[[Path, str], backup.Repair]
    room_cure: str
    write_log: Callable[[sqlite3.Connection, Sequence[Any]], None] = lambda connection, rows: None
    prune: Callable[[sqlite3.Connection], int] = lambda connection: 0
    synchronous: str = "FULL"
    cache_kb: int = CACHE_KB


LEDGER = Schema(
    NAME,
    schema.MIGRATIONS,
    backup.mend,
    "Raise MCP_STORE_HARD_MB, or remove old decisions with `orchestr8-index forget`.",
    notes.write_queries,
    notes.prune_queries,
)


class Store:
    """Opened once by `open` (blocking; raises sqlite3.Error or OSError), used from one event loop.

    `trouble` says why the last write failed, "" when it did not; `repaired` what was mended at
    start.
    """

    def __init__(
        self, data_dir: Path, soft_mb: float = 100, hard_mb: int = 500, layout: Schema = LEDGER
    ) -> None:
        self._data_dir, self.layout = data_dir, layout
        self._soft, self._hard = min(soft_mb, hard_mb) * MB, hard_mb * MB
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: Writer | None = None
        self._waiting: deque[Job] = deque()
        self._admitted = self._used = 0
        self._pruning = False
        self.trouble = self.rescued = ""
        self._was_lost = False
        self._lease: Lease | None = None
        self.repaired: backup.Repair | None = None
        self.reader: sqlite3.Connection

    def open(self) -> None:
        make_folder(self._data_dir)
        path = self._path
        backup.finish_replacing(self._data_dir, self.layout.name)
        self._refuse_newer(path)
        if damage := backup.damage_of(path):
            self.repaired = self.layout.mend(self._data_dir, damage)
        try:
            writing = self._connect(path)
        except sqlite3.DatabaseError as error:
            if self.repaired or backup.is_passing(error):
                raise
            self.repaired = self.layout.mend(self._data_dir, str(error))
            writing = self._connect(path)
        self.reader = connect(path)
        self._lease = Lease(path, writing)
        backup.remove_leftovers(self._data_dir)
        self._writer = Writer(writing, self._resolve, self._lease)

    def _connect(self, path: Path) -> sqlite3.Connection:
        """The writer's connection, with all tables as they must be."""
        steps, layout = self.layout.migrations, self.layout
        writing = connect(path, synchronous=layout.synchronous, cache_kb=layout.cache_kb)
        with contextlib.ExitStack() as failed:
            failed.callback(writing.close)
            if 0 < schema.version(writing) < len(steps):
                backup.backup(self._data_dir, writing, self.layout.name)
            schema.migrate(writing, steps)
            schema.mend(writing, steps)
            failed.pop_all()
        return writing

    def _refuse_newer(self, path: Path) -> None:
        """Raises StoreTooNew before anything is written; ignores a file that cannot be read."""
        if path.exists():
            unread = contextlib.suppress(sqlite3.Error)
            with unread, contextlib.closing(connect(path, read_only=True)) as look:
                schema.check_version(look, self.layout.migrations)

    def open_to_read(self) -> None:
        """Open the reader alone; a server may be writing meanwhile. Raises sqlite3.Error."""
        self.reader = connect_to_read(self._path)
        with contextlib.ExitStack() as undo:
            undo.callback(self.reader.close)
            schema.check_version(self.reader, self.layout.migrations)
            schema.read_as_now(self.reader)
            undo.pop_all()

    def reading(self) -> contextlib.closing[sqlite3.Connection]:
        """A context manager with another read-only connection, for another thread."""
        return contextlib.closing(connect_to_read(self._path))

    def prepare(self, work: Work) -> None:
        """Run `work` in a transaction before `start`. Raises sqlite3.Error and what it raises."""
        assert self._writer
        assert self._lease
        with self._lease.turn(self._writer.connection):
            work(self._writer.connection)

    def start(self) -> None:
        """Begin to write, in the running loop."""
        self._loop = asyncio.get_running_loop()
        assert self._writer
        self._writer.start()

    async def stop(self) -> None:
        """Run the waiting jobs, then close; SQLite crashes if another thread closes the reader."""
        self._submit()
        await asyncio.to_thread(self._stop_writing)
        self._close_reader()

    def close(self) -> None:
        """As `stop`, where no loop runs."""
        self._stop_writing()
        self._close_reader()

    def _stop_writing(self) -> None:
        if self._writer:
            self._writer.stop()
            with contextlib.suppress(sqlite3.Error):
                self._checkpoint(self._writer.connection)
            self._writer.connection.close()

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _close_reader(self) -> None:
        self._submit()  # what came meanwhile is refused
        self._writer = None
        self.reader.close()

    def write(self, work: Work, apply: Any = None, project: str = "") -> asyncio.Future[Any]:
        """Queue `work` for the next commit. The future has its value once that is on the disk.

        `apply(value)` runs in the loop right after the commit, in the order of the commits; the
        future then has what it returns. Fails with StoreUnavailable.
        """
        if self._writer is None or self._loop is None:
            raise StoreUnavailable("The store is not open.")
        future: asyncio.Future[Any] = self._loop.create_future()

        def done(value: Any, error: BaseException | None) -> None:
            _finish(future, value, error, apply)

        if not self._waiting:
            self._loop.call_soon(self._submit)
        self._waiting.append(Job(work, done, project))
        return future

    def _submit(self) -> None:
        """Hand over all jobs of one turn of the loop together: one by one, each would wake the
        writer, and 80 reporters would cause ten times as many commits."""
        with contextlib.suppress(IndexError):
            while self._writer:
                self._writer.submit(self._waiting.popleft())

    def note_queries(self, rows: Sequence[Any]) -> None:
        """Queue rows of the query log. Their failure is not reported: the next outcome's is."""
        if self._writer is not None and rows:
            self._writer.submit(Job(lambda on: self.layout.write_log(on, rows), nobody))
            self._update_size()

    def _resolve(self, finished: Finished) -> None:
        assert self._loop
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its futures with it
            self._loop.call_soon_threadsafe(self._finish_jobs, finished)

    def _finish_jobs(self, finished: Finished) -> None:
        assert self._loop
        failed = [error for job, _, error in finished if error and job.done is not nobody]
        self.trouble = _trouble(failed[-1]) if failed else ""
        rest = iter(finished)
        try:
            for job, value, error in rest:
                job.done(value, error)
        finally:  # an exception of one must not hold up the others
            if left := list(rest):
                self._loop.call_soon(self._finish_jobs, left)

    @property
    def _path(self) -> Path:
        return self._data_dir / self.layout.name

    @property
    def lost(self) -> str:
        """Why no commit would be durable any more; "" while all is well."""
        return str(self._why_lost() or "")

    def _why_lost(self) -> StoreUnavailable | None:
        if self._lease is None:
            return None
        try:
            self._lease.check(self.reader)
        except StoreUnavailable as lost:
            return lost
        except sqlite3.Error as error:
            return self._lease.lost() or StoreUnavailable(_trouble(error), "")
        return None

    @property
    def reasons(self) -> list[str]:
        """What is wrong with the store, for /health."""
        lost = self.lost
        rescued = f" {self.rescued}" if self.rescued else ""
        repaired = self.repaired.sentence() if self.repaired else ""
        foreign = FOREIGN if self._lease and self._lease.foreign else ""
        ill = lost and lost + rescued or self.trouble or self._full
        return [each for each in (ill, repaired, foreign) if each]

    async def check(self) -> bool:
        """Whether the store was lost since the last call, a second ago; then rescue its data."""
        lost = bool(self.lost)
        if lost == self._was_lost:
            return False
        self._was_lost, self.rescued = lost, ""
        if self._lease and self._lease.lost():
            with contextlib.suppress(sqlite3.Error, OSError):
                self.rescued = await asyncio.to_thread(self._rescue)
        return lost

    def _rescue(self) -> str:
        """Save what open connections still have of removed files: in the database if that is in
        place, else in a backup. Returns a sentence on where; "" if the directory is gone."""
        assert self._writer and self._lease
        connection, name = self._writer.connection, self.layout.name
        if not self._data_dir.is_dir():
            return ""
        damage = self._lease.wal_damage
        if damage == "spoilt":  # nothing read through it can be trusted
            if self._writer.is_settled:
                return f"All that was acknowledged is in {name}."
            since = datetime.fromtimestamp(self._writer.settled_at, UTC).strftime("%H:%M:%S")
            return f"What was acknowledged since {since} UTC is lost with it."
        if damage == "gone":
            busy, logged, moved = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
            if not busy and logged == moved:
                return f"All that was acknowledged is in {name}."
        kept = backup.backup(self._data_dir, connection, name).name
        return f"All that was acknowledged is in a backup: `orchestr8-index restore {kept}`."

    @property
    def size_mb(self) -> float:
        return round(size_bytes(self._data_dir, self.layout.name) / MB, 3)

    def has_room(self, more: int = 0) -> bool:
        """Whether `more` bytes fit under the hard limit; above the soft one, prune the log."""
        self._admitted += 1
        self._used += more
        if self._admitted % SIZE_EVERY == 1 or self._used > self._soft:
            self._update_size()
        return self._used <= self._hard

    def admit(self, more: int = 0) -> None:
        """Raises StoreUnavailable above the hard limit."""
        if not self.has_room(more):
            raise StoreUnavailable(self._full, self.layout.room_cure)

    @property
    def _full(self) -> str:
        """Why `admit` refuses; "" while there is room."""
        if self._used > self._hard:
            self._update_size()
        limit = f"{self._hard // MB} MB"
        return f"The store has reached its limit of {limit}." if self._used > self._hard else ""

    def _update_size(self) -> None:
        self._used = used_bytes(self.reader)
        if self._used > self._soft and not self._pruning:
            self._prune()

    def _prune(self) -> None:
        """Prune in batches, between which outcomes are written, down to PRUNED_TO of the soft limit
        or until there is nothing left to delete."""
        if self._writer is not None:
            self._pruning = True
            self._writer.submit(Job(self.layout.prune, self._pruned))

    def _pruned(self, rows: Any, error: BaseException | None) -> None:
        self._pruning = False
        if error is None and rows and self._writer:
            self._used = used_bytes(self.reader)
            if self._used > PRUNED_TO * self._soft:
                self._prune()


def _trouble(error: BaseException) -> str:
    """The error as a sentence, with a cure by SQLite's error code."""
    if isinstance(error, StoreUnavailable):
        return str(error)
    cure = CURES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")
    return f"The store cannot be written: {str(error).rstrip('.')}.{cure}"


def _finish(
    future: asyncio.Future[Any], value: Any, error: BaseException | None, apply: Any
) -> None:
    """Resolve the future, whatever `apply` raises; that propagates to the loop's log."""
    if error:
        refusal = StoreUnavailable(f"The write was not stored: {str(error).rstrip('.')}.")
        return _end(future, None, error if isinstance(error, StoreUnavailable) else refusal)
    counted = False
    try:
        value = apply(value) if apply else value
        counted = True
    finally:
        _end(future, value, None if counted else StoreUnavailable(UNCOUNTED))


def _end(future: asyncio.Future[Any], value: Any, failure: StoreUnavailable | None) -> None:
    if future.cancelled():
        return
    if failure is None:
        future.set_result(value)
    else:
        future.set_exception(failure)
