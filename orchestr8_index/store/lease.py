"""Whose database is it, and does it still stand in its place? Asked within every commit."""

from __future__ import annotations

import os
import secrets
import sqlite3
from pathlib import Path

from ..errors import StoreUnavailable
from .database import transaction

TABLE = ("CREATE TABLE IF NOT EXISTS lease (owner TEXT NOT NULL)",)
SUFFIXES = ("", "-wal", "-shm")
LEAST_BYTES = 512  # of a database: its smallest page
LOG_HEAD, MAGIC = 32, (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
MOST_BEGINNINGS = 1000  # of the log between two looks; SQLite counts them in its first salt
LOST = "what is stored now would be lost."
LOST_CURE = "Put the data directory back, or restart the server: it begins with what is there."
TAKEN = "Another process has taken the database over: two must not write to it."
TAKEN_CURE = "Stop one of the servers of this data directory, then restart the other."
ALTERED = "Another process has changed the tables of the database while the server runs."
ALTERED_CURE = "See what it was with `orchestr8-index verify`, then restart the server."


class Lease:
    """The right to write, of who opened the database last; who opened it before loses it.

    No lock on the file itself: a second descriptor of it, once closed, would drop SQLite's own.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path, self._owner = path, secrets.token_hex(16)
        with transaction(connection):
            connection.execute("DELETE FROM lease")
            connection.execute("INSERT INTO lease (owner) VALUES (?)", (self._owner,))
        self._schema = _schema_version(connection)
        self._stood = [self._status(suffix) for suffix in SUFFIXES]
        self._logged = 0
        self._begun = _beginning(f"{path}-wal") or 0

    def lost(self) -> StoreUnavailable | None:
        """Why what is written now could not be found again; some microseconds."""
        logged = self._logged  # before the look: the writer's thread may note more meanwhile
        for suffix, stood in zip(SUFFIXES, self._stood, strict=True):
            found, name = self._status(suffix), self._path.name + suffix
            if found is None:
                return _loss(name, "moved or removed")
            if stood is None or not os.path.samestat(found, stood):
                return _loss(name, "replaced")
            if found.st_size < {"": LEAST_BYTES, "-wal": logged}.get(suffix, 0):
                return _loss(name, "cut short")  # SQLite only lets the log grow
            if suffix == "-wal":
                self._logged = found.st_size
        return self._overwritten()

    def _overwritten(self) -> StoreUnavailable | None:
        """The log has no locks of SQLite's that another descriptor could drop."""
        known = self._begun  # before the look, as above
        found = _beginning(f"{self._path}-wal")
        if found is None or (found - known) % (1 << 32) > MOST_BEGINNINGS:
            return _loss(f"{self._path.name}-wal", "overwritten")
        self._begun = found
        return None

    @property
    def log_alone_is_gone(self) -> bool:
        """Whether the database itself stands in its place, without its log."""
        found, stood = self._status(""), self._stood[0]
        stands = found is not None and stood is not None and os.path.samestat(found, stood)
        return stands and self._status("-wal") is None

    def check(self, connection: sqlite3.Connection) -> None:
        """Raises StoreUnavailable where a commit would not be ours; ask within its transaction."""
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


def _loss(name: str, how: str) -> StoreUnavailable:
    return StoreUnavailable(f"{name} was {how} while the server runs: {LOST}", LOST_CURE)


def _schema_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA schema_version").fetchone()[0])


def _beginning(log: str) -> int | None:
    """The number of the log's beginning, which its head holds; None where it has no head."""
    try:
        with open(log, "rb", buffering=0) as file:
            head = file.read(LOG_HEAD)
    except OSError:
        return None
    return int.from_bytes(head[16:20]) if head[:4] in MAGIC else None
