"""The SQL that writes patterns, and reads them back."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from ..records import Pattern
from . import chain
from .ledger import drop_checkpoint, marks, to_json, within

_PATTERN = (
    "id, goal, agent_sequence, dependencies, parallel_groups, success_count, failure_count, "
    "avg_duration_ms, avg_tokens_saved, created_at, updated_at, stored, "
    "duration_total, duration_count, tokens_total, tokens_count, project, stored_by"
)
_OF_LISTS = ("agent_sequence", "dependencies", "parallel_groups")


def write_patterns(connection: sqlite3.Connection, patterns: Sequence[Pattern]) -> None:
    """Insert the patterns, or replace those with their numbers."""
    connection.executemany(
        f"INSERT OR REPLACE INTO orchestration_patterns ({_PATTERN}) VALUES ({marks(18)})",
        [_pattern_row(pattern) for pattern in patterns],
    )


def define_pattern(connection: sqlite3.Connection, pattern: Pattern) -> None:
    """Write a pattern that was stored on purpose; the record of an existing one stays."""
    row = _pattern_row(pattern)
    connection.execute(
        f"INSERT INTO orchestration_patterns ({_PATTERN}) VALUES ({marks(18)}) "
        "ON CONFLICT (project, id) DO UPDATE SET dependencies = excluded.dependencies, "
        "parallel_groups = excluded.parallel_groups, stored = 1, updated_at = excluded.updated_at, "
        "goal = excluded.goal, stored_by = excluded.stored_by",
        (*row[:5], 0, 0, None, None, *row[9:12], 0.0, 0, 0, 0, *row[16:]),
    )
    chain.append_plan(connection, pattern.id, pattern.project)
    drop_checkpoint(connection, pattern.project)


def clear_patterns(connection: sqlite3.Connection, project: str = "") -> None:
    """Delete all patterns of a project."""
    connection.execute("DELETE FROM orchestration_patterns WHERE project = ?", (project,))


def delete_patterns(
    connection: sqlite3.Connection, numbers: Sequence[int], project: str = ""
) -> None:
    """Delete patterns of a project by number."""
    rows = [(project, number) for number in numbers]
    connection.executemany("DELETE FROM orchestration_patterns WHERE project = ? AND id = ?", rows)


def patterns(
    connection: sqlite3.Connection, project: str | None = None
) -> tuple[list[Pattern], list[str]]:
    """(the readable patterns of a project, or of all for None; sentences about invalid rows). An
    invalid row still gives its goal and agents, without a record, where these are valid."""
    found: list[Pattern] = []
    faults: list[str] = []
    where, values = within(project)
    sql = f"SELECT {_PATTERN} FROM orchestration_patterns WHERE {where}1 ORDER BY id"
    for row in connection.execute(sql, values):
        pattern = _pattern(row)
        if pattern is None:
            faults.append(f"the row of pattern {row[0]} cannot be read")
            counts = (0, 0, 0, 0, "", "", row[11], 0.0, 0, 0, 0, *row[16:])
            pattern = _pattern((*row[:5], *counts)) or _pattern((*row[:3], "{}", "[]", *counts))
        if pattern is not None:
            found.append(pattern)
    return found, faults


def _pattern_row(pattern: Pattern) -> tuple[Any, ...]:
    return (
        pattern.id,
        pattern.goal,
        to_json(pattern.agent_sequence),
        to_json(pattern.dependencies),
        to_json(pattern.parallel_groups),
        pattern.success_count,
        pattern.failure_count,
        mean(pattern.duration_total, pattern.duration_count),
        mean(pattern.tokens_total, pattern.tokens_count),
        pattern.created_at,
        pattern.updated_at,
        int(pattern.stored),
        pattern.duration_total,
        pattern.duration_count,
        pattern.tokens_total,
        pattern.tokens_count,
        pattern.project,
        pattern.stored_by,
    )


def mean(total: float, count: int) -> float | None:
    """The mean, or None of nothing."""
    return total / count if count else None


def _pattern(row: Sequence[Any]) -> Pattern | None:
    """The pattern of a row; None if a value is invalid."""
    named = dict(zip((name.strip() for name in _PATTERN.split(",")), row, strict=True))
    try:
        lists = {name: msgspec.json.decode(named[name]) for name in _OF_LISTS}
        values = {**named, **lists, "stored": (False, True)[named["stored"]]}
        values["duration_us"] = round(named["duration_total"] * 1000)
        return msgspec.convert(values, Pattern)
    except (msgspec.MsgspecError, TypeError, LookupError, ValueError, OverflowError):
        return None
