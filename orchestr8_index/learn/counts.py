"""What is derived from the decisions: experience and patterns, kept in step with each commit.

The decisions on disk are the truth. A checkpoint holds what was derived up to one of them, so that
a start counts only what came after it.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..records import Decision
from ..reports import PatternChange, Receipt
from ..store import ledger
from ..store.store import Store
from ..text import Terms
from .experience import Memory
from .patterns import Patterns
from .receipt import Applied, entry_changes, pattern_change

CHECKPOINT, FORMAT = "experience", 4
DIGEST = 16  # bytes, before a checkpoint
REMEMBERED = 2_000
AMENDMENT_COUNTS = 500  # an amendment is worth that many decisions: only a whole recount repeats it


def unattended(write: asyncio.Future[Any]) -> None:
    """Nobody waits for this write; the store notes its failure."""
    write.add_done_callback(lambda done: done.cancelled() or done.exception())


@dataclass(slots=True)
class Counts:
    """`last` is the number of the last decision counted, `unsaved` how much came since the last
    checkpoint, `bent` what `load` could not read and derived again. Every method runs in the event
    loop's thread, between two commits."""

    store: Store
    terms: Terms
    project: str = ""
    memory: Memory = field(init=False)
    patterns: Patterns = field(init=False)
    last: int = 0
    unsaved: int = 0
    bent: list[str] = field(default_factory=list)
    _writes_all: bool = False

    def __post_init__(self) -> None:
        self.memory = Memory(self.terms)
        self.patterns = Patterns(self.memory.task, self.project)

    def load(self, reader: sqlite3.Connection | None = None) -> None:
        """Read the checkpoint of an open store and count what came after it. In another thread it
        needs a `reader` of its own."""
        reader = reader or self.store.reader
        found, self.bent = ledger.patterns(reader, self.project)
        self.patterns.load(found)
        saved = ledger.read_checkpoint(reader, CHECKPOINT, self.project)
        if saved is not None and not self._load_checkpoint(saved, reader):
            self.bent.append("the checkpoint cannot be read")
        if saved is None or self.bent:
            self.memory, self.last = Memory(self.terms), 0
            self.patterns.reset()
            self._writes_all = True
        after = max(0, self.last - REMEMBERED)
        for decision in ledger.decisions(reader, after, self.project):
            if decision.id <= self.last:
                self.memory.remind(decision)
            else:
                self.add(decision)

    def _load_checkpoint(self, data: Any, reader: sqlite3.Connection) -> bool:
        """False for one that is damaged or of another format: everything is then counted again."""
        if not isinstance(data, bytes) or data[:DIGEST] != _digest(data[DIGEST:]):
            return False
        try:
            form, last, memory = msgspec.msgpack.decode(data[DIGEST:], type=tuple[int, int, bytes])
            if form != FORMAT or not 0 <= last <= ledger.last_number(reader):
                return False
            self.memory.load(memory)
        except msgspec.MsgspecError:
            return False
        self.last = last
        return True

    def checkpoint(self) -> Callable[[sqlite3.Connection], None]:
        """The write of all that is derived now."""
        changed = [p for n in sorted(self.patterns.changed) if (p := self.patterns.by_id.get(n))]
        all_of_them, self._writes_all = self._writes_all, False
        rows = [msgspec.structs.replace(p) for p in (self.patterns if all_of_them else changed)]
        state = msgspec.msgpack.encode((FORMAT, self.last, self.memory.dump()))
        self.patterns.changed.clear()
        self.unsaved, self.bent = 0, []

        def write(connection: sqlite3.Connection) -> None:
            if all_of_them:
                ledger.clear_patterns(connection, self.project)
            ledger.write_patterns(connection, rows)
            sealed = _digest(state) + state
            ledger.write_checkpoint(connection, CHECKPOINT, sealed, self.project)

        return write

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
        """Count a decision as it is now instead of as it was."""
        moved = self.memory.remove(before)
        for entry, points in self.memory.add(now).items():
            moved[entry] = moved.get(entry, 0) + points
        change = self._amend_patterns(dict.fromkeys((before.agents_used, now.agents_used)))
        self.unsaved += AMENDMENT_COUNTS
        receipt = Receipt(change, entry_changes(moved), amended=True, unknown=list(now.unknown))
        return Applied(now, receipt)

    def _amend_patterns(self, sequences: Iterable[tuple[str, ...]]) -> PatternChange | None:
        before = self._records(sequences)
        self.recount(sequences)
        after = self._records(sequences)
        changed = [number for number in after if before.get(number) != after[number]]
        if not changed:
            return None
        pattern = self.patterns.by_id[changed[-1]]
        return pattern_change(pattern, pattern.id not in before, *before.get(pattern.id, (0, 0)))

    def _records(self, sequences: Iterable[tuple[str, ...]]) -> dict[int, tuple[int, int]]:
        found = (p for names in sequences for p in self.patterns.of_sequence(names))
        return {p.id: (p.success_count, p.failure_count) for p in found}

    def remove(self, gone: list[Decision]) -> None:
        """Take out decisions that are no longer on the disk."""
        for decision in gone:
            self.memory.remove(decision)
        self.recount(decision.agents_used for decision in gone)

    def recount(self, sequences: Iterable[tuple[str, ...]]) -> None:
        """Derive the patterns of these sequences again from the decisions on disk."""
        for sequence in dict.fromkeys(sequences):
            of = sequence, self.last, self.project
            decisions = ledger.decisions_of(self.store.reader, *of)
            gone = self.patterns.recount(sequence, decisions)
            if gone:
                delete = functools.partial(
                    ledger.delete_patterns, numbers=tuple(gone), project=self.project
                )
                unattended(self.store.write(delete))


def _digest(state: bytes) -> bytes:
    return hashlib.blake2b(state, digest_size=DIGEST).digest()
