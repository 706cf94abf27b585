"""The lease on a database: every commit checks its owner, and that the files are still there."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ..errors import StoreUnavailable
from .database import transaction
from .wal import WriteAheadLog

TABLE = ("CREATE TABLE IF NOT EXISTS lease (owner TEXT NOT NULL)",)
SUFFIXES = ("", "-wal", "-shm")
LEAST_BYTES = 512  # the smallest page of a database
LOST = "what is stored now would be lost."
LOST_CURE = "Put the data directory back, or restart the server: it begins with what is there."
TAKEN = "Another process has taken the database over: two must not write to it."
TAKEN_CURE = "Stop one of the servers of this data directory, then restart the other."
ALTERED = "Another process has changed the tables of the database while the server runs."
ALTERED_CURE = "See what it was with `orchestr8-index verify`, then restart the server."


class Lease:
    """The right to write: the last process to open the database has it, and earlier ones lose it.

    It is a row, not a lock on the file: closing another descriptor of it would drop SQLite's locks.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path, self._owner = path, secrets.token_hex(16)
        self._log = WriteAheadLog(path)
        with self._log.turn(), transaction(connection):
            connection.execute("DELETE FROM lease")
            connection.execute("INSERT INTO lease (owner) VALUES (?)", (self._owner,))
        self._schema = _schema_version(connection)
        self._opened = [self._status(suffix) for suffix in SUFFIXES]
        self._version = _data_version(connection)
        self.foreign = False

    @contextlib.contextmanager
    def turn(self, connection: sqlite3.Connection) -> Iterator[None]:
        """A transaction of the owner. Raises StoreUnavailable when the lease or a file is lost."""
        with contextlib.ExitStack() as committed, transaction(connection):
            self.check(connection)
            committed.enter_context(self._log.turn())
            before, now = self._version, _data_version(connection)
            self.foreign = self.foreign or before != now  # another connection has committed
            self._version = now
            yield

    def lost(self) -> StoreUnavailable | None:
        """Why a commit would be lost: a file was moved, replaced, cut or overwritten; takes µs."""
        logged = self._log.end  # read before the sizes: the writer's thread may extend it
        for suffix, opened in zip(SUFFIXES, self._opened, strict=True):
            found, name = self._status(suffix), self._path.name + suffix
            if found is None:
                return _lost_file(name, "moved or removed")
            if opened is None or not os.path.samestat(found, opened):
                return _lost_file(name, "replaced")
            if found.st_size < {"": LEAST_BYTES, "-wal": logged}.get(suffix, 0):
                return _lost_file(name, "cut short")  # SQLite only lets the log grow
        if self._log.is_altered():
            return _lost_file(f"{self._path.name}-wal", "overwritten")
        return None

    @property
    def wal_damage(self) -> str:
        """The WAL's damage while the database file is in place: "gone" if it was removed, "spoilt"
        if it was cut or overwritten; else ""."""
        found, opened = self._status(""), self._opened[0]
        if found is None or opened is None or not os.path.samestat(found, opened):
            return ""
        log, opened = self._status("-wal"), self._opened[1]
        if log is None:
            return "gone"
        same = opened is not None and os.path.samestat(log, opened)
        spoilt = log.st_size < self._log.end or self._log.is_altered()
        return "spoilt" if same and spoilt else ""

    def check(self, connection: sqlite3.Connection) -> None:
        """Raises StoreUnavailable when the lease or a file is lost; call it in a transaction."""
        if connection.execute("SELECT owner FROM lease").fetchall() != [(self._owner,)]:
            raise StoreUnavailable(TAKEN, TAKEN_CURE)
        if _schema_version(connection) != self._schema:
            raise StoreUnavailable(ALTERED, ALTERED_CURE)
        if lost := self.lost():
            raise lost

    def _status(self, suffix: str) -> os.stat_result | None:
        try:
            return os.stat(f"{self._path}{suffix}", follow_symlinks=False)
        except OSError:
            return None


def _lost_file(name: str, how: str) -> StoreUnavailable:
    return StoreUnavailable(f"{name} was {how} while the server runs: {LOST}", LOST_CURE)


def _data_version(connection: sqlite3.Connection) -> int:
    """A number that changes when another connection commits."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _schema_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA schema_version").fetchone()[0])
