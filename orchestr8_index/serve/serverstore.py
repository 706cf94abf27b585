"""The store of a running server: opened beside the first requests, backed up daily, closed last.

While the store cannot be used, answers go on without experience, and outcomes are refused with the
reason.
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
TASK_WORDS = 8192  # remembered raw words of tasks, which vary more than those of questions
CHECK_SECONDS, BACKUP_SECONDS = 3600.0, 86_400.0
log = logging.getLogger("orchestr8.store")


@dataclass(slots=True)
class ServerStore:
    """The owner of the open store. `trouble` says why there is none, "" when there is one.

    `prepare` readies an opened store's experience for the questions, which go without until then.
    `heir` is the project that has what was learnt before there were any, else the first.
    """

    settings: Settings
    heir: str = ""
    terms: Terms = field(default_factory=lambda: Terms(TASK_WORDS))
    trouble: str = "The store is not open yet."
    prepare: Callable[[Experience], Awaitable[None]] | None = None
    queries: QueryLog = field(default_factory=QueryLog)
    _outcomes: Outcomes | None = None
    _opening: asyncio.Task[None] | None = None
    _backing_up: asyncio.Task[None] | None = None
    _checking: asyncio.Task[None] | None = None
    _binding: asyncio.Task[None] | None = None
    _is_bound: bool = False
    _damage: str = ""
    _tried: float = 0.0
    _nothing: Experience = field(default_factory=no_experience)

    def begin(self) -> None:
        """Start to open the store, in the running loop."""
        self._opening = asyncio.create_task(self._open())
        self._backing_up = asyncio.create_task(self._back_up_daily())

    async def outcomes(self) -> Outcomes:
        """The open store's outcomes. Raises StoreUnavailable with the reason."""
        if self._opening is not None:
            await asyncio.shield(self._opening)
        if self._outcomes is None and time.monotonic() - self._tried > RETRY_SECONDS:
            self._opening = asyncio.create_task(self._open())
            await asyncio.shield(self._opening)
        if self._outcomes is None:
            raise StoreUnavailable(self.trouble)
        return self._outcomes

    @property
    def ready(self) -> Outcomes | None:
        """The outcomes if the store is open, without waiting."""
        return self._outcomes

    @property
    def experience(self) -> Experience:
        return self._outcomes.experience if self._outcomes and self._is_bound else self._nothing

    @property
    def revision(self) -> int:
        return self._outcomes.revision if self._outcomes else -1

    def revision_of(self, kind: Kind | None) -> int:
        if self._outcomes is None or (kind and not self._is_bound):
            return -1
        return self._outcomes.revision_of(kind)

    @property
    def reasons(self) -> list[str]:
        """What is wrong with the store, for /health."""
        if self._outcomes is None:
            opening = self._opening is not None and not self._opening.done()
            return [] if opening or self._tried == 0.0 else [self.trouble]
        return self._outcomes.store.reasons + [each for each in (self._damage,) if each]

    async def check(self) -> None:
        """Once a second: write the query log, and say when the database's files were taken away."""
        self._write_queries()
        store = self._outcomes.store if self._outcomes else None
        if store and await store.check():
            log.error("the store is lost", extra={"reason": " ".join(store.reasons)})

    def failed(self, error: sqlite3.Error) -> None:
        """Note that the open database could not be read; unlike a failed write, that stays."""
        cure = "Restart the server: it mends a damaged database from the newest backup."
        self._damage = f"The store cannot be read: {redact(str(error))}. {cure}"
        log.error("the store cannot be read", extra={"reason": str(error)})

    def _write_queries(self) -> None:
        """What was asked meanwhile; nobody's, while the store is not open."""
        asked = self.queries.take()
        if self._outcomes is not None:
            self._outcomes.store.note_queries(asked)

    async def stop(self) -> None:
        """Write what is derived, then close; nothing that was acknowledged depends on it."""
        for task in (self._backing_up, self._opening, self._checking, self._binding):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._write_queries()
        if self._outcomes is not None:
            with contextlib.suppress(StoreUnavailable):
                await self._outcomes.checkpoint()
            await asyncio.to_thread(self._outcomes.store.close)

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
            self.trouble = f"The store cannot be opened: {_why(error)}"
            log.error("the store cannot be opened", extra={"reason": str(error)})
            return
        store.start()
        self._outcomes, self.trouble = outcomes, ""
        self._checking = asyncio.create_task(self._check_fully())
        self._is_bound = self.prepare is None
        if self.prepare is not None:
            self._binding = asyncio.create_task(self._bind(self.prepare, outcomes.experience))
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
        """The long check of the whole file, beside the first answers; the quick one came before."""
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
            await asyncio.sleep(CHECK_SECONDS / 60 if self._outcomes is None else CHECK_SECONDS)
            if self._outcomes and backup.age_seconds(self.settings.data_dir) > BACKUP_SECONDS:
                try:
                    await asyncio.to_thread(backup.backup, self.settings.data_dir)
                except (sqlite3.Error, OSError) as error:
                    log.error("the backup failed", extra={"reason": str(error)})


def _why(error: Exception) -> str:
    """The reason without a path, and what mends it: /health says it to everybody."""
    if isinstance(error, OSError):
        return f"{error.strerror}.{CURES[sqlite3.SQLITE_CANTOPEN]}"
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return f"{redact(str(error))}.{CURES.get(code, '')}"
