"""Outcomes of a team: reported to one server and replicated to all by one log in PostgreSQL.

Each server applies the log's entries in order to its own store, so that all have the same
experience. Applying an entry twice, after a crash, changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sqlite3
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from ..coordinate.commits import Committed
from ..errors import RequestError, StoreUnavailable
from ..learn.outcomes import Outcomes, Reporter
from ..learn.receipt import Applied, Resolve, read_report
from ..learn.verify import chooser
from ..private import read_private, write_private
from ..records import KINDS, Kind
from ..reports import ForgetQuery, Report
from ..validate import UNDECODABLE
from .core import TeamCoordination
from .schema import ADD_LEARNT, LEARNT, ORIGIN

AT_ONCE = 200
TOPIC, ALL = "@learnt", "all"
LOOK_SECONDS = 1.0
MOST_KEPT = 1000  # results of own entries that were not fetched


class LearntEntry(msgspec.Struct, omit_defaults=True):
    """One of `report`, `forget` and `pattern`. Names are qualified but for those in `unknown`."""

    server: str
    by: Reporter
    moment: str = ""
    report: Report | None = None
    unknown: tuple[str, ...] = ()
    forget: ForgetQuery | None = None
    pattern: tuple[str, tuple[str, ...], dict[str, list[str]], list[list[str]]] | None = None


_read = msgspec.json.Decoder(LearntEntry).decode


class LearntProgress(msgspec.Struct):
    """How far the log was applied: up to `cursor`, when the store had so many `decisions`.

    `changed` is, by kind of entries or `all`, the number of the log's entry that last changed its
    experience. `own` marks a server that had learnt by itself before."""

    cursor: int = 0
    own: str = ""
    decisions: int = 0
    changed: dict[str, int] = {}


class TeamLearning:
    """What a project of the team learns, on this server; `outcomes` gives its own store.

    Its changes are those of `Outcomes`; each returns once it is in the log and applied here.
    """

    def __init__(
        self,
        shared: TeamCoordination,
        project: str,
        outcomes: Callable[[], Awaitable[Outcomes]],
        data_dir: Path,
    ) -> None:
        self._shared, self._project, self._outcomes = shared, project, outcomes
        self._data_dir = data_dir
        self._turn = asyncio.Lock()
        self._results: dict[int, Any] = {}
        self._path: Path | None = None
        self._progress = LearntProgress()
        self._origin = ""
        self._revisions: dict[str, int] = {}
        self._is_current = False
        self._task = asyncio.create_task(self._run())

    async def report(self, report: Report, resolve: Resolve, moment: str, by: Reporter) -> Applied:
        read = read_report(report, resolve, moment)
        named = replace(
            report,
            agents_used=list(read.agents_used),
            skills_used=list(read.skills_used),
            workflows_used=list(read.workflows_used),
            resolved_by=read.resolved_by or None,
        )
        entry = LearntEntry(self._shared.server, by, moment, named, read.unknown)
        applied: Applied = await self._append(entry)
        return applied

    async def forget(self, query: ForgetQuery) -> int:
        entry = LearntEntry(self._shared.server, Reporter(), forget=query)
        return int(await self._append(entry))

    async def store_pattern(
        self,
        goal: str,
        sequence: tuple[str, ...],
        dependencies: dict[str, list[str]],
        groups: list[list[str]],
        by: Reporter,
    ) -> Any:
        given = (goal, sequence, dependencies, groups)
        return await self._append(LearntEntry(self._shared.server, by, pattern=given))

    @property
    def cursor(self) -> int:
        """The number of the last entry that was applied."""
        return self._progress.cursor

    def stamp(self, kind: Kind | None, outcomes: Outcomes | None) -> tuple[object, ...] | None:
        """Identifies the experience: equal stamps on two servers mean equal experience. None while
        the log is not applied to its end, or if the store has learnt more than the log has."""
        about, learnt = kind or ALL, outcomes.learnt_of(kind) if outcomes else -1
        if not self._is_current or self._revisions.get(about) != learnt:
            return None
        return self._origin, self._project, self._progress.own, self._progress.changed.get(about, 0)

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, StoreUnavailable):  # the feed is closed
            await self._task

    # --- the log -----------------------------------------------------------------------------

    async def _append(self, entry: LearntEntry) -> Any:
        """Raises StoreUnavailable where PostgreSQL is away; then nothing is queued."""
        body = msgspec.json.encode(entry).decode()

        def work(connection: Any) -> Committed:
            rev = self._shared.journal.revisions.next()
            connection.execute(ADD_LEARNT, (self._project, rev, body))
            return Committed(rev, {self._project: [TOPIC]})

        number = await self._shared.store.write(work, lambda done: done.answer, self._project)
        while number not in self._results:
            await self.follow()
        result = self._results.pop(number)
        if isinstance(result, BaseException):
            raise result
        return result

    async def _run(self) -> None:
        topics = [(self._project, TOPIC, False)]
        with self._shared.feed.listen(None, topics) as waiter:
            while True:
                with contextlib.suppress(RequestError, sqlite3.Error):
                    await self.follow()
                await waiter.wait(LOOK_SECONDS)

    async def follow(self) -> None:
        """Apply the entries after the cursor."""
        async with self._turn:
            outcomes = await self._outcomes()
            if self._path is None:
                await self._read_progress(outcomes)
            while rows := await self._rows(LEARNT, self._project, self.cursor, AT_ONCE):
                for number, body in rows:
                    await self._apply(outcomes, number, _read(body))
                self._save_progress(outcomes)
            if not self._is_current:
                self._note_changes(outcomes, 0)
                self._is_current = True

    async def _apply(self, outcomes: Outcomes, number: int, entry: LearntEntry) -> None:
        """Entries are refused alike by all servers; where a store fails, it is tried again."""
        result: Any
        try:
            result = await apply_entry(outcomes, entry)
        except StoreUnavailable:
            raise
        except RequestError as error:
            result = error
        self._progress.cursor = number
        self._note_changes(outcomes, number)
        if entry.server == self._shared.server:
            self._results[number] = result
            while len(self._results) > MOST_KEPT:
                del self._results[next(iter(self._results))]

    def _note_changes(self, outcomes: Outcomes, number: int) -> None:
        """Until it has caught up every kind counts as changed by every entry."""
        for kind in (*KINDS, None):
            about, revision = kind or ALL, outcomes.learnt_of(kind)
            if number and (not self._is_current or self._revisions.get(about) != revision):
                self._progress.changed[about] = number
            self._revisions[about] = revision

    async def _rows(self, query: str, *given: Any) -> list[Any]:
        found: list[Any] = await self._shared.read(lambda on: on.execute(query, given).fetchall())
        return found

    async def _read_progress(self, outcomes: Outcomes) -> None:
        """Its file is named after the database: the log of another one is read from its start."""
        ((self._origin,),) = await self._rows(ORIGIN)
        name = sha256(f"{self._origin}\0{self._project}".encode()).hexdigest()[:16]
        self._path = self._data_dir / f"learnt-{name}.json"
        with contextlib.suppress(OSError, *UNDECODABLE):
            self._progress = msgspec.json.decode(read_private(self._path), type=LearntProgress)
        if not await self._is_in_log(self._progress.cursor):  # then the whole log is applied again
            self._progress = LearntProgress()
        is_new = not self._progress.cursor and outcomes.revision
        if is_new or outcomes.decisions < self._progress.decisions:
            self._progress.own = secrets.token_hex(8)

    async def _is_in_log(self, cursor: int) -> bool:
        if not 0 < cursor < 1 << 62:
            return cursor == 0
        rows = await self._rows(LEARNT, self._project, cursor - 1, 1)
        return [number for number, _ in rows] == [cursor]

    def _save_progress(self, outcomes: Outcomes) -> None:
        """If it is lost, the log is applied again."""
        assert self._path
        self._progress.decisions = outcomes.decisions
        with contextlib.suppress(OSError):
            write_private(self._path, msgspec.json.encode(self._progress))


async def apply_entry(outcomes: Outcomes, entry: LearntEntry) -> Any:
    """Apply an entry to a store. Raises what `Outcomes` does."""
    if entry.report is not None:
        known: Resolve = lambda kind, name: None if name in entry.unknown else name  # noqa: E731
        return await outcomes.report(entry.report, known, entry.moment, entry.by)
    if entry.forget is not None:
        return await outcomes.forget(*chooser(entry.forget))
    assert entry.pattern is not None
    return await outcomes.store_pattern(*entry.pattern, entry.by)
