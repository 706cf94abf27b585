"""One change of the shared state: its revision, its events, and the topics whose waiters it wakes.

Everything here runs in the writer's thread, inside a transaction that other changes share. Each
checks first and writes afterwards, so that a refusal leaves nothing to undo.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from msgspec import Raw, Struct

from ..errors import RequestError
from ..private import read_private, write_private
from ..sharing import plain_text
from . import statements as sql
from .caller import Caller
from .clock import Clock
from .statements import DELETE, PUT, checksum, noted

NAME = "coordinate.rev"
BLOCK = 1 << 20
HIGHEST = 1 << 52  # a higher number is corrupted
NUMBERS = 1 << 10  # events that a revision has room for
ANSWER_S = 600  # for which an answer is repeated
NEVER = 1 << 62
_CLOCK, _BLOCK = "@clock", "@block"


class Change:
    """What one caller writes under one revision; the waiters of its `topics` are woken."""

    __slots__ = (
        "_journal", "_number", "at", "caller", "cause", "connection", "now", "project", "rev",
        "topics",
    )  # fmt: skip

    def __init__(
        self, connection: sqlite3.Connection, journal: Journal, caller: Caller, now: int, cause: str
    ) -> None:
        self._journal, self.connection, self.cause = journal, connection, cause
        self.caller, self.project = caller, caller.project
        self.now, self.at = now, journal.clock.at()
        self.topics: list[str] = []
        self.next_revision()

    def event(self, kind: int, key: str, value: object, cause: str = "") -> int:
        """Append to the log; returns the event's id.

        Where the revision has no number left, the transaction goes on with the next revision.
        """
        text = plain_text(value)
        return self._append(kind, key, text, checksum(key, text.encode()), cause)

    def _append(self, kind: int, key: str, text: str | None, crc: int, cause: str = "") -> int:
        if self._number == NUMBERS:
            self.next_revision()
        number, by = (self.rev << 10) + self._number, self.caller.name
        self._number += 1
        row = (number, self.project, kind, key, text, by, self.at, cause or self.cause, crc)
        self.connection.execute(sql.ADD_EVENT, row)
        self.topics.append(key)
        return number

    def next_revision(self) -> int:
        """Begin a further revision of the same transaction; returns it."""
        self.rev, self._number = self._journal.revisions.next(), 0
        return self.rev

    @property
    def clock(self) -> Clock:
        return self._journal.clock

    def lease(self, seconds: float) -> int:
        """The end of a lease that begins now."""
        ends = self.now + int(seconds * 1000)
        self._journal.will_end(ends)
        return ends

    def put(self, key: str, text: str, ends: int | None) -> None:
        """Write a value. Its event gets a copy of it only when another value replaces it."""
        crc = checksum(key, text.encode())
        number = self._append(PUT, key, None, crc)
        row = (self.project, key, text, number, self.caller.name, self.at, ends, crc)
        if not self.connection.execute(sql.ADD_ITEM, row).rowcount:
            self._supersede(key)
            self.connection.execute(sql.PUT_ITEM, row)

    def delete(self, key: str, cause: str = "") -> None:
        """Delete a value, if it exists."""
        self._supersede(key)
        if self.forget(key):
            self.event(DELETE, key, "null", cause)

    def _supersede(self, key: str) -> None:
        self.connection.execute(sql.SUPERSEDE, (self.project, key) * 2)

    def note(self, key: str, value: object, ends: int | None = None) -> None:
        """Write an item of the server's own, without an event: a text as it is, else as JSON."""
        text = plain_text(value)
        row = (self.project, key, text, 0, self.caller.name, self.at, ends)
        self.connection.execute(sql.PUT_ITEM, (*row, checksum(key, text.encode())))

    def forget(self, key: str) -> int:
        """Remove an item without an event; returns how many there were."""
        return self.connection.execute(sql.DELETE_ITEM, (self.project, key)).rowcount

    def noted(self, key: str) -> str | None:
        """An item of the server's own that has not expired."""
        return noted(self.connection, self.project, key, self.now)


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
        """Begin a block above all earlier ones and above `known`, revisions of the database."""
        self.last = max(each for each in (0, self.before, *known) if each < HIGHEST)
        self._reserve()

    def next(self) -> int:
        """Raises OSError where a new block cannot be written."""
        if self.last >= self.reserved:
            self._reserve()
        self.last += 1
        return self.last

    def keep(self) -> None:
        """Write the end of the block again if the file was removed or changed, if possible."""
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
        """0 where no file has a number: then the database decides."""
        try:
            text = read_private(self._path, 100).decode("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return 0
        return min(int(text), HIGHEST) if text.isdigit() else 0


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
        """Note that a lease ends then; nothing ends before `due`."""
        self.due = min(self.due, ends)
        self._leased = True

    def open(self, connection: sqlite3.Connection) -> None:
        """Begin a block of revisions. Where the database is not the one of the last run, revisions
        were given out that it lacks, so older cursors are refused."""
        for statement in sql.MEND:
            connection.execute(statement)
        _drop_corrupted(connection)
        last = connection.execute(sql.LAST_EVENT).fetchone()[0] or 0
        block = _meta(connection, _BLOCK)
        self.revisions.open(last >> 10, block)
        self.clock.start(_meta(connection, _CLOCK))
        if block != self.revisions.before and self.revisions.before:
            set_oldest(connection, self.revisions.last)
        self._save_block(connection)
        connection.execute(sql.LEASE_HELD, (self.clock.now(),))
        connection.execute(sql.LEASE_WAITING, (self.clock.now() + 60_000,))
        self.look_ahead(connection)

    def look_ahead(self, connection: sqlite3.Connection) -> None:
        """When the next lease, value or message ends."""
        ends = [row[0] for row in connection.execute(sql.NEXT_DUE) if row[0] is not None]
        self.due = min(ends, default=NEVER)

    def begin(self, on: sqlite3.Connection, caller: Caller, now: int, cause: str = "") -> Change:
        """`now` is lease time."""
        change = Change(on, self, caller, now, cause)
        if self.revisions.reserved != self._saved:
            self._save_block(on)
        return change

    def save_clock(self, connection: sqlite3.Connection, always: bool = False) -> None:
        """With every lease: after a restart its time must not begin before the lease did."""
        if self._leased or always:
            set_note(connection, "", _CLOCK, str(self.clock.now()))
            self._leased = False

    def _save_block(self, connection: sqlite3.Connection) -> None:
        set_note(connection, "", _BLOCK, str(self.revisions.reserved))
        self._saved = self.revisions.reserved


def _drop_corrupted(connection: sqlite3.Connection) -> None:
    """Delete the server's own items whose checksum is wrong."""
    for project, key, value, crc in connection.execute(sql.NOTED).fetchall():
        if checksum(key, value) != crc:
            connection.execute(sql.DELETE_ITEM, (project, key))


def _meta(connection: sqlite3.Connection, key: str) -> int:
    return _number(connection.execute(sql.ITEM, ("", key)).fetchone())


def _number(row: tuple[Any, ...] | None) -> int:
    """0 for anything but a number."""
    text = str(row[0]) if row else ""
    return int(text) if text.isdecimal() and int(text) < NEVER else 0


def set_note(connection: sqlite3.Connection, project: str, key: str, text: str) -> None:
    """Write an item of the server's own outside a change; the project "" is the whole file."""
    row = (project, key, text, 0, "", 0, None, checksum(key, text.encode()))
    connection.execute(sql.PUT_ITEM, row)


def oldest(connection: sqlite3.Connection, project: str) -> int:
    """The revision after which the project's log is complete."""
    return _number(connection.execute(sql.OLDEST, {"project": project}).fetchone())


def last_revision(connection: sqlite3.Connection, project: str) -> int:
    """The newest revision in the project's log, which it may share with others."""
    newest = connection.execute(sql.LAST_EVENT, {"project": project}).fetchone()[0]
    return newest >> 10 if newest is not None else oldest(connection, project)


def set_oldest(connection: sqlite3.Connection, rev: int) -> None:
    """Note the oldest revision that the log still has."""
    connection.execute(sql.KEEP_OLDEST, (str(rev),))


def answered_before(change: Change, method: str) -> Raw | None:
    """The answer that the same caller got to the same request within ten minutes."""
    key = answer_key(method, change.caller.who, change.cause)
    found = change.noted(key) if change.cause else None
    return Raw(found.encode()) if found is not None else None


def answer_key(method: str, who: str, request: str) -> str:
    """Where the answer to a request is kept."""
    return f"@request/{method}/{who}/{request}"


def keep_answer(change: Change, method: str, who: str, request: str, answer: object) -> None:
    """Keep it for ten minutes, for a repeated request."""
    change.note(answer_key(method, who, request), answer, change.lease(ANSWER_S))


class Refusal(Struct, frozen=True):
    """An error as a value: raised in the writer, it would undo the changes committed with it."""

    error: RequestError
