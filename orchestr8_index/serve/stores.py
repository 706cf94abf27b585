"""The store of a running server, and each project's part of it.

It is opened while the first requests are answered, backed up daily, and closed last. While it is
unavailable, answers are without experience and outcomes are refused with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from ..config import Settings
from ..errors import OperationError, StoreTooNew, StoreUnavailable
from ..learn.outcomes import Outcomes
from ..records import Experience, Kind, no_experience
from ..redact import redact
from ..store import backup, ledger
from ..store.database import NAME
from ..store.notes import QueryLog
from ..store.store import CURES, Store
from ..text import Terms

RETRY_SECONDS = 5.0
TASK_WORDS = 8192  # the size of the memo of words in tasks
CHECK_SECONDS, BACKUP_SECONDS = 3600.0, 86_400.0
log = logging.getLogger("orchestr8.store")


@dataclass(slots=True, kw_only=True)
class ProjectStore:
    """One project's part of the store; this base class is for a server without a store.

    `ready` are the outcomes, None until they are loaded.
    """

    ready: Outcomes | None = None
    queries: QueryLog = field(default_factory=QueryLog)
    _nothing: Experience = field(default_factory=no_experience)

    async def outcomes(self) -> Outcomes:
        """Wait for the outcomes. Raises StoreUnavailable with the reason."""
        raise StoreUnavailable("This server keeps no store.")

    @property
    def experience(self) -> Experience:
        return self.ready.experience if self.ready else self._nothing

    @property
    def revision(self) -> int:
        return self.ready.revision if self.ready else -1

    def revision_of(self, kind: Kind | None) -> int:
        return self.ready.revision_of(kind) if self.ready else -1

    @property
    def reasons(self) -> list[str]:
        """What is wrong with the store, for /health."""
        return []

    def failed(self, error: sqlite3.Error) -> None:
        """Note that reading the open database failed."""

    def begin(self) -> None:
        """Start to open it, in the running loop."""

    async def check(self) -> None:
        """Called once a second."""

    async def stop(self) -> None:
        """Write a checkpoint, and close it."""


@dataclass(slots=True)
class ServerStore(ProjectStore):
    """The owner of the store, and the first project's part of it. `trouble` says why the store is
    not open, "" when it is.

    `prepare` is awaited with the experience after opening; until it returns, questions are answered
    without experience. `heir` is the project that gets decisions from before there were projects,
    "" for the first.
    """

    settings: Settings
    heir: str = ""
    terms: Terms = field(default_factory=lambda: Terms(TASK_WORDS))
    trouble: str = "The store is not open yet."
    prepare: Callable[[Experience], Awaitable[None]] | None = None
    _opening: asyncio.Task[None] | None = None
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _is_bound: bool = False
    _damage: str = ""
    _tried: float = 0.0

    def begin(self) -> None:
        """Start to open the store, in the running loop."""
        self._opening = asyncio.create_task(self._open())
        self._tasks.append(asyncio.create_task(self._back_up_daily()))

    async def outcomes(self) -> Outcomes:
        if self._opening is not None:
            await asyncio.shield(self._opening)
        if self.ready is None and time.monotonic() - self._tried > RETRY_SECONDS:
            self._opening = asyncio.create_task(self._open())
            await asyncio.shield(self._opening)
        if self.ready is None:
            raise StoreUnavailable(self.trouble)
        return self.ready

    @property
    def experience(self) -> Experience:
        return self.ready.experience if self.ready and self._is_bound else self._nothing

    def revision_of(self, kind: Kind | None) -> int:
        if self.ready is None or (kind and not self._is_bound):
            return -1
        return self.ready.revision_of(kind)

    @property
    def reasons(self) -> list[str]:
        if self.ready is None:
            opening = self._opening is not None and not self._opening.done()
            return [] if opening or self._tried == 0.0 else [self.trouble]
        return self.ready.store.reasons + [each for each in (self._damage,) if each]

    async def check(self) -> None:
        """Called once a second: write the query log, and check that the database's files exist."""
        self._write_queries()
        store = self.ready.store if self.ready else None
        if store and await store.check():
            log.error("the store is lost", extra={"reason": " ".join(store.reasons)})

    def failed(self, error: sqlite3.Error) -> None:
        """Note a failed read, which /health shows until a restart."""
        cure = "Restart the server: it mends a damaged database from the newest backup."
        self._damage = f"The store cannot be read: {redact(str(error))}. {cure}"
        log.error("the store cannot be read", extra={"reason": str(error)})

    def _write_queries(self) -> None:
        """Log the questions since the last call; dropped while the store is not open."""
        rows = self.queries.take()
        if self.ready is not None:
            self.ready.store.note_queries(rows)

    async def stop(self) -> None:
        """Write a checkpoint, then close; nothing that was acknowledged depends on it."""
        for task in filter(None, (self._opening, *self._tasks)):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._write_queries()
        if self.ready is not None:
            with contextlib.suppress(StoreUnavailable):
                await self.ready.checkpoint()
            await self.ready.store.stop()

    async def _open(self) -> None:
        self._tried = time.monotonic()
        settings = self.settings
        store = Store(settings.data_dir, settings.store_soft_mb, settings.store_hard_mb)
        try:
            outcomes = await asyncio.to_thread(self._open_outcomes, store)
        except StoreTooNew as error:
            self.trouble = str(error)
            log.error("the store is of a newer version", extra={"reason": str(error)})
            return
        except (sqlite3.Error, OSError, msgspec.MsgspecError) as error:
            self.trouble = f"The store cannot be opened: {why(error)}"
            log.error("the store cannot be opened", extra={"reason": str(error)})
            return
        store.start()
        self.ready, self.trouble = outcomes, ""
        self._tasks.append(asyncio.create_task(self._check_fully()))
        self._is_bound = self.prepare is None
        if self.prepare is not None:
            bind = self._bind(self.prepare, outcomes.experience)
            self._tasks.append(asyncio.create_task(bind))
        if store.repaired:
            log.error("the database was damaged", extra={"details": store.repaired.sentence()})

    def _open_outcomes(self, store: Store) -> Outcomes:
        store.open()
        key = self.settings.project_key
        store.prepare(lambda connection: ledger.adopt(connection, self.heir or key))
        outcomes = Outcomes(store, self.terms, ledger.name_of_project(store.reader, key))
        outcomes.load()
        store.prepare(outcomes.counts.assign_all)
        return outcomes

    async def _bind(
        self, prepare: Callable[[Experience], Awaitable[None]], experience: Experience
    ) -> None:
        try:
            await prepare(experience)
        except OperationError as error:
            log.warning("what was learnt waits for a question", extra={"reason": str(error)})
        finally:
            self._is_bound = True

    async def _check_fully(self) -> None:
        """Check the whole database file, in a thread; opening it made a quick check."""
        try:
            damage = await asyncio.to_thread(backup.full_damage_of, self.settings.data_dir / NAME)
        except sqlite3.Error as error:
            damage = str(error)
        if damage:
            cure = "Stop the server and run `orchestr8-index restore`."
            self._damage = f"The database is damaged: {damage}. {cure}"
            log.error("the database is damaged", extra={"damage": damage})

    async def _back_up_daily(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS / 60 if self.ready is None else CHECK_SECONDS)
            if self.ready and backup.age_seconds(self.settings.data_dir) > BACKUP_SECONDS:
                try:
                    await asyncio.to_thread(backup.backup, self.settings.data_dir)
                except (sqlite3.Error, OSError) as error:
                    log.error("the backup failed", extra={"reason": str(error)})


@dataclass(slots=True)
class GuestStore(ProjectStore):
    """A further project's part of the store, loaded when it is first needed."""

    server: ServerStore
    key: str
    _loading: asyncio.Task[Outcomes] | None = None

    def __post_init__(self) -> None:
        self.queries = self.server.queries

    def load(self) -> asyncio.Task[Outcomes]:
        """Start to load the outcomes, if that is not done; the task raises StoreUnavailable."""
        if self._loading is None or (self._loading.done() and self.ready is None):
            self._loading = asyncio.create_task(self._load())
            self._loading.add_done_callback(lambda done: done.cancelled() or done.exception())
        return self._loading

    async def outcomes(self) -> Outcomes:
        if self.ready is not None:
            return self.ready
        return await asyncio.shield(self.load())

    async def _load(self) -> Outcomes:
        store = (await self.server.outcomes()).store
        name = ledger.name_of_project(store.reader, self.key)
        outcomes = Outcomes(store, self.server.terms, name)
        try:
            await asyncio.to_thread(_count, outcomes, store)
        except sqlite3.Error as error:
            self.server.failed(error)
            raise StoreUnavailable("The store cannot be read.") from None
        if outcomes.counts.unassigned:
            await store.write(outcomes.counts.assign_all)
        self.ready = outcomes
        return outcomes

    async def sleep(self) -> None:
        """Write a checkpoint and drop the loaded outcomes; the decisions are on the disk."""
        outcomes, self.ready, self._loading = self.ready, None, None
        if outcomes is not None and outcomes.counts.unsaved:
            try:
                await outcomes.checkpoint()
            except StoreUnavailable as error:
                log.warning("the checkpoint was not written", extra={"reason": str(error)})

    @property
    def reasons(self) -> list[str]:
        return self.server.reasons

    def failed(self, error: sqlite3.Error) -> None:
        self.server.failed(error)


def _count(outcomes: Outcomes, store: Store) -> None:
    with store.reading() as reader:
        outcomes.counts.load(reader)


def why(error: Exception) -> str:
    """The reason without a path, as /health shows it to everybody, and what to do."""
    if isinstance(error, OSError):
        return f"{error.strerror}.{CURES[sqlite3.SQLITE_CANTOPEN]}"
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return f"{redact(str(error))}.{CURES.get(code, '')}"
