"""Counts calls by day, caller, method and outcome, without their contents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ..table import error_name, is_failure

UsageRow = tuple[str, str, str, str, int]
"""(day in UTC, who, what, outcome, how often)."""
DAYS_KEPT, MOST_ROWS = 90, 20_000
MOST_NAMED = 1000  # tools or callers in an answer
OTHERS = "others"
_ADD = """INSERT INTO usage (day, who, what, outcome, times) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (day, who, what, outcome) DO UPDATE SET times = usage.times + excluded.times"""


def write_usage(connection: Any, rows: Sequence[UsageRow]) -> None:
    """Add to the counts; from MOST_ROWS on every caller is counted as OTHERS. `connection` is
    SQLite's or a team's, in a transaction."""
    is_full = connection.execute("SELECT count(*) FROM usage").fetchone()[0] >= MOST_ROWS
    if is_full:
        rows = [(day, OTHERS, *rest) for day, _, *rest in rows]  # type: ignore[misc]
    connection.executemany(_ADD, sorted(rows))  # one order of locks: no deadlock between servers
    connection.execute("DELETE FROM usage WHERE day < ?", (first_day(DAYS_KEPT),))


def read_usage(connection: Any, days: int) -> list[UsageRow]:
    """The counts of the last `days`, today included."""
    sql = "SELECT day, who, what, outcome, times FROM usage WHERE day >= ?"
    rows: list[UsageRow] = connection.execute(sql, (first_day(days),)).fetchall()
    return rows


def first_day(days: int) -> str:
    """The first of the last `days`, today included."""
    return (datetime.now(UTC) - timedelta(days=days - 1)).date().isoformat()


def summed(
    rows: Iterable[UsageRow], saved: Iterable[tuple[str, int, int]]
) -> dict[str, list[dict[str, Any]]]:
    """Calls and failures by day, tool and caller, and errors and refusals by name; the most first,
    days in order. `saved` has (day, tokens saved, reports that said so)."""
    tables: dict[str, dict[str, Counter[str]]] = {"days": {}, "tools": {}, "callers": {}}
    errors: Counter[str] = Counter()
    for day, who, what, outcome, times in rows:
        for table, name in (("days", day), ("tools", what), ("callers", who)):
            counted = tables[table].setdefault(name, Counter())
            counted["calls"] += times
            counted["errors"] += times if outcome != "ok" and is_failure(int(outcome)) else 0
        if outcome != "ok":
            errors[error_name(outcome)] += times
    for day, tokens, reports in saved:
        tables["days"].setdefault(day, Counter()).update(tokens=tokens, reports=reports)
    found = {name: _ordered(table, name == "days") for name, table in tables.items()}
    return {**found, "errors": [{"name": name, "times": n} for name, n in errors.most_common()]}


def _ordered(table: dict[str, Counter[str]], is_by_day: bool) -> list[dict[str, Any]]:
    columns = ("calls", "errors", *(("tokens", "reports") if is_by_day else ()))
    rows: list[dict[str, Any]]
    rows = [{"name": name, **{c: n[c] for c in columns}} for name, n in sorted(table.items())]
    return rows if is_by_day else sorted(rows, key=lambda row: -row["calls"])[:MOST_NAMED]
