"""The audit of all servers: each writes its own beside it, and forgets it here when it is old."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..store.notes import MOST_AUDIT, AuditRow
from ..store.usage import Counted, first_day
from .connection import TeamConnection, connect
from .migrate import check_version
from .sentences import unavailable
from .start import SCHEMA, require_psycopg

_NAMES = "timestamp, who, what, outcome, times"
_ADD = f"""WITH gone AS (DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?)
    INSERT INTO audit (server, {_NAMES}) SELECT ?, {_NAMES} FROM json_to_recordset(?)
    AS x (timestamp text, who text, what text, outcome text, times bigint)"""
_USAGE = "SELECT day, who, what, outcome, times FROM usage WHERE day >= $1"
_ROWS = f"SELECT server, {_NAMES} FROM audit ORDER BY id DESC LIMIT $1"


def add_audit(connection: TeamConnection, server: str, rows: Sequence[AuditRow]) -> None:
    """Append, in one statement; the newest rows stay, ten times as many as a server keeps."""
    named = [dict(zip(_NAMES.split(", "), row, strict=True)) for row in rows]
    connection.execute(_ADD, (10 * MOST_AUDIT, server, msgspec.json.encode(named).decode()))


def read_team_audit(url: str, most: int) -> list[AuditRow]:
    """The newest rows of all servers, oldest first; `who` says where. Raises StoreUnavailable."""
    require_psycopg()
    with unavailable(), connect(url, SCHEMA, "looks") as connection:
        check_version(connection, SCHEMA)
        rows = connection.execute(_ROWS.encode(), (most,)).fetchall()
    return [_shown(*row) for row in reversed(rows)]


def read_team_usage(url: str, days: int) -> list[Counted]:
    """What was counted of all servers in the last `days`. Raises StoreUnavailable."""
    require_psycopg()
    with unavailable(), connect(url, SCHEMA, "looks") as connection:
        check_version(connection, SCHEMA)
        return connection.execute(_USAGE.encode(), (first_day(days),)).fetchall()


def _shown(server: str, at: str, who: str, *rest: Any) -> AuditRow:
    what, outcome, times = rest
    return at, f"{who} on {server}", what, outcome, times
