"""From a report to a receipt: written and fsynced first, then counted, then acknowledged.

The decisions on disk are the truth. Memory and patterns are derived from them, kept in step commit
by commit, and written as a checkpoint now and then, so that a start replays only what came after
it.
"""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Struct

from ..records import Decision, Experience, Kind, Pattern, Report
from ..store import ledger
from ..store.store import Store
from ..text import Terms
from .memory import Memory
from .patterns import Patterns

CHECKPOINT_EVERY, AMENDMENT_COUNTS = 5_000, 500
CHECKPOINT, FORMAT = "memory", 1
REMEMBERED = 2_000
Resolve = Callable[[Kind, str], str | None]


class PatternChange(Struct, frozen=True):
    """A pattern's counts before and after a report; `created` when the report founded it."""

    id: int
    goal: str
    created: bool
    success_before: int
    failure_before: int
    success_after: int
    failure_after: int


class EntryChange(Struct, frozen=True, omit_defaults=True):
    """Points are successes; a failure is -0.25. Ranks only in a full receipt, 0 when not found."""

    entry: str
    points: float
    rank_before: int | None = None
    rank_after: int | None = None


class Receipt(Struct, frozen=True):
    pattern: PatternChange | None
    entries: list[EntryChange]
    duplicate: bool = False
    amended: bool = False
    unknown: list[str] = []


@dataclass(slots=True)
class Applied:
    """What one commit changed in memory."""

    decision: Decision
    receipt: Receipt


@dataclass(slots=True)
class Outcomes:
    """The owner of what is learnt. Use it from one event loop, after `open`."""

    store: Store
    terms: Terms
    memory: Memory = field(init=False)
    patterns: Patterns = field(init=False)
    _applied: int = 0
    _since_checkpoint: int = 0
    _in_flight: int = 0
    _rewrite: bool = False
    _pending: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.memory = Memory(self.terms)
        self.patterns = Patterns(self.memory.task)

    @property
    def experience(self) -> Experience:
        return self.memory.experience

    def open(self) -> None:
        """Read the checkpoint and count what came after it. Blocks; raises sqlite3.Error."""
        self.store.open()
        self.load()

    def load(self) -> None:
        """Derive everything from an open store."""
        reader = self.store.reader
        saved = ledger.read_checkpoint(reader, CHECKPOINT)
        state = _read_checkpoint(saved) if saved else None
        if state is not None:
            self._applied, memory = state
            self.memory.load(memory)
            self.patterns.load(ledger.patterns(reader))
        else:
            self.patterns.load(ledger.patterns(reader))
            self.patterns.reset()
            self._rewrite = True
        for decision in ledger.decisions(reader, max(0, self._applied - REMEMBERED)):
            if decision.id <= self._applied:
                self.memory.remind(decision)
            else:
                self._count(decision)

    @property
    def revision(self) -> int:
        """Grows with everything that may change an answer."""
        return self.memory.revision + self.patterns.kept

    async def report(self, report: Report, resolve: Resolve, moment: str) -> Applied:
        """Raises StoreUnavailable when the outcome is not on the disk."""
        decision = read_report(report, resolve, moment)
        while waiting := self._pending.get(report.task_id):
            await _settled(waiting)
        before = ledger.find_decision(self.store.reader, report.task_id)
        if before is not None and before.says_the_same(decision):
            return Applied(before, Receipt(None, [], duplicate=True, unknown=list(before.unknown)))
        self.store.admit()
        future = self._write(decision, before)
        self._pending[report.task_id] = future
        try:
            return await future  # type: ignore[no-any-return]
        finally:
            self._pending.pop(report.task_id, None)

    def _write(self, decision: Decision, before: Decision | None) -> Any:
        if before is None:
            return self._submit(
                lambda connection: ledger.insert_decision(connection, decision), self._count
            )
        amended = msgspec.structs.replace(decision, id=before.id, timestamp=before.timestamp)
        return self._submit(
            lambda connection: ledger.replace_decision(connection, amended),
            lambda now: self._amend(before, now),
        )

    def _submit(
        self, work: Callable[[sqlite3.Connection], Any], apply: Callable[[Any], Any]
    ) -> Any:
        future = self.store.write(work, apply)
        self._in_flight += 1
        future.add_done_callback(self._landed)
        return future

    def _landed(self, _: Any) -> None:
        self._in_flight -= 1
        due = max(CHECKPOINT_EVERY, self._applied // 5)
        if self._in_flight == 0 and self._since_checkpoint >= due:
            self.checkpoint()

    def _count(self, decision: Decision) -> Applied:
        moved = self.memory.add(decision)
        self._applied = max(self._applied, decision.id)
        self._since_checkpoint += 1
        change = self._count_pattern(decision)
        return Applied(decision, Receipt(change, _changes(moved), unknown=list(decision.unknown)))

    def _count_pattern(self, decision: Decision) -> PatternChange | None:
        counted = self.patterns.add(decision)
        if counted is None:
            return None
        pattern, founded = counted
        won = int(decision.result == "success")
        return _pattern_change(
            pattern, founded, pattern.success_count - won, pattern.failure_count - (1 - won)
        )

    def _amend(self, before: Decision, now: Decision) -> Applied:
        moved = self.memory.remove(before)
        for entry, points in self.memory.add(now).items():
            moved[entry] = moved.get(entry, 0) + points
        sequences = dict.fromkeys((before.agents_used, now.agents_used))
        counts = self._pattern_counts(sequences)
        self.recount_patterns(sequences)
        after = self._pattern_counts(sequences)
        changed = [number for number in after if counts.get(number) != after[number]]
        change = None
        if changed:
            pattern = self.patterns.by_id[changed[-1]]
            won, lost = counts.get(pattern.id, (0, 0))
            change = _pattern_change(pattern, pattern.id not in counts, won, lost)
        self._since_checkpoint += AMENDMENT_COUNTS  # a start without a checkpoint counts everything
        receipt = Receipt(change, _changes(moved), amended=True, unknown=list(now.unknown))
        return Applied(now, receipt)

    def _pattern_counts(self, sequences: Iterable[tuple[str, ...]]) -> dict[int, tuple[int, int]]:
        found = (p for names in sequences for p in self.patterns.of_sequence(names))
        return {p.id: (p.success_count, p.failure_count) for p in found}

    def recount_patterns(self, sequences: Iterable[tuple[str, ...]]) -> None:
        """Derive the patterns of these sequences again from the decisions on disk."""
        for sequence in dict.fromkeys(sequences):
            decisions = ledger.decisions_of(self.store.reader, sequence, self._applied)
            gone = self.patterns.recount(sequence, decisions)
            if gone:
                self.store.write(functools.partial(_delete_patterns, numbers=tuple(gone)))

    async def forget(self, chosen: Callable[[Decision], bool]) -> int:
        """Remove decisions and their effects; returns how many."""
        while self._pending:
            await _settled(next(iter(self._pending.values())))
        gone = [d for d in ledger.decisions(self.store.reader) if chosen(d)]
        if gone:
            numbers = [decision.id for decision in gone]
            await self._submit(
                lambda connection: ledger.delete_decisions(connection, numbers),
                lambda _: self._forget(gone),
            )
            await self.checkpoint()
        return len(gone)

    def _forget(self, gone: list[Decision]) -> None:
        for decision in gone:
            self.memory.remove(decision)
        self.recount_patterns(decision.agents_used for decision in gone)

    async def store_pattern(
        self,
        goal: str,
        sequence: tuple[str, ...],
        dependencies: dict[str, list[str]],
        groups: list[list[str]],
    ) -> tuple[Pattern, bool]:
        pattern, created = self.patterns.draft(goal, sequence, ledger.now())
        pattern.dependencies, pattern.parallel_groups = dependencies, groups
        await self.store.write(
            lambda connection: ledger.define_pattern(connection, pattern),
            lambda _: self.patterns.keep(pattern),
        )
        return pattern, created

    def checkpoint(self) -> Any:
        """Write what is derived, so that the next start need not count it again."""
        changed = [p for n in sorted(self.patterns.changed) if (p := self.patterns.by_id.get(n))]
        rows = [msgspec.structs.replace(pattern) for pattern in changed]
        state = msgspec.msgpack.encode((FORMAT, self._applied, self.memory.dump()))
        rewrite, self._rewrite = self._rewrite, False
        if rewrite:
            rows = [msgspec.structs.replace(pattern) for pattern in self.patterns]
        self.patterns.changed.clear()
        self._since_checkpoint = 0

        def work(connection: sqlite3.Connection) -> None:
            if rewrite:
                ledger.clear_patterns(connection)
            ledger.write_patterns(connection, rows)
            ledger.write_checkpoint(connection, CHECKPOINT, state)

        return self.store.write(work)


def _delete_patterns(connection: sqlite3.Connection, numbers: tuple[int, ...]) -> None:
    ledger.delete_patterns(connection, numbers)


def read_report(report: Report, resolve: Resolve, moment: str) -> Decision:
    """Names become `plugin:name` where the index knows them; unknown ones are kept and listed."""
    unknown: dict[str, None] = {}

    def names(kind: Kind, given: Iterable[str]) -> tuple[str, ...]:
        found = []
        for name in given:
            known = resolve(kind, name)
            if known is None:
                unknown[name] = None
            found.append(known or name)
        return tuple(found)

    return Decision(
        task_id=report.task_id,
        task_description=report.task_description,
        agents_used=names("agent", report.agents_used),
        result=report.result,
        duration_ms=report.duration_ms,
        tokens_saved=report.tokens_saved,
        timestamp=moment,
        resolved_by=names("agent", [report.resolved_by])[0] if report.resolved_by else "",
        skills_used=names("skill", report.skills_used),
        workflows_used=names("workflow", report.workflows_used),
        model=report.model,
        caller=report.caller,
        unknown=tuple(unknown),
    )


def _changes(moved: dict[str, int]) -> list[EntryChange]:
    return [EntryChange(entry, points / 4) for entry, points in moved.items()]


def _pattern_change(pattern: Pattern, created: bool, won: int, lost: int) -> PatternChange:
    after = (pattern.success_count, pattern.failure_count)
    return PatternChange(pattern.id, pattern.goal, created, won, lost, *after)


def _read_checkpoint(data: bytes) -> tuple[int, bytes] | None:
    form, applied, memory = msgspec.msgpack.decode(data, type=tuple[int, int, bytes])
    return (applied, memory) if form == FORMAT else None


async def _settled(future: Any) -> None:
    await asyncio.wait([future])
