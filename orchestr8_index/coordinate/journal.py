"""One change of the shared state: its revision, its events, and whom it wakes.

Everything here runs in the writer's thread, inside a transaction. A unit of work checks first and
writes afterwards, so that a refusal leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Raw, Struct

from ..errors import RequestError
from ..private import read_private, write_private
from . import statements as sql
from .caller import Caller
from .clock import Clock
from .statements import DELETE, PUT

NAME = "coordinate.rev"
BLOCK = 1 << 20
FAR = 1 << 52  # no server comes so far: a number that was bent
NUMBERS = 1 << 10  # events of one revision
ANSWER_S = 600  # for which a request's answer is given again
NEVER = 1 << 62
_CLOCK, _BLOCK = "@clock", "@block"


class Change:
    """Writes under one revision, taken at its first event; `topics` are what waiters wait for."""

    __slots__ = (
        "_journal", "_number", "at", "by", "cause", "connection", "now", "project", "rev", "topics"
    )  # fmt: skip

    def __init__(
        self,
        connection: sqlite3.Connection,
        journal: Journal,
        project: str,
        by: str,
        cause: str,
        now: int,
    ) -> None:
        self._journal = journal
        self.connection, self.project, self.by, self.cause = connection, project, by, cause
        self.now, self.at = now, journal.clock.at()
        self.rev, self._number = journal.revisions.next(), 0
        self.topics: list[str] = []

    def event(self, kind: int, key: str, value: str, cause: str = "") -> int:
        """Append to the log; returns the event's id.

        What is more than a revision holds goes on in the next one, in the same transaction.
        """
        return self._append(kind, key, value, checksum(key, value.encode()), cause)

    def _append(self, kind: int, key: str, value: str | None, crc: int, cause: str = "") -> int:
        if self._number == NUMBERS:
            self.next_revision()
        number = (self.rev << 10) + self._number
        self._number += 1
        row = (number, self.project, kind, key, value, self.by, self.at, cause or self.cause, crc)
        self.connection.execute(sql.ADD_EVENT, row)
        self.topics.append(key)
        return number

    def next_revision(self) -> int:
        """Go on under a further revision of the same transaction; returns it."""
        self.rev, self._number = self._journal.revisions.next(), 0
        return self.rev

    @property
    def clock(self) -> Clock:
        return self._journal.clock

    def moment(self, ends: int) -> str:
        return self.clock.moment(ends)

    def lease(self, seconds: float) -> int:
        """The end of a lease that begins now."""
        ends = self.now + int(seconds * 1000)
        self._journal.will_end(ends)
        return ends

    def put(self, key: str, value: str, ends: int | None) -> None:
        """The event has no value of its own until another takes the item's place."""
        crc = checksum(key, value.encode())
        number = self._append(PUT, key, None, crc)
        row = (self.project, key, value, number, self.by, self.at, ends, crc)
        if not self.connection.execute(sql.ADD_ITEM, row).rowcount:
            self._supersede(key)
            self.connection.execute(sql.PUT_ITEM, row)

    def delete(self, key: str, cause: str = "") -> None:
        """Nothing, where there is no such value."""
        self._supersede(key)
        if self.forget(key):
            self.event(DELETE, key, "null", cause)

    def _supersede(self, key: str) -> None:
        self.connection.execute(sql.SUPERSEDE, (self.project, key) * 2)

    def note(self, key: str, value: str, ends: int | None = None) -> None:
        """An item of the server's own: it stands in no log."""
        crc = checksum(key, value.encode())
        row = (self.project, key, value, 0, self.by, self.at, ends, crc)
        self.connection.execute(sql.PUT_ITEM, row)

    def forget(self, key: str) -> int:
        """Remove an item, and tell nobody; how many there were."""
        return self.connection.execute(sql.DELETE_ITEM, (self.project, key)).rowcount

    def noted(self, key: str) -> str | None:
        row = self.connection.execute(sql.ITEM, (self.project, key)).fetchone()
        if row is None or checksum(key, str(row[0]).encode()) != row[2]:
            return None
        return row[0] if row[1] is None or row[1] > self.now else None


class Revisions:
    """The counter of one server, reserved in blocks, in a file of its own. `reserved` is the end of
    the present block, as the file has it.

    Neither a restored backup, a deleted database nor a commit that a power cut took back can make
    it repeat itself: every start begins a block that no earlier one had.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / NAME
        self.before = self._read()
        self.last = self.reserved = self.before

    def open(self, *known: int) -> None:
        """Begin a block above all blocks before and above `known`, the highest of the database."""
        self.last = max(each for each in (0, self.before, *known) if each < FAR)
        self._reserve()

    def next(self) -> int:
        """Raises OSError where a new block cannot be written."""
        if self.last >= self.reserved:
            self._reserve()
        self.last += 1
        return self.last

    def keep(self) -> None:
        """Write the block's end again where somebody took it away, or bent it, if possible."""
        if self._read() != self.reserved:
            with contextlib.suppress(OSError):
                self._write(self.reserved)

    def _reserve(self) -> None:
        end = self.last + BLOCK
        self._write(end)
        self.reserved = end

    def _write(self, end: int) -> None:
        write_private(self._path, f"{end}\n".encode(), synced=True)

    def _read(self) -> int:
        """0 where there is no file, or none with a number in it: the database knows the rest."""
        try:
            text = read_private(self._path, 100).decode("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return 0
        return min(int(text), FAR) if text.isdigit() else 0


class Journal:
    """What the writer's thread owns: the clock, the revisions, and when the next lease ends.

    `expired` counts the values and locks that ended by themselves since the start.
    """

    def __init__(self, clock: Clock, revisions: Revisions) -> None:
        self.clock, self.revisions = clock, revisions
        self._saved = self.expired = 0
        self.due = NEVER
        self._leased = False

    def will_end(self, ends: int) -> None:
        """Note that a lease ends then; `due` is the next such moment, or an earlier one."""
        self.due = min(self.due, ends)
        self._leased = True

    def open(self, connection: sqlite3.Connection) -> None:
        """Begin a block of revisions; a database that is not the one of the last run, or is new,
        does not know what was told since: older cursors are refused."""
        for statement in sql.MEND:
            connection.execute(statement)
        _drop_bent(connection)
        last = connection.execute(sql.LAST_EVENT).fetchone()[0] or 0
        block = _meta(connection, _BLOCK)
        self.revisions.open(last >> 10, block)
        self.clock.start(_meta(connection, _CLOCK))
        if block != self.revisions.before and self.revisions.before:
            set_oldest(connection, self.revisions.last)
        self._save_block(connection)
        connection.execute(sql.LEASE_HELD, (self.clock.now(),))
        connection.execute(sql.LEASE_WAITING, (self.clock.now() + 60_000,))

    def begin(
        self, connection: sqlite3.Connection, caller: Caller, now: int, cause: str = ""
    ) -> Change:
        """`now` is lease time, as the clock has just said it."""
        change = Change(connection, self, caller.project, caller.name, cause, now)
        if self.revisions.reserved != self._saved:
            self._save_block(connection)
        return change

    def save_clock(self, connection: sqlite3.Connection, always: bool = False) -> None:
        """With every lease that is given: a restart must not find an earlier time than it began."""
        if self._leased or always:
            set_meta(connection, _CLOCK, self.clock.now())
            self._leased = False

    def _save_block(self, connection: sqlite3.Connection) -> None:
        set_meta(connection, _BLOCK, self.revisions.reserved)
        self._saved = self.revisions.reserved


def checksum(key: str, value: bytes) -> int:
    """CRC-32 of key and value, kept beside them to find a bent page."""
    return crc32(value, crc32(key.encode()))


def _drop_bent(connection: sqlite3.Connection) -> None:
    """What the server has noted for itself, and cannot be what it wrote: nobody could read it."""
    for project, key, value, crc in connection.execute(sql.NOTED).fetchall():
        if checksum(key, value) != crc:
            connection.execute(sql.DELETE_ITEM, (project, key))


def _meta(connection: sqlite3.Connection, key: str) -> int:
    return _number(connection.execute(sql.ITEM, ("", key)).fetchone())


def _number(row: tuple[Any, ...] | None) -> int:
    """0 where there is none yet, or none any more."""
    text = str(row[0]) if row else ""
    return int(text) if text.isdecimal() and int(text) < NEVER else 0


def set_meta(connection: sqlite3.Connection, key: str, value: int) -> None:
    """Note a number of the file's own."""
    connection.execute(sql.PUT_ITEM, ("", key, str(value), 0, "", 0, None, 0))


def oldest(connection: sqlite3.Connection, project: str) -> int:
    """The revision after which the project's log is whole."""
    return _number(connection.execute(sql.OLDEST, {"project": project}).fetchone())


def last_revision(connection: sqlite3.Connection, project: str) -> int:
    """The newest revision in the project's log, which it may share with others."""
    newest = connection.execute(sql.LAST_EVENT, {"project": project}).fetchone()[0]
    return newest >> 10 if newest is not None else oldest(connection, project)


def set_oldest(connection: sqlite3.Connection, rev: int) -> None:
    """Note the oldest revision that the log still has."""
    connection.execute(sql.KEEP_OLDEST, (str(rev),))


def answered_before(change: Change, method: str, who: str, request: str) -> Raw | None:
    """The answer that the same request of the same caller got within ten minutes."""
    found = change.noted(f"@request/{method}/{who}/{request}") if request else None
    return Raw(found.encode()) if found is not None else None


def keep_answer_of(change: Change, method: str, who: str, request: str, answer: object) -> None:
    """Keep an answer for a repeated request, for `ANSWER_S` seconds."""
    text = msgspec.json.encode(answer).decode()
    change.note(f"@request/{method}/{who}/{request}", text, change.lease(ANSWER_S))


class Refusal(Struct, frozen=True):
    """A refusal that travels through the writer as a value: it must not undo its neighbours."""

    error: RequestError
