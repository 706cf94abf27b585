"""From a report to a receipt: written and fsynced first, then counted, then acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from msgspec import UNSET, Struct
from msgspec.structs import replace

from ..errors import Forbidden
from ..records import KINDS, Decision, Experience, Kind, Pattern
from ..reports import Receipt, Report
from ..store import ledger, plans
from ..store.store import Store
from ..text import Terms
from .counts import Counts, unattended
from .experience import Memory
from .patterns import Patterns
from .receipt import Applied, Resolve, read_report

CHECKPOINT_EVERY = 5_000
STEP = 50  # decisions uncounted per turn of the event loop, some ms
ANOTHERS, ANOTHERS_CURE = "Another key", "It, or a key of scope admin, may change that."
T = TypeVar("T")


class Reporter(Struct, frozen=True):
    """Who reports: the id of a key, "" for this machine's own callers, and whether it may change
    what others have reported."""

    ident: str = ""
    is_admin: bool = True

    def may_change(self, reported_by: str) -> bool:
        return self.is_admin or self.ident == reported_by


OWNER = Reporter()


class Turns:
    """Serialises the reports of each task, and excludes all of them during a removal. `rare` is the
    lock of those who store patterns or remove decisions."""

    def __init__(self) -> None:
        self.rare = asyncio.Lock()
        self._pending: dict[str, asyncio.Future[object]] = {}
        self._removal: asyncio.Future[object] | None = None

    async def wait(self, task_id: str) -> None:
        """Wait until there is no removal, and no write of this task."""
        while before := self._removal or self._pending.get(task_id):
            await asyncio.wait([before])

    async def hold(self, task_id: str, write: asyncio.Future[T]) -> T:
        """Await the task's write; `wait` of the same task returns only after it."""
        self._pending[task_id] = write  # type: ignore[assignment]
        try:
            return await write
        finally:
            self._pending.pop(task_id, None)

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Enter when every write is done; new ones wait until the exit."""
        while self._removal:
            await asyncio.wait([self._removal])
        self._removal = removal = asyncio.get_running_loop().create_future()
        try:
            async with self.rare:
                while self._pending:
                    await asyncio.wait([next(iter(self._pending.values()))])
                yield
        finally:
            self._removal = None
            removal.set_result(None)


class Outcomes:
    """The owner of what one project learns. Use it from one event loop, after `open`."""

    def __init__(self, store: Store, terms: Terms, project: str = "") -> None:
        self.store, self.counts = store, Counts(store, terms, project)
        self._turns = Turns()
        self._rewriting = 0

    @property
    def project(self) -> str:
        """Its name in the rows of the database."""
        return self.counts.project

    @property
    def memory(self) -> Memory:
        return self.counts.memory

    @property
    def patterns(self) -> Patterns:
        return self.counts.patterns

    @property
    def experience(self) -> Experience:
        return self.memory.experience

    @property
    def decisions(self) -> int:
        """How many were counted: the number of the last one."""
        return self.counts.last

    @property
    def revision(self) -> int:
        """Grows with everything that may change an answer."""
        return self.memory.revision + self.patterns.kept

    def revision_of(self, kind: Kind | None) -> int:
        """Grows with what may change the ranking of one kind; `revision` for None."""
        return self.memory.changed[kind] if kind else self.revision

    def learnt_of(self, kind: Kind | None) -> int:
        """`revision_of` without calibrations, which each server of a team makes in its own time."""
        own = [self.memory.learnt(each) for each in KINDS if kind in (each, None)]
        return sum(own) + (0 if kind else self.patterns.kept)

    def open(self) -> None:
        """Read the checkpoint and count what came after it. Blocks; raises sqlite3.Error."""
        self.store.open()
        self.load()
        self.store.prepare(self.counts.assign_all)

    def load(self) -> None:
        """Derive everything from an open store; the next checkpoint writes what was recounted."""
        self.counts.load()

    async def report(
        self, report: Report, resolve: Resolve, moment: str, by: Reporter = OWNER
    ) -> Applied:
        """Store and count an outcome, or amend that of the same task. Raises StoreUnavailable when
        it is not on the disk, Forbidden for an amendment of what another key reported."""
        decision = read_report(report, resolve, moment)
        decision = replace(decision, reporter=by.ident, project=self.project or UNSET)
        await self._turns.wait(report.task_id)
        return await self._insert(decision) or await self._repeat(decision, by)

    async def _insert(self, decision: Decision) -> Applied | None:
        """Store a new decision; None when its task has one, or there is no room."""
        if not self.store.has_room():
            return None
        assigned = self.patterns.assign(decision)
        try:
            write = self.store.write(
                lambda connection: ledger.insert_decision(connection, assigned),
                lambda inserted: self.counts.add(inserted) if inserted else None,
            )
            write.add_done_callback(self._checkpoint_if_due)
            return await self._turns.hold(decision.task_id, write)
        finally:
            self.patterns.release(assigned)

    async def _repeat(self, decision: Decision, by: Reporter) -> Applied:
        """A second report of a task: an equal one is a duplicate, a different one an amendment."""
        await self._turns.wait(decision.task_id)
        before = ledger.find_decision(self.store.reader, decision.task_id, self.project)
        if before is not None and before.says_the_same(decision):
            return Applied(before, Receipt(None, [], duplicate=True, unknown=list(before.unknown)))
        self.store.admit()
        if before is None:  # it was forgotten meanwhile
            return await self._insert(decision) or await self._repeat(decision, by)
        if not by.may_change(before.reporter):
            raise Forbidden(f"{ANOTHERS} reported the task {decision.task_id}.", ANOTHERS_CURE)
        now = replace(decision, id=before.id, timestamp=before.timestamp)
        return await self._amend(before, now)

    async def _amend(self, before: Decision, now: Decision) -> Applied:
        assigned = self.patterns.assign(now)
        try:
            write = self._rewrite(
                lambda connection: ledger.replace_decision(connection, assigned),
                lambda amended: self.counts.amend(before, amended),
            )
            return await self._turns.hold(now.task_id, write)
        finally:
            self.patterns.release(assigned)

    async def forget(
        self, chosen: Callable[[Decision], bool], among: ledger.Where = ledger.EVERYWHERE
    ) -> int:
        """Remove decisions and their effects; returns how many. New reports wait meanwhile, answers
        do not: the decisions are looked for in the writer's thread, and uncounted in steps."""
        async with self._turns.alone():
            self._rewriting += 1
            try:
                gone = await self.store.write(
                    lambda connection: ledger.forget(connection, chosen, among, self.project)
                )
                for start in range(0, len(gone), STEP):
                    self.counts.remove(gone[start : start + STEP])
                    await asyncio.sleep(0)
            finally:
                self._rewriting -= 1
            if gone:
                await self.store.write(self.counts.patterns_written())
            return len(gone)

    async def store_pattern(
        self,
        goal: str,
        sequence: tuple[str, ...],
        dependencies: dict[str, list[str]],
        groups: list[list[str]],
        by: Reporter = OWNER,
    ) -> tuple[Pattern, bool]:
        """Store a plan; returns its pattern, and whether that is new. A known one keeps its record.
        Raises Forbidden where another key stored it or reported its first task: a record must not
        count for a plan that did not earn it."""
        async with self._turns.rare:
            pattern, created = self.patterns.draft(goal, sequence, ledger.now(), by.ident)
            if not created and not by.may_change(self.counts.owner_of(pattern.id)):
                raise Forbidden(f"{ANOTHERS} made this pattern.", ANOTHERS_CURE)
            pattern.dependencies, pattern.parallel_groups = dependencies, groups
            pattern.project = self.project
            await self._rewrite(
                lambda connection: plans.define_pattern(connection, pattern),
                lambda _: self.patterns.keep(pattern),
            )
            return pattern, created

    def _rewrite(
        self, work: Callable[[sqlite3.Connection], Any], apply: Callable[[Any], Any]
    ) -> asyncio.Future[Any]:
        """A write that changes what was counted before: no checkpoint until it is applied."""
        self._rewriting += 1
        write = self.store.write(work, apply)
        write.add_done_callback(self._rewritten)
        return write

    def _rewritten(self, write: asyncio.Future[Any]) -> None:
        self._rewriting -= 1
        self._checkpoint_if_due(write)

    def _checkpoint_if_due(self, write: asyncio.Future[Any]) -> None:
        due = max(CHECKPOINT_EVERY, self.counts.last // 5)
        if not self._rewriting and self.counts.unsaved >= due:
            unattended(self.checkpoint())

    def checkpoint(self) -> asyncio.Future[Any]:
        """Write the derived state, so that the next start need not count it again."""
        write = self.store.write(self.counts.checkpoint())
        write.add_done_callback(self._checkpointed)
        return write

    def _checkpointed(self, write: asyncio.Future[Any]) -> None:
        if write.cancelled() or write.exception():
            self.counts.not_written()
