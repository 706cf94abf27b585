"""What do people look at? The last decisions and questions, and sums by day."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec

from ..records import Decision
from .ledger import COLUMNS, read_decision


def newest_decisions(
    connection: sqlite3.Connection, before: int | None, limit: int
) -> Iterator[Decision]:
    sql = f"SELECT {COLUMNS} FROM decision_history WHERE id < ? ORDER BY id DESC LIMIT ?"
    return map(read_decision, connection.execute(sql, (before or 2**62, limit)))


def saved_by_day(connection: sqlite3.Connection, days: int) -> list[tuple[str, int, int]]:
    """(day, sum of tokens_saved, reports that said it) of the last `days`, oldest first."""
    sql = """SELECT substr(timestamp, 1, 10) AS day, sum(tokens_saved), count(tokens_saved)
        FROM decision_history WHERE timestamp >= date('now', ?) GROUP BY day ORDER BY day"""
    rows = connection.execute(sql, (f"-{days} days",))
    return [(day, saved or 0, count) for day, saved, count in rows]


def last_queries(connection: sqlite3.Connection, limit: int) -> list[dict[str, Any]]:
    """The newest questions, as a person wants to see them; `found` are qualified names."""
    rows = connection.execute(
        "SELECT timestamp, method, capability, role, context, agents_returned, cache_hit, "
        "duration_ms FROM agent_queries ORDER BY id DESC LIMIT ?",
        (limit,),
    )
    return [
        {
            "at": row[0],
            "method": row[1],
            "text": " · ".join(filter(None, row[2:5])),
            "found": msgspec.json.decode(row[5]),
            "cached": bool(row[6]),
            "ms": row[7],
        }
        for row in rows
    ]
