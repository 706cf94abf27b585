"""The state derived from the decisions, experience and patterns, updated after each commit.

The decisions on disk are the source of truth. A checkpoint holds the state after one of them, so
that a start counts only later ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace

from ..records import Decision
from ..reports import PatternChange, Receipt
from ..store import ledger, plans
from ..store.store import Store
from ..text import Terms
from .experience import Memory
from .patterns import Patterns, differing
from .receipt import Applied, entry_changes, pattern_change

CHECKPOINT, FORMAT = "experience", 6
DIGEST = 16  # bytes, in front of a checkpoint
REMEMBERED = 2_000  # decisions before the checkpoint that are read again, as samples


def unattended(write: asyncio.Future[Any]) -> None:
    """Retrieve the error of a write that nobody awaits; the store has noted it."""
    write.add_done_callback(lambda done: done.cancelled() or done.exception())


_State = tuple[int, int, bytes, bytes]


@dataclass(slots=True)
class Counts:
    """`last` is the number of the last decision counted, `unsaved` how many changes came since the
    last checkpoint, `bent` sentences on what `load` found damaged and counted again. Every method
    runs in the event loop's thread, between two commits."""

    store: Store
    terms: Terms
    project: str = ""
    memory: Memory = field(init=False)
    patterns: Patterns = field(init=False)
    last: int = 0
    unsaved: int = 0
    bent: list[str] = field(default_factory=list)
    unassigned: list[Decision] = field(default_factory=list)
    _writes_all: bool = False

    def __post_init__(self) -> None:
        self.memory = Memory(self.terms)
        self.patterns = Patterns(self.memory.task, self.project)

    def load(self, reader: sqlite3.Connection | None = None) -> None:
        """Read the checkpoint of an open store and count what came after it. In another thread it
        needs a `reader` of its own."""
        reader = reader or self.store.reader
        found, self.bent = plans.patterns(reader, self.project)
        self.patterns.load(found)
        saved = ledger.read_checkpoint(reader, CHECKPOINT, self.project)
        if _is_of_another_release(saved):  # not damaged
            saved = None
        if saved is not None and not self._load_checkpoint(saved, reader):
            self.bent.append("the checkpoint does not fit what is there")
        if saved is None or self.bent:
            self._forget_checkpoint()
            self.patterns.reset()
            self._writes_all = True
        self._count_rest(reader)
        if saved is not None and self.bent:
            self.bent += differing(found, self.patterns)

    def _forget_checkpoint(self) -> None:
        if self.last:
            self.memory, self.last = Memory(self.terms), 0
            self.patterns.read = self.memory.task

    def _count_rest(self, reader: sqlite3.Connection) -> None:
        after = max(0, self.last - REMEMBERED)
        for decision in ledger.decisions(reader, after, self.project):
            if decision.id <= self.last:
                self.memory.remind(decision)
            elif decision.pattern is None:  # written before decisions had a pattern
                assigned = self.patterns.assign(decision)
                self.add(assigned)
                self.patterns.release(assigned)
                self.unassigned.append(assigned)
            else:
                self.add(decision)

    def assign_all(self, connection: sqlite3.Connection) -> None:
        """Write the patterns that `load` has assigned to decisions of an older version."""
        for decision in self.unassigned:
            ledger.replace_decision(connection, decision)
        self.unassigned.clear()

    def _load_checkpoint(self, data: Any, reader: sqlite3.Connection) -> bool:
        """Load a checkpoint; False if it is damaged or does not fit the patterns and decisions."""
        if not isinstance(data, bytes) or data[:DIGEST] != _digest(data[DIGEST:]):
            return False
        try:
            _, last, memory, patterns = msgspec.msgpack.decode(data[DIGEST:], type=_State)
            if patterns != _digest_of(self.patterns):
                return False
            if not 0 <= last <= ledger.last_number(reader):
                return False
            self.memory.load(memory)
        except msgspec.MsgspecError:
            return False
        self.last = last
        return True

    def checkpoint(self) -> Callable[[sqlite3.Connection], None]:
        """A function that writes the state as it is now, for `Store.write`."""
        if self._writes_all:
            self.patterns.changed |= self.patterns.by_id.keys()
        all_of_them, self._writes_all = self._writes_all, False
        write_patterns = self.patterns_written()
        sums = (self.memory.dump(), _digest_of(self.patterns))
        state = msgspec.msgpack.encode((FORMAT, self.last, *sums))
        self.patterns.changed.clear()
        self.patterns.gone.clear()
        self.unsaved, self.bent = 0, []

        def write(connection: sqlite3.Connection) -> None:
            if all_of_them:
                plans.clear_patterns(connection, self.project)
            write_patterns(connection)
            sealed = _digest(state) + state
            ledger.write_checkpoint(connection, CHECKPOINT, sealed, self.project)

        return write

    def patterns_written(self) -> Callable[[sqlite3.Connection], None]:
        """A function that writes only the changed patterns, so that a forgotten goal is deleted
        before the next checkpoint."""
        by_id = self.patterns.by_id
        changed = [by_id[n] for n in sorted(self.patterns.changed) if n in by_id]
        rows = [replace(each) for each in changed if each.uses or each.stored]
        gone = tuple(self.patterns.gone)

        def write(connection: sqlite3.Connection) -> None:
            plans.delete_patterns(connection, gone, self.project)
            plans.write_patterns(connection, rows)

        return write

    def not_written(self) -> None:
        """Note that a checkpoint failed: the next one writes every pattern."""
        self._writes_all = True

    def add(self, decision: Decision) -> Applied:
        """Count a new decision."""
        moved = self.memory.add(decision)
        self.last = max(self.last, decision.id)
        self.unsaved += 1
        change = self._add_to_pattern(decision)
        return Applied(
            decision, Receipt(change, entry_changes(moved), unknown=list(decision.unknown))
        )

    def _add_to_pattern(self, decision: Decision) -> PatternChange | None:
        counted = self.patterns.add(decision)
        if counted is None:
            return None
        pattern, created = counted
        won = int(decision.result == "success")
        return pattern_change(
            pattern, created, pattern.success_count - won, pattern.failure_count - (1 - won)
        )

    def amend(self, before: Decision, now: Decision) -> Applied:
        """Replace the counts of a decision as it was `before` by those of it as it is `now`."""
        moved = self.memory.remove(before)
        for entry, points in self.memory.add(now).items():
            moved[entry] = moved.get(entry, 0) + points
        self.unsaved += 1
        change = self._amend_patterns(before, now)
        receipt = Receipt(change, entry_changes(moved), amended=True, unknown=list(now.unknown))
        return Applied(now, receipt)

    def _amend_patterns(self, before: Decision, now: Decision) -> PatternChange | None:
        numbers = dict.fromkeys((before.pattern or 0, now.pattern or 0))
        had = {number: self._record(number) for number in numbers}
        self.patterns.remove(before, self._first_of)
        if self.patterns.add(now):
            self.patterns.rename(now.pattern or 0, self._first_of)
        changed = [n for n in numbers if n in self.patterns.by_id and had[n] != self._record(n)]
        if not changed:
            return None
        pattern = self.patterns.by_id[changed[-1]]
        won, lost = had[pattern.id]
        return pattern_change(pattern, not won + lost and not pattern.stored, won, lost)

    def _record(self, number: int) -> tuple[int, int]:
        pattern = self.patterns.by_id.get(number)
        return (pattern.success_count, pattern.failure_count) if pattern else (0, 0)

    def remove(self, gone: Iterable[Decision]) -> None:
        """Subtract decisions that were deleted."""
        for decision in gone:
            self.memory.remove(decision)
            self.patterns.remove(decision, self._first_of)

    def owner_of(self, pattern: int) -> str:
        """The id of the key that stored the pattern, else of that which reported its first task."""
        known, first = self.patterns.by_id[pattern], self._first_of(pattern)
        return known.stored_by if known.stored or first is None else first.reporter

    def _first_of(self, pattern: int) -> Decision | None:
        return ledger.first_of(self.store.reader, pattern, self.project)


def _digest_of(patterns: Patterns) -> bytes:
    return _digest(msgspec.msgpack.encode(sorted(patterns, key=lambda pattern: pattern.id)))


def _is_of_another_release(data: Any) -> bool:
    """Whether a checkpoint is undamaged, but of another format."""
    if not isinstance(data, bytes) or data[:DIGEST] != _digest(data[DIGEST:]):
        return False
    with contextlib.suppress(msgspec.MsgspecError):
        state = msgspec.msgpack.decode(data[DIGEST:])
        return isinstance(state, list) and bool(state) and state[0] != FORMAT
    return False


def _digest(state: bytes) -> bytes:
    return hashlib.blake2b(state, digest_size=DIGEST).digest()
