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

from ..records import Decision, Experience, Kind, Pattern
from ..reports import PatternChange, Receipt, Report
from ..store import ledger
from ..store.store import Store
from ..text import Terms
from .experience import Memory
from .patterns import Patterns
from .receipt import Applied, Resolve, entry_changes, pattern_change, read_report

CHECKPOINT_EVERY, AMENDMENT_COUNTS = 5_000, 500
CHECKPOINT, FORMAT = "memory", 2
REMEMBERED = 2_000


@dataclass(slots=True)
class Outcomes:
    """The owner of what is learnt. Use it from one event loop, after `open`."""

    store: Store
    terms: Terms
    memory: Memory = field(init=False)
    patterns: Patterns = field(init=False)
    _applied: int = 0
    _since_checkpoint: int = 0
    _rewriting: int = 0
    _rewrite: bool = False
    _pending: dict[str, Any] = field(default_factory=dict)
    _gate: asyncio.Future[None] | None = None
    _storing: asyncio.Lock = field(default_factory=asyncio.Lock)

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
        self.patterns.load(ledger.patterns(reader))
        if saved is None or not self._load_checkpoint(saved):
            self.patterns.reset()
            self._rewrite = True
        for decision in ledger.decisions(reader, max(0, self._applied - REMEMBERED)):
            if decision.id <= self._applied:
                self.memory.remind(decision)
            else:
                self._count(decision)

    def _load_checkpoint(self, data: bytes) -> bool:
        """False for one that is damaged or of another format: everything is then counted again."""
        try:
            form, applied, memory = msgspec.msgpack.decode(data, type=tuple[int, int, bytes])
            if form != FORMAT:
                return False
            self.memory.load(memory)
        except msgspec.MsgspecError:
            return False
        self._applied = applied
        return True

    @property
    def decisions(self) -> int:
        """How many were counted: the number of the last one."""
        return self._applied

    @property
    def revision(self) -> int:
        """Grows with everything that may change an answer."""
        return self.memory.revision + self.patterns.kept

    def revision_of(self, kind: Kind | None) -> int:
        """That of what may change the ranking of one kind; of everything for None."""
        return self.memory.changed[kind] if kind else self.revision

    async def report(self, report: Report, resolve: Resolve, moment: str) -> Applied:
        """Raises StoreUnavailable when the outcome is not on the disk."""
        decision = read_report(report, resolve, moment)
        while waiting := self._gate or self._pending.get(report.task_id):
            await _settled(waiting)
        return await self._insert(decision) or await self._known(decision)

    async def _insert(self, decision: Decision) -> Applied | None:
        """None when there is a decision of this task, or no room for a new one."""
        if not self.store.has_room():
            return None
        future = self.store.write(
            lambda connection: ledger.insert_decision(connection, decision),
            lambda inserted: self._count(inserted) if inserted else None,
        )
        future.add_done_callback(self._landed)
        return await self._waited_for(decision.task_id, future)  # type: ignore[no-any-return]

    async def _known(self, decision: Decision) -> Applied:
        """The decision of this task again, or an amended one."""
        while waiting := self._gate or self._pending.get(decision.task_id):
            await _settled(waiting)
        before = ledger.find_decision(self.store.reader, decision.task_id)
        if before is not None and before.says_the_same(decision):
            return Applied(before, Receipt(None, [], duplicate=True, unknown=list(before.unknown)))
        self.store.admit()
        if before is None:  # it was forgotten meanwhile
            return await self._insert(decision) or await self._known(decision)
        amended = msgspec.structs.replace(decision, id=before.id, timestamp=before.timestamp)
        future = self._rewrites(
            lambda connection: ledger.replace_decision(connection, amended),
            lambda now: self._amend(before, now),
        )
        return await self._waited_for(decision.task_id, future)  # type: ignore[no-any-return]

    async def _waited_for(self, task_id: str, future: Any) -> Any:
        self._pending[task_id] = future
        try:
            return await future
        finally:
            self._pending.pop(task_id, None)

    def _rewrites(
        self, work: Callable[[sqlite3.Connection], Any], apply: Callable[[Any], Any]
    ) -> Any:
        """A write that changes what was counted before: no checkpoint until it is applied."""
        self._rewriting += 1
        future = self.store.write(work, apply)
        future.add_done_callback(self._rewritten)
        return future

    def _rewritten(self, future: Any) -> None:
        self._rewriting -= 1
        self._landed(future)

    def _landed(self, future: Any) -> None:
        due = max(CHECKPOINT_EVERY, self._applied // 5)
        if not self._rewriting and self._since_checkpoint >= due:
            self.checkpoint().add_done_callback(_seen)

    def _count(self, decision: Decision) -> Applied:
        moved = self.memory.add(decision)
        self._applied = max(self._applied, decision.id)
        self._since_checkpoint += 1
        change = self._count_pattern(decision)
        return Applied(
            decision, Receipt(change, entry_changes(moved), unknown=list(decision.unknown))
        )

    def _count_pattern(self, decision: Decision) -> PatternChange | None:
        counted = self.patterns.add(decision)
        if counted is None:
            return None
        pattern, founded = counted
        won = int(decision.result == "success")
        return pattern_change(
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
            change = pattern_change(pattern, pattern.id not in counts, won, lost)
        self._since_checkpoint += AMENDMENT_COUNTS  # a start without a checkpoint counts everything
        receipt = Receipt(change, entry_changes(moved), amended=True, unknown=list(now.unknown))
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
                delete = functools.partial(ledger.delete_patterns, numbers=tuple(gone))
                self.store.write(delete).add_done_callback(_seen)

    async def forget(self, chosen: Callable[[Decision], bool]) -> int:
        """Remove decisions and their effects; returns how many. New reports wait meanwhile."""
        while self._gate:
            await _settled(self._gate)
        self._gate = gate = asyncio.get_running_loop().create_future()
        try:
            async with self._storing:
                while self._pending:
                    await _settled(next(iter(self._pending.values())))
                return await self._forget_now(chosen)
        finally:
            self._gate = None
            gate.set_result(None)

    async def _forget_now(self, chosen: Callable[[Decision], bool]) -> int:
        gone = [d for d in ledger.decisions(self.store.reader) if chosen(d)]
        if gone:
            numbers = [decision.id for decision in gone]
            await self._rewrites(
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
        async with self._storing:
            pattern, created = self.patterns.draft(goal, sequence, ledger.now())
            pattern.dependencies, pattern.parallel_groups = dependencies, groups
            await self._rewrites(
                lambda connection: ledger.define_pattern(connection, pattern),
                lambda recount: self._take_in(pattern, recount),
            )
            return pattern, created

    def _take_in(self, pattern: Pattern, recount: bool) -> None:
        self.patterns.keep(pattern)
        if recount:
            self.recount_patterns([pattern.agent_sequence])
            self._since_checkpoint += AMENDMENT_COUNTS

    def checkpoint(self) -> asyncio.Future[Any]:
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


async def _settled(future: Any) -> None:
    await asyncio.wait([future])


def _seen(future: asyncio.Future[Any]) -> None:
    """A write that nobody waits for: the store notes its failure."""
    if not future.cancelled():
        future.exception()
