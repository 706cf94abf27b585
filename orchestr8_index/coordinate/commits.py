"""Commits: changes run one after another in the writer's thread, and wake who waits for them.

Values, locks, takes and messages that have expired are ended before the next change, or by a timer.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from ..errors import RequestError, StoreUnavailable
from ..store.store import Store
from . import statements as sql
from .agents import Presence
from .caller import Caller
from .clock import Clock
from .feed import Feed
from .holds import end, read_holds
from .journal import NEVER, Change, Journal, Refusal, Revisions, answered_before, keep_answer
from .locks import Queued
from .mend import layout
from .messages import SERVER

Topics = dict[str, list[str]]
BATCH = 1000
T = TypeVar("T")
SOFT = 0.8  # of the hard limit: above it the log is shortened
SWEEP_SECONDS = (0.2, 1.0)  # at least and at most between two sweeps


class Committed(Struct, frozen=True):
    """A change's answer, and the topics whose waiters it wakes, by project."""

    answer: Any
    topics: Topics


class Commits:
    """Opened once by `open` (blocking; raises sqlite3.Error, OSError, StoreTooNew), then `start`ed
    in the loop in which it is used. `counts` counts calls by method, `refusals` by error.
    """

    def __init__(
        self,
        data_dir: Path,
        sync: str = "full",
        hard_mb: int = 500,
        most_waiting: int = 1000,
        clock: Clock | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.clock = clock or Clock()
        self.store = Store(data_dir, hard_mb * SOFT, hard_mb, layout(sync))
        self.feed = Feed(most_waiting)
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.presence = Presence(self.clock)
        self.journal: Journal
        self._sweep: asyncio.TimerHandle | None = None
        self._background: set[asyncio.Future[Any]] = set()

    def open(self) -> None:
        self.store.open()
        with contextlib.ExitStack() as undo:
            undo.callback(self.store.close)
            self.journal = Journal(self.clock, Revisions(self.data_dir))
            self.store.prepare(self.journal.open)
            undo.pop_all()

    def start(self) -> None:
        self.store.start()
        self._schedule()

    async def close(self) -> None:
        """Wake all who wait, write what is queued, and close the file."""
        self.feed.close()
        if self._sweep is not None:
            self._sweep.cancel()
        await self.store.stop()

    async def change(
        self,
        caller: Caller,
        work: Callable[..., Any],
        *given: Any,
        method: str = "",
        request: str = "",
        scope: str = "report",
    ) -> Any:
        """`work(change, *given)`, in the writer's thread; answered once it is on the disk.

        With a request id the first answer is given again, for ten minutes. Raises what `work`
        raises of RequestError, Forbidden below the scope, StoreUnavailable.
        """
        caller.require(scope)

        def run(connection: sqlite3.Connection) -> Committed:
            topics, now = self._end_expired(connection)
            change = self.journal.begin(connection, caller, now, request)
            answer = _perform(change, method, work, given)
            if caller.name != SERVER:
                self.presence.note(change, method)
            self.journal.save_clock(connection)
            topics.setdefault(caller.project, []).extend(change.topics)
            return Committed(answer, topics)

        answer = await self.store.write(run, self._committed, caller.project)
        if isinstance(answer, Refusal):
            self.refusals[type(answer.error).__name__] += 1
            raise answer.error
        if method:
            self.counts[method] += 1
        return answer

    async def read(self, work: Callable[..., T], *asked: Any) -> T:
        """`work(connection, *asked)`: what is committed, without holding up the loop."""
        return work(self.store.reader, *asked)

    def touch(self, caller: Caller) -> None:
        """Note that a caller who only reads is there."""
        if self.presence.is_due(caller):
            self.in_background(self.change(caller, lambda change: None, scope="read"))

    def in_background(self, work: Any) -> None:
        """Run a change whose answer nobody needs."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background_done)

    def _background_done(self, task: asyncio.Future[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved: callers that wait for their writes report it

    def _committed(self, done: Committed) -> Any:
        for project, topics in done.topics.items():
            self.feed.publish(project, topics)
        if self._sweep is None:
            self._schedule()
        return done.answer

    def _schedule(self) -> None:
        """Set the timer for what expires next."""
        if self.journal.due < NEVER:
            left = (self.journal.due - self.clock.now()) / 1000
            seconds = min(max(left, SWEEP_SECONDS[0]), SWEEP_SECONDS[1])
            self._sweep = asyncio.get_running_loop().call_later(seconds, self._sweep_if_due)

    def _sweep_if_due(self) -> None:
        self._sweep = None
        if self.journal.due > self.clock.now() or self.feed.is_closed:
            return self._schedule()
        with contextlib.suppress(StoreUnavailable):
            self.in_background(self.store.write(self._expire, self._committed))

    def _expire(self, connection: sqlite3.Connection) -> Committed:
        return Committed(None, self._end_expired(connection)[0])

    def _end_expired(self, connection: sqlite3.Connection) -> tuple[Topics, int]:
        """End what has expired; returns whom that wakes, and the time."""
        now = self.clock.now()
        return expire(connection, self.journal, now) if self.journal.due <= now else {}, now


def _perform(change: Change, method: str, work: Callable[..., Any], given: Sequence[Any]) -> Any:
    """The answer that the same request got before, or a new one, or a Refusal."""
    try:
        if (before := answered_before(change, method)) is not None:
            return before
        answer = work(change, *given)
    except RequestError as error:
        return Refusal(error)
    if change.cause and not isinstance(answer, Queued):
        keep_answer(change, method, change.caller.who, change.cause, answer)
    return answer


def expire(connection: sqlite3.Connection, journal: Journal, now: int) -> Topics:
    """End what has expired; returns, by project, the topics whose waiters are woken."""
    topics: Topics = defaultdict(list)
    for project, items in _due(connection, sql.DUE_ITEMS, now).items():
        change = journal.begin(connection, Caller(SERVER, project=project), now)
        for key, number in items:
            change.delete(key, "expired") if number else change.forget(key)
        topics[project] += change.topics
        journal.expired += len(change.topics)
    for project, revisions in _due(connection, sql.DUE_HOLDS, now).items():
        change = journal.begin(connection, Caller(SERVER, project=project), now)
        for rev in sorted({rev for (rev,) in revisions}):
            found = read_holds(connection, sql.HOLDS_OF_SET, project, rev)
            rows = [row for row in found if row.ends <= now]
            end(change, rows, "expired")
            journal.expired += len(rows)
        topics[project] += change.topics
    for project, deliveries in _due(connection, sql.DUE_DELIVERIES, now).items():
        topics[project] += [f"@inbox/{recipient}" for (recipient,) in deliveries]
    connection.execute(sql.END_MESSAGES, (now, now))
    connection.execute(sql.END_TAKES, (now,))  # without an acknowledgement: it is ready again
    journal.look_ahead(connection)
    journal.save_clock(connection, always=True)
    return topics


def _due(connection: sqlite3.Connection, statement: str, now: int) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for project, *rest in connection.execute(statement, (now, BATCH)):
        found[project].append(rest)
    return found
