"""The SQL that writes decisions, patterns and checkpoints, and reads them back."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import UNSET

from ..records import Decision, Pattern, Result
from ..reports import MOST_COUNTED

_COLUMNS = (
    "id, task_id, task_description, agents_used, result, duration_ms, tokens_saved, timestamp, "
    "resolved_by, skills_used, workflows_used, model, caller, unknown, project"
)
_PATTERN = (
    "id, goal, agent_sequence, dependencies, parallel_groups, success_count, failure_count, "
    "avg_duration_ms, avg_tokens_saved, created_at, updated_at, stored, "
    "duration_total, duration_count, tokens_total, tokens_count, project"
)
_OF_LISTS = ("agent_sequence", "dependencies", "parallel_groups")
_LISTS = msgspec.json.Decoder(tuple[str, ...])
_RESULTS = get_args(Result)
T = TypeVar("T", int, float)


def now() -> str:
    """The time in the form that every table has."""
    return moment(None)


def moment(seconds: float | None) -> str:
    """That time as decisions carry it, but none in the future; now for None."""
    at = time.time()
    at = at if seconds is None else min(at, seconds)
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def digest_of(decision: Decision) -> str:
    """A digest over everything that the decision says, its number included."""
    return hashlib.sha256(msgspec.msgpack.encode(decision)).hexdigest()[:32]


# --- decisions ---------------------------------------------------------------------------------


def insert_decision(connection: sqlite3.Connection, decision: Decision) -> Decision | None:
    """Returns the decision with its number; None when there is one of this task already."""
    numbered = msgspec.structs.replace(decision, id=last_number(connection) + 1)
    inserted = connection.execute(
        f"INSERT INTO decision_history ({_COLUMNS}, digest) VALUES ({marks(16)}) "
        "ON CONFLICT (project, task_id) DO NOTHING",
        (*_row(numbered), digest_of(numbered)),
    )
    return numbered if inserted.rowcount else None


def last_number(connection: sqlite3.Connection) -> int:
    """The highest that a decision has, or that a forgotten one had."""
    rows = connection.execute(
        "SELECT seq FROM sqlite_sequence WHERE name = 'decision_history' "
        "UNION ALL SELECT max(id) FROM decision_history"
    )
    return max((row[0] for row in rows if isinstance(row[0], int)), default=0)


def put_back(connection: sqlite3.Connection, decision: Decision) -> None:
    """A decision under the number that it has; one of the same task makes way."""
    connection.execute(
        f"INSERT OR REPLACE INTO decision_history ({_COLUMNS}, digest) VALUES ({marks(16)})",
        (*_row(decision), digest_of(decision)),
    )


def replace_decision(connection: sqlite3.Connection, decision: Decision) -> Decision:
    """Amend the row with the decision's number; the checkpoint no longer holds."""
    names = [name.strip() for name in _COLUMNS.split(",")][1:]
    sets = ", ".join(f"{name} = ?" for name in [*names, "digest"])
    values = (*_row(decision)[1:], digest_of(decision), decision.id)
    connection.execute(f"UPDATE decision_history SET {sets} WHERE id = ?", values)
    drop_checkpoint(connection, decision.project or "")
    return decision


def delete_decisions(
    connection: sqlite3.Connection, numbers: Sequence[int], project: str | None = None
) -> None:
    """Those with these numbers; the checkpoint of their project, or of all, no longer holds."""
    rows = [(number,) for number in numbers]
    connection.executemany("DELETE FROM decision_history WHERE id = ?", rows)
    drop_checkpoint(connection, project)


def find_decision(
    connection: sqlite3.Connection, task_id: str, project: str = ""
) -> Decision | None:
    """The decision of a project's task."""
    sql = f"SELECT {_COLUMNS} FROM decision_history WHERE project = ? AND task_id = ?"
    row = connection.execute(sql, (project, task_id)).fetchone()
    return _decision(row) if row else None


def decisions(
    connection: sqlite3.Connection, after: int = 0, project: str | None = None
) -> Iterator[Decision]:
    """A project's decisions, or all, with a number above `after`, in the order of their making."""
    where, values = _within(project)
    sql = f"SELECT {_COLUMNS} FROM decision_history WHERE {where}id > ? ORDER BY id"
    return map(_decision, connection.execute(sql, (*values, after)))


def decisions_of(
    connection: sqlite3.Connection, sequence: tuple[str, ...], last: int, project: str = ""
) -> Iterator[Decision]:
    """A project's decisions of one sequence of agents with a number up to `last`, in order."""
    where = "project = ? AND agents_used = ? AND id <= ? ORDER BY id"
    sql = f"SELECT {_COLUMNS} FROM decision_history WHERE {where}"
    return map(_decision, connection.execute(sql, (project, _json(sequence), last)))


def checked_decisions(
    connection: sqlite3.Connection,
    after: int = 0,
    last: int = 2**62,
    project: str | None = None,
) -> Iterator[tuple[Decision, bool]]:
    """(decision, whether its row is as it was written), in the order of their numbers."""
    within, values = _within(project)
    where = f"WHERE {within}id > ? AND id <= ? ORDER BY id"
    sql = f"SELECT {_COLUMNS}, digest FROM decision_history {where}"
    for *row, digest in connection.execute(sql, (*values, after, last)):
        decision = _decision(row)
        yield decision, tuple(row) == _row(decision) and digest == digest_of(decision)


def count_decisions(connection: sqlite3.Connection, project: str | None = None) -> int:
    """How many a project has now, or all have."""
    where, values = _within(project)
    sql = f"SELECT count(*) FROM decision_history WHERE {where}1"
    return int(connection.execute(sql, values).fetchone()[0])


def _within(project: str | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if project is None else ("project = ? AND ", (project,))


def _row(decision: Decision) -> tuple[Any, ...]:
    return (
        decision.id,
        decision.task_id,
        decision.task_description,
        _json(decision.agents_used),
        decision.result,
        decision.duration_ms,
        decision.tokens_saved,
        decision.timestamp,
        decision.resolved_by,
        _json(decision.skills_used),
        _json(decision.workflows_used),
        decision.model,
        decision.caller,
        _json(decision.unknown),
        decision.project or "",
    )


def _decision(row: Sequence[Any]) -> Decision:
    """What an altered row no longer says is left empty; its digest does not fit then."""
    return Decision(
        id=row[0],
        task_id=str(row[1]),
        task_description=str(row[2]),
        agents_used=read_names(row[3]),
        result=row[4] if row[4] in _RESULTS else "partial",
        duration_ms=_counted(row[5], float),
        tokens_saved=_counted(row[6], int),
        timestamp=str(row[7]),
        resolved_by=str(row[8]),
        skills_used=read_names(row[9]),
        workflows_used=read_names(row[10]),
        model=str(row[11]),
        caller=str(row[12]),
        unknown=read_names(row[13]),
        project=str(row[14]) or UNSET,
    )


def _counted(value: Any, kind: type[T]) -> T | None:
    return value if isinstance(value, kind) and 0 <= value <= MOST_COUNTED else None


def read_names(text: Any) -> tuple[str, ...]:
    """A list of names as it is kept; empty where it is none."""
    try:
        return _LISTS.decode(text)
    except (msgspec.MsgspecError, TypeError):
        return ()


# --- patterns ----------------------------------------------------------------------------------


def write_patterns(connection: sqlite3.Connection, patterns: Sequence[Pattern]) -> None:
    connection.executemany(
        f"INSERT OR REPLACE INTO orchestration_patterns ({_PATTERN}) VALUES ({marks(17)})",
        [_pattern_row(pattern) for pattern in patterns],
    )


def define_pattern(connection: sqlite3.Connection, pattern: Pattern) -> bool:
    """Write what was stored on purpose; the record of one that is there stays as it is.

    Returns whether there are decisions of its sequence: the checkpoint no longer holds then.
    """
    row = _pattern_row(pattern)
    connection.execute(
        f"INSERT INTO orchestration_patterns ({_PATTERN}) VALUES ({marks(17)}) "
        "ON CONFLICT (project, id) DO UPDATE SET dependencies = excluded.dependencies, "
        "parallel_groups = excluded.parallel_groups, stored = 1, updated_at = excluded.updated_at",
        (*row[:5], 0, 0, None, None, *row[9:12], 0.0, 0, 0, 0, pattern.project),
    )
    sql = "SELECT EXISTS (SELECT 1 FROM decision_history WHERE project = ? AND agents_used = ?)"
    of = pattern.project, _json(pattern.agent_sequence)
    if not connection.execute(sql, of).fetchone()[0]:
        return False
    drop_checkpoint(connection, pattern.project)
    return True


def clear_patterns(connection: sqlite3.Connection, project: str = "") -> None:
    connection.execute("DELETE FROM orchestration_patterns WHERE project = ?", (project,))


def delete_patterns(
    connection: sqlite3.Connection, numbers: Sequence[int], project: str = ""
) -> None:
    rows = [(project, number) for number in numbers]
    connection.executemany("DELETE FROM orchestration_patterns WHERE project = ? AND id = ?", rows)


def patterns(
    connection: sqlite3.Connection, project: str | None = None
) -> tuple[list[Pattern], list[str]]:
    """All of a project that can be read, and sentences about rows that say what no pattern can. Of
    one that was
    stored on purpose the goal and the agents are kept where these are whole."""
    found: list[Pattern] = []
    bent: list[str] = []
    where, values = _within(project)
    sql = f"SELECT {_PATTERN} FROM orchestration_patterns WHERE {where}1 ORDER BY id"
    for row in connection.execute(sql, values):
        pattern = _pattern(row)
        if pattern is None:
            bent.append(f"the row of pattern {row[0]} cannot be read")
            pattern = _pattern(
                (*row[:3], "{}", "[]", 0, 0, 0, 0, "", "", row[11], 0.0, 0, 0, 0, row[16])
            )
        if pattern is not None:
            found.append(pattern)
    return found, bent


def _pattern_row(pattern: Pattern) -> tuple[Any, ...]:
    return (
        pattern.id,
        pattern.goal,
        _json(pattern.agent_sequence),
        _json(pattern.dependencies),
        _json(pattern.parallel_groups),
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
    )


def mean(total: float, count: int) -> float | None:
    """The mean, or None of nothing."""
    return total / count if count else None


def _pattern(row: Sequence[Any]) -> Pattern | None:
    """None where a value is not what stands in such a row."""
    named = dict(zip((name.strip() for name in _PATTERN.split(",")), row, strict=True))
    try:
        lists = {name: msgspec.json.decode(named[name]) for name in _OF_LISTS}
        given = {**named, **lists, "stored": (False, True)[named["stored"]]}
        return msgspec.convert(given, Pattern)
    except (msgspec.MsgspecError, TypeError, IndexError, UnicodeError):
        return None


# --- checkpoints -------------------------------------------------------------------------------


def write_checkpoint(
    connection: sqlite3.Connection, name: str, data: bytes, project: str = ""
) -> None:
    drop_checkpoint(connection, project)
    row = (_of_project(name, project), data)
    connection.execute("INSERT INTO checkpoint (name, data) VALUES (?, ?)", row)


def read_checkpoint(connection: sqlite3.Connection, name: str, project: str = "") -> Any:
    """The bytes, whatever else somebody put there, or None."""
    sql = "SELECT data FROM checkpoint WHERE name = ?"
    row = connection.execute(sql, (_of_project(name, project),)).fetchone()
    return row[0] if row else None


def drop_checkpoint(connection: sqlite3.Connection, project: str | None = None) -> None:
    """That of a project, or of all. Of one before there were projects, the name has no colon."""
    if project is None:
        connection.execute("DELETE FROM checkpoint")
    elif project:
        connection.execute("DELETE FROM checkpoint WHERE name LIKE ?", (f"%:{project}",))
    else:
        connection.execute("DELETE FROM checkpoint WHERE name NOT LIKE '%:%'")


def _of_project(name: str, project: str) -> str:
    return f"{name}:{project}" if project else name


# --- projects ----------------------------------------------------------------------------------


def adopt(connection: sqlite3.Connection, project: str) -> None:
    """What was learnt before there were projects belongs to this one from now on."""
    before = "SELECT 1 FROM decision_history WHERE project = ''"
    more = "SELECT 1 FROM orchestration_patterns WHERE project = ''"
    connection.execute(
        f"INSERT INTO adopted (project) SELECT ? WHERE EXISTS ({before} UNION ALL {more}) "
        "AND NOT EXISTS (SELECT 1 FROM adopted)",
        (project,),
    )


def name_of_project(connection: sqlite3.Connection, project: str) -> str:
    """As a project stands in the rows: "" for the one that has what was learnt before; for any
    while no server has said which that is."""
    adopted = connection.execute("SELECT project FROM adopted").fetchone()
    if adopted is None:
        before = "SELECT EXISTS (SELECT 1 FROM decision_history WHERE project = '')"
        return "" if connection.execute(before).fetchone()[0] else project
    return "" if adopted[0] == project else project


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def marks(count: int) -> str:
    """So many places of values in a statement."""
    return ", ".join("?" * count)
