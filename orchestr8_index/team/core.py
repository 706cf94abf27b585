"""The shared state of a team: the same methods, on several servers with one database."""

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

MOST_AUDIT_ROWS = 10_000  # that wait while PostgreSQL is away


class TeamCoordination(Coordination):
    """One of the servers. `facts` are what the others see of it; a `clock` is for tests."""

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
        self.team = TeamStore(url, schema, self.server, self.journal.take, self._notify)
        self.store = self.team
        own = self.clock if isinstance(self.clock, DatabaseClock) else None
        self.registry = Registry(schema, self.server, own, self._sweep_project)
        self.team.greet = self.registry.greet  # nothing is granted before a fail-over is known
        self.team.size = lambda: self.registry.size
        self.registry.facts = lambda: {**facts(), **self._facts()}
        self.bus = Bus(url, schema, self.server, self.team.circuit, self.registry, self._on_notice)
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
        """Nothing: the database has its own clock."""

    async def back_up(self) -> None:
        """Nothing: whoever runs the database makes its backups."""

    async def read(self, work: Callable[..., T], *asked: Any) -> T:
        return await self.team.read(work, *asked)

    async def servers(self) -> list[dict[str, Any]]:
        """All servers of the database."""
        return await self.read(servers)

    async def keep_audit(self, rows: Sequence[AuditRow]) -> None:
        """Add rows to the audit of all servers, now or when PostgreSQL is back."""
        self._audit = [*self._audit, *rows][-MOST_AUDIT_ROWS:]
        await self.read(add_audit, self.server, self._audit)
        self._audit = []

    async def keep_usage(self, rows: Sequence[UsageRow]) -> None:
        await self.read(_add_usage, rows)

    def _count_locks(self) -> int:
        """As counted with the last heartbeat, without asking the database."""
        return self.registry.locks

    def open(self) -> None:
        """Raises StoreUnavailable and StoreTooNew, with their cures."""
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

    def _notify(self, connection: TeamConnection, project: str, values: Sequence[Any]) -> None:
        topics = [
            topic
            for value in values
            if isinstance(value, Committed)
            for topic in value.topics.get(project, ())
        ]
        if topics:
            self.bus.notify(
                connection, project, self.journal.revisions.last, self.clock.now(), topics
            )

    def _on_notice(self, project: str, topics: list[str] | None) -> None:
        """Wake the waiters for another server's commit."""
        if topics is None:
            self.feed.publish_all(project)
        else:
            self.feed.publish(project, topics)

    def _schedule(self) -> None:
        """Nothing: one server of the team ends what expires, with its heartbeats."""

    def _sweep_project(self, project: str) -> None:
        """From the bus's thread: have the writer end what has expired in the project."""
        if project in self._swept:
            return
        self._swept.add(project)
        self.team.submit(
            self._expire, self._committed, project, lambda: self._swept.discard(project)
        )


def _add_usage(connection: Any, rows: Sequence[UsageRow]) -> None:
    with transaction(connection):
        write_usage(connection, rows)
