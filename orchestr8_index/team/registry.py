"""Who serves from this database: each says that it is there, and one of them sweeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import psycopg

from .. import __version__
from .connection import Connection
from .journal import JUMP, DatabaseClock
from .migrate import migrate, timeline
from .schema import BEAT, BURY, CLOCK, DUE_PROJECTS, FAIL_OVER, SERVERS

GONE_MS = 5000
SWEEPER = 0x6F38737765  # the advisory lock of the one that sweeps, as long as its connection lives


class Registry:
    """`facts` tells of this server, `sweep(project)` ends what is over there."""

    def __init__(
        self,
        schema: str,
        server: str,
        name: str,
        clock: DatabaseClock | None,
        sweep: Callable[[str], object],
    ) -> None:
        self._schema, self._server, self._name = schema, server, name
        self._clock, self._sweep = clock, sweep
        self.facts: Callable[[], dict[str, Any]] = dict

    def greet(self, connection: psycopg.Connection[Any]) -> None:
        """At each connect: the tables, and whether another server of PostgreSQL has taken over,
        which may lack the last commits: no revision of theirs is given out again."""
        migrate(connection, self._schema)
        connection.execute(FAIL_OVER.encode(), (JUMP, timeline(connection)))

    def beat(self, connection: Connection) -> list[tuple[str, int]]:
        """Say that we are there; returns the projects with their revisions. Blocks."""
        facts = msgspec.json.encode(self.facts()).decode()
        connection.execute("SET synchronous_commit = off")  # nobody misses a sign of life
        connection.execute(BEAT, (self._server, self._name, __version__, facts))
        if self._clock is not None:
            self._clock.tell(connection.execute(f"SELECT {CLOCK}").fetchone()[0])  # type: ignore[index]
        if connection.execute("SELECT pg_try_advisory_lock(?)", (SWEEPER,)).fetchone()[0]:  # type: ignore[index]
            connection.execute(BURY)
            for (project,) in connection.execute(DUE_PROJECTS).fetchall():
                self._sweep(project)
        return connection.execute("SELECT name, rev FROM project").fetchall()

    def leave(self, connection: Connection) -> None:
        connection.execute("DELETE FROM server WHERE id = ?", (self._server,))


def servers(connection: Connection) -> list[dict[str, Any]]:
    """All that were heard of in the last seconds, and those that went without a word."""
    found = connection.execute(SERVERS).fetchall()
    return [_shown(row) for row in found]


def _shown(row: Sequence[Any]) -> dict[str, Any]:
    ident, name, version, started, silent, facts = row
    shown = {"id": ident, "name": name, "version": version, "started": started}
    return {**shown, "silent_ms": silent, "here": silent < GONE_MS, **msgspec.json.decode(facts)}
