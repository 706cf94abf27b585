"""What one of the other projects has learnt: in the server's one store, and apart from the rest."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from dataclasses import dataclass

from ..errors import StoreUnavailable
from ..learn.outcomes import Outcomes
from ..records import Experience, Kind, no_experience
from ..store import ledger
from ..store.notes import QueryLog
from ..store.store import Store
from .serverstore import ServerStore

log = logging.getLogger("orchestr8.store")


@dataclass(slots=True)
class ProjectStore:
    """As the server's store for the first project; loaded when it is first asked for."""

    server: ServerStore
    key: str
    _outcomes: Outcomes | None = None
    _loading: asyncio.Task[Outcomes] | None = None

    def load(self) -> asyncio.Task[Outcomes]:
        """What was learnt, as soon as it is counted; the task raises StoreUnavailable."""
        if self._loading is None or (self._loading.done() and self._outcomes is None):
            self._loading = asyncio.create_task(self._load())
            self._loading.add_done_callback(lambda done: done.cancelled() or done.exception())
        return self._loading

    async def outcomes(self) -> Outcomes:
        """Raises StoreUnavailable with the reason."""
        if self._outcomes is not None:
            return self._outcomes
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
        self._outcomes = outcomes
        return outcomes

    async def sleep(self) -> None:
        """Keep what is derived, and give it up; the decisions are on the disk."""
        outcomes, self._outcomes, self._loading = self._outcomes, None, None
        if outcomes is not None and outcomes.counts.unsaved:
            try:
                await outcomes.checkpoint()
            except StoreUnavailable as error:
                log.warning("what was derived is counted again", extra={"reason": str(error)})

    @property
    def ready(self) -> Outcomes | None:
        """The outcomes if they are loaded, without waiting."""
        return self._outcomes

    @property
    def experience(self) -> Experience:
        return self._outcomes.experience if self._outcomes else no_experience()

    @property
    def revision(self) -> int:
        return self._outcomes.revision if self._outcomes else -1

    def revision_of(self, kind: Kind | None) -> int:
        return self._outcomes.revision_of(kind) if self._outcomes else -1

    @property
    def reasons(self) -> list[str]:
        """What is wrong with the store, for /health."""
        return self.server.reasons

    def failed(self, error: sqlite3.Error) -> None:
        self.server.failed(error)

    @property
    def queries(self) -> QueryLog:
        return self.server.queries


def _count(outcomes: Outcomes, store: Store) -> None:
    with store.reading() as reader:
        outcomes.counts.load(reader)
