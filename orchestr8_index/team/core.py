"""The shared state of a team: the same methods, on several servers that know one database."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..coordinate.clock import Clock
from ..coordinate.commits import Committed, T
from ..coordinate.core import Coordination
from ..store.database import transaction
from ..store.notes import AuditRow
from ..store.usage import UsageRow, write_usage
from .bus import Bus
from .connection import TeamConnection, connected
from .registry import Registry, add_audit, servers
from .schema import NEWEST
from .start import SCHEMA
from .store import DatabaseClock, TeamJournal, TeamStore

MOST_WAITING = 10_000  # rows of the audit, while PostgreSQL is away


class TeamCoordination(Coordination):
    """One server's part. `facts` are what the others are told of it; a `clock` is for tests."""

    def __init__(
        self,
        url: str,
        most_waiting: int = 1000,
        *,
        schema: str = SCHEMA,
        facts: Callable[[], dict[str, Any]] = dict,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(Path(), most_waiting=most_waiting, clock=clock or DatabaseClock())
        self._url, self._schema = url, schema
        self.server = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self.journal: TeamJournal = TeamJournal(self.clock)
        self.store = self.team = TeamStore(url, schema, self.server, self.journal.take, self._tell)
        own = self.clock if isinstance(self.clock, DatabaseClock) else None
        self.registry = Registry(schema, self.server, own, self._sweep_project)
        self.team.greet = self.registry.greet  # nothing is granted before a fail-over is known
        self.team.size = lambda: self.registry.size
        self.registry.facts = lambda: {**facts(), **self._facts()}
        self.bus = Bus(url, schema, self.server, self.team.circuit, self.registry, self._heard)
        self.bus.now = self.clock.now
        self._swept: set[str] = set()
        self._audit: list[AuditRow] = []

    def _facts(self) -> dict[str, Any]:
        return {"lag_ms": self.bus.lag.ms, "waiters": self.feed.waiting}

    def of_team(self) -> dict[str, Any]:
        state = self.team.circuit.state
        return {"postgres": state, "server": self.server, "lag_ms": self.bus.lag.ms}

    @property
    def reasons(self) -> list[str]:
        return [*self.store.reasons, *self.bus.reasons]

    def newest(self, connection: Any, project: str) -> int:
        row = connection.execute(NEWEST, (project,)).fetchone()
        return int(row[0]) if row else 0

    async def save_clock(self) -> None:
        """The database has its own."""

    async def back_up(self) -> None:
        """The database's own care: docs/team says how."""

    async def read(self, work: Callable[..., T], *asked: Any) -> T:
        return await self.team.read(work, *asked)

    async def servers(self) -> list[dict[str, Any]]:
        """All servers of the database."""
        return await self.read(servers)

    async def keep_audit(self, rows: Sequence[AuditRow]) -> None:
        """For all servers; what cannot be written now is written with the next."""
        self._audit = [*self._audit, *rows][-MOST_WAITING:]
        await self.read(add_audit, self.server, self._audit)
        self._audit = []

    async def keep_usage(self, rows: Sequence[UsageRow]) -> None:
        await self.read(_add_usage, rows)

    def _count_locks(self) -> int:
        """As there were at the last sign of life: nobody waits for the database."""
        return self.registry.locks

    def open(self) -> None:
        """Raises StoreUnavailable and StoreTooNew, with what helps."""
        with connected(self._url, self._schema, self.server) as opened:
            self.registry.greet(opened)
        self.store.open()

    def start(self) -> None:
        self.store.start()
        self.bus.start()

    async def close(self) -> None:
        self.feed.close()
        await self.bus.stop()
        await super().close()

    def _tell(self, connection: TeamConnection, project: str, values: Sequence[Any]) -> None:
        topics = [
            topic
            for value in values
            if isinstance(value, Committed)
            for topic in value.topics.get(project, ())
        ]
        if topics:
            self.bus.tell(
                connection, project, self.journal.revisions.last, self.clock.now(), topics
            )

    def _heard(self, project: str, topics: list[str] | None) -> None:
        """Another server's commit."""
        if topics is None:
            self.feed.publish_all(project)
        else:
            self.feed.publish(project, topics)

    def _schedule(self) -> None:
        """Whoever sweeps for the team sees to it that what ends is ended in time."""

    def _sweep_project(self, project: str) -> None:
        """From the bus's thread: end what is over there, in the writer's turn."""
        if project in self._swept:
            return
        self._swept.add(project)
        self.team.submit(
            self._expire, self._committed, project, lambda: self._swept.discard(project)
        )


def _add_usage(connection: Any, rows: Sequence[UsageRow]) -> None:
    with transaction(connection):
        write_usage(connection, rows)
