"""Writes and reads the query log and the audit; sums the tokens saved."""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from . import chain
from .ledger import marks, moment, read_names

Question = tuple[str, bytes]
"""(method, its checked params as JSON)."""
QueryNote = tuple[float, Question, bytes, float, bool, int]
"""(seconds since 1970, question, names found as JSON, mean milliseconds, whether from the cache,
how often: equal cache hits between two writes are one note)."""


class QueryLog:
    """The questions since the last write: each cache miss, and equal cache hits counted together.

    At most MOST_NOTED misses are held: the oldest are dropped where the disk cannot keep up.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._misses: deque[QueryNote] = deque(maxlen=MOST_NOTED)
        self._hits: dict[Question, list[Any]] = {}

    def miss(self, question: Question, answer: bytes, spent: float) -> None:
        """`spent` are milliseconds."""
        self._misses.append((self._clock(), question, _names_in(answer), spent, False, 1))

    def hit(self, question: Question, answer: bytes, spent: float) -> None:
        """Count an answer from the cache; `take` decodes it, once for all equal ones."""
        known = self._hits.get(question)
        if known is None:
            self._hits[question] = [self._clock(), answer, spent, 1]
        else:
            known[2] += spent
            known[3] += 1

    def take(self) -> list[QueryNote]:
        """Return the notes to write, and clear them."""
        hits = [
            (first, question, _names_in(answer), spent / times, True, times)
            for question, (first, answer, spent, times) in self._hits.items()
        ]
        noted = sorted((*self._misses, *hits))
        self._misses.clear()
        self._hits.clear()
        return noted


def _names_in(answer: bytes) -> bytes:
    decoded = _ANSWER.decode(answer)
    rows = (*decoded.agents, *decoded.skills, *decoded.workflows)
    return msgspec.json.encode([f"{row.plugin}:{row.name}" for row in rows])


def write_queries(connection: sqlite3.Connection, noted: Sequence[QueryNote]) -> None:
    connection.executemany(
        "INSERT INTO agent_queries (timestamp, capability, role, context, agents_returned, "
        f"cache_hit, duration_ms, method, times) VALUES ({marks(9)})",
        map(_row, noted),
    )


def _row(note: QueryNote) -> tuple[Any, ...]:
    at, (method, params), names, spent, hit, times = note
    asked = msgspec.json.decode(params)
    text = next((text for name in _TEXTS if (text := asked.get(name))), None)
    who = asked.get("capability"), asked.get("role")
    return moment(at), *who, text, names.decode(), int(hit), round(spent, 3), method, times


_TEXTS = ("context", "goal", "task")
MOST_NOTED = 4096
PRUNED_AT_ONCE = 1_000  # rows: some 10 ms, which may delay an outcome
MOST_AUDIT = 50_000  # rows; the oldest go
AuditRow = tuple[str, str, str, str, int]
"""(timestamp, who, what, outcome, how often)."""


def write_audit(connection: sqlite3.Connection, rows: Sequence[AuditRow]) -> None:
    """Append; only the newest MOST_AUDIT rows stay."""
    connection.executemany(
        f"INSERT INTO audit (timestamp, who, what, outcome, times) VALUES ({marks(5)})", rows
    )
    chain.seal_audit(connection)
    chain.prune_audit(connection, MOST_AUDIT)


def read_audit(connection: sqlite3.Connection, most: int) -> list[AuditRow]:
    """The newest rows, oldest first."""
    sql = "SELECT timestamp, who, what, outcome, times FROM audit ORDER BY id DESC LIMIT ?"
    rows = connection.execute(sql, (most,)).fetchall()[::-1]
    return [(*map(str, row[:4]), row[4] if isinstance(row[4], int) else 1) for row in rows]  # type: ignore[misc]


def last_queries(connection: sqlite3.Connection, limit: int) -> list[dict[str, Any]]:
    """The newest questions, for display; `found` are qualified names."""
    rows = connection.execute(
        "SELECT timestamp, method, capability, role, context, agents_returned, cache_hit, "
        "duration_ms, times FROM agent_queries ORDER BY id DESC LIMIT ?",
        (limit,),
    )
    return [
        {
            "at": row[0],
            "method": row[1],
            "text": " · ".join(map(str, filter(None, row[2:5]))),
            "found": list(read_names(row[5])),
            "cached": bool(row[6]),
            "ms": row[7] if isinstance(row[7], float) else 0.0,
            "times": row[8] if isinstance(row[8], int) else 1,
        }
        for row in rows
    ]


def saved_by_day(
    connection: sqlite3.Connection, days: int, project: str = ""
) -> list[tuple[str, int, int]]:
    """(day, sum of tokens_saved, reports that said it) of a project's last `days`, in order."""
    sql = """SELECT substr(timestamp, 1, 10) AS day, sum(tokens_saved), count(tokens_saved)
        FROM decision_history WHERE project = ? AND timestamp >= date('now', ?)
        GROUP BY day ORDER BY day"""
    rows = connection.execute(sql, (project, f"-{days} days"))
    return [(str(day), int(saved or 0), count) for day, saved, count in rows]


class _LoggedRow(msgspec.Struct):
    name: str
    plugin: str


class _LoggedAnswer(msgspec.Struct):
    agents: list[_LoggedRow] = []
    skills: list[_LoggedRow] = []
    workflows: list[_LoggedRow] = []


_ANSWER = msgspec.json.Decoder(_LoggedAnswer)


def prune_queries(connection: sqlite3.Connection, most: int = PRUNED_AT_ONCE) -> int:
    """Delete the `most` oldest rows of the query log; returns how many there were.

    Up to `most` free pages, more than these rows can have had, are given back to the disk.
    """
    cursor = connection.execute(
        "DELETE FROM agent_queries WHERE id IN (SELECT id FROM agent_queries ORDER BY id LIMIT ?)",
        (most,),
    )
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    for _ in range(min(free, most)):  # Python's sqlite3 frees one page per call
        connection.execute("PRAGMA incremental_vacuum")
    return cursor.rowcount
