"""The servers that use this database: each sends heartbeats, and one ends what has expired.

The audit log and the usage of all servers are also read here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import psycopg

from .. import __version__
from ..coordinate.clock import iso
from ..store.notes import MOST_AUDIT, AuditRow
from ..store.usage import UsageRow, first_day
from .connection import TeamConnection, connected
from .schema import (
    BEAT,
    BURY,
    CLOCK,
    DUE_PROJECTS,
    FAIL_OVER,
    FIGURES,
    PRESENT,
    REVISIONS,
    SERVERS,
    TIMELINE,
    check_version,
    migrate,
)
from .start import SCHEMA
from .store import DatabaseClock

GONE_MS = 5000
JUMP = 1 << 20  # revisions passed over after a fail-over, which may have lost the last ones
SWEEPER = 0x6F38737765  # the advisory lock of the one that sweeps, as long as its connection lives
_NAMES = "timestamp, who, what, outcome, times"
_ADD = f"""WITH gone AS (DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?)
    INSERT INTO audit (server, {_NAMES}) SELECT ?, {_NAMES} FROM json_to_recordset(?)
    AS x (timestamp text, who text, what text, outcome text, times bigint)"""
_USAGE = "SELECT day, who, what, outcome, times FROM usage WHERE day >= $1"
_ROWS = f"SELECT server, {_NAMES} FROM audit ORDER BY id DESC LIMIT $1"


class Registry:
    """`facts` describe this server; `sweep(project)` ends what has expired there.

    `duties` are tasks that one server does for all, by name: the number of the advisory lock, and
    whether this server can do it; `held` are those of this server. `count` is the number of
    servers; `locks` and `size` (bytes) are those of the whole database."""

    def __init__(
        self, schema: str, server: str, clock: DatabaseClock | None, sweep: Callable[[str], object]
    ) -> None:
        self._schema, self._server = schema, server
        self._clock, self._sweep = clock, sweep
        self.facts: Callable[[], dict[str, Any]] = dict
        self.duties: dict[str, tuple[int, Callable[[], bool]]] = {}
        self.held: set[str] = set()
        self.count = 1
        self._session = 0
        self.locks = self.size = 0

    def greet(self, connection: psycopg.Connection[Any]) -> None:
        """At each connect: make the tables, and detect a failover of PostgreSQL. The new primary
        may lack the last commits, so their revisions are skipped."""
        migrate(connection, self._schema)
        row = connection.execute(TIMELINE.encode()).fetchone()
        connection.execute(FAIL_OVER.encode(), (JUMP, str(row[0]) if row else ""))

    def beat(self, connection: TeamConnection) -> list[tuple[str, int]]:
        """Send a heartbeat; returns the projects with their revisions. Blocks."""
        facts = msgspec.json.encode(self.facts()).decode()
        connection.execute("SET synchronous_commit = off")  # a lost heartbeat does no harm
        connection.execute(BEAT, (self._server, __version__, facts))
        if self._clock is not None:
            self._clock.start(connection.execute(f"SELECT {CLOCK}").fetchone()[0])
        if connection.execute("SELECT pg_try_advisory_lock(?)", (SWEEPER,)).fetchone()[0]:
            connection.execute(BURY)
            for (project,) in connection.execute(DUE_PROJECTS).fetchall():
                self._sweep(project)
        self._take_duties(connection)
        self.locks, self.size = connection.execute(FIGURES).fetchone()
        found: list[tuple[str, int]] = connection.execute(REVISIONS).fetchall()
        return found

    def _take_duties(self, connection: TeamConnection) -> None:
        """An advisory lock lasts as long as its connection."""
        session = connection.raw().info.backend_pid
        if session != self._session:
            self._session = session
            self.held.clear()
        for name, (number, can) in list(self.duties.items()):
            if can() == (name in self.held):
                continue
            lock = "pg_advisory_unlock" if name in self.held else "pg_try_advisory_lock"
            if connection.execute(f"SELECT {lock}(?)", (number,)).fetchone()[0]:
                self.held ^= {name}
        if self.duties:
            self.count = connection.execute(PRESENT, (GONE_MS,)).fetchone()[0]

    def leave(self, connection: TeamConnection) -> None:
        connection.execute("DELETE FROM server WHERE id = ?", (self._server,))


def servers(connection: TeamConnection) -> list[dict[str, Any]]:
    """The servers that are there, and those that ended without saying so."""
    found = connection.execute(SERVERS).fetchall()
    return [_shown(row) for row in found]


def read_servers(url: str) -> list[dict[str, Any]]:
    """As `servers`, on a connection of its own. Raises StoreUnavailable."""
    return list(map(_shown, _rows_of(url, SERVERS)))


def _rows_of(url: str, query: str, *given: object) -> list[Any]:
    """The rows of a query, on a connection of its own."""
    with connected(url, SCHEMA, "looks") as connection:
        check_version(connection, SCHEMA)
        return connection.execute(query.encode(), given or None).fetchall()


def _shown(row: Sequence[Any]) -> dict[str, Any]:
    ident, version, started, silent, facts = row
    shown = {"server": ident, "version": version, "started": iso(started)}
    return {**shown, "silent_ms": silent, "here": silent < GONE_MS, **msgspec.json.decode(facts)}


# --- audit and usage ----------------------------------------------------------------------------


def add_audit(connection: TeamConnection, server: str, rows: Sequence[AuditRow]) -> None:
    """Append, and keep the newest rows, ten times as many as a server keeps by itself."""
    named = [dict(zip(_NAMES.split(", "), row, strict=True)) for row in rows]
    connection.execute(_ADD, (10 * MOST_AUDIT, server, msgspec.json.encode(named).decode()))


def read_team_audit(url: str, most: int) -> list[AuditRow]:
    """The newest rows of all servers, oldest first; `who` says where. Raises StoreUnavailable."""
    return [
        (at, f"{who} on {server}", what, outcome, times)
        for server, at, who, what, outcome, times in reversed(_rows_of(url, _ROWS, most))
    ]


def read_team_usage(url: str, days: int) -> list[UsageRow]:
    """The usage of all servers in the last `days`. Raises StoreUnavailable."""
    return _rows_of(url, _USAGE, first_day(days))
