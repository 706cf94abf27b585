"""The SQL that writes decisions, patterns and queries, and reads them back."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec

from ..records import Decision, Pattern, Result

COLUMNS = (
    "id, task_id, task_description, agents_used, result, duration_ms, tokens_saved, timestamp, "
    "resolved_by, skills_used, workflows_used, model, caller, unknown"
)
_PATTERN = (
    "id, goal, agent_sequence, dependencies, parallel_groups, success_count, failure_count, "
    "avg_duration_ms, avg_tokens_saved, created_at, updated_at, stored, "
    "duration_total, duration_count, tokens_total, tokens_count"
)
_LISTS = msgspec.json.Decoder(tuple[str, ...])
_RESULTS = get_args(Result)


QueryNote = tuple[str, str | None, str | None, str | None, str, int, float, str]
"""(timestamp, capability, role, context, agents returned as JSON, cache hit, ms, method)."""


def now() -> str:
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
    cursor = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'decision_history'")
    last = cursor.fetchone()
    numbered = msgspec.structs.replace(decision, id=(last[0] if last else 0) + 1)
    inserted = connection.execute(
        f"INSERT INTO decision_history ({COLUMNS}, digest) VALUES ({_marks(15)}) "
        "ON CONFLICT (task_id) DO NOTHING",
        (*_row(numbered), digest_of(numbered)),
    )
    return numbered if inserted.rowcount else None


def put_back(connection: sqlite3.Connection, decision: Decision) -> None:
    """A decision under the number that it has; one of the same task makes way."""
    connection.execute(
        f"INSERT OR REPLACE INTO decision_history ({COLUMNS}, digest) VALUES ({_marks(15)})",
        (*_row(decision), digest_of(decision)),
    )


def replace_decision(connection: sqlite3.Connection, decision: Decision) -> Decision:
    """Amend the row with the decision's number; the checkpoint no longer holds."""
    names = [name.strip() for name in COLUMNS.split(",")][1:]
    sets = ", ".join(f"{name} = ?" for name in [*names, "digest"])
    values = (*_row(decision)[1:], digest_of(decision), decision.id)
    connection.execute(f"UPDATE decision_history SET {sets} WHERE id = ?", values)
    drop_checkpoint(connection)
    return decision


def delete_decisions(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    rows = [(number,) for number in numbers]
    connection.executemany("DELETE FROM decision_history WHERE id = ?", rows)
    drop_checkpoint(connection)


def find_decision(connection: sqlite3.Connection, task_id: str) -> Decision | None:
    sql = f"SELECT {COLUMNS} FROM decision_history WHERE task_id = ?"
    row = connection.execute(sql, (task_id,)).fetchone()
    return read_decision(row) if row else None


def decisions(connection: sqlite3.Connection, after: int = 0) -> Iterator[Decision]:
    """All decisions with a number above `after`, in the order in which they were made."""
    sql = f"SELECT {COLUMNS} FROM decision_history WHERE id > ? ORDER BY id"
    return map(read_decision, connection.execute(sql, (after,)))


def decisions_of(
    connection: sqlite3.Connection, sequence: tuple[str, ...], last: int
) -> Iterator[Decision]:
    """The decisions of one sequence of agents with a number up to `last`, in order."""
    sql = f"SELECT {COLUMNS} FROM decision_history WHERE agents_used = ? AND id <= ? ORDER BY id"
    return map(read_decision, connection.execute(sql, (_json(sequence), last)))


def checked_decisions(
    connection: sqlite3.Connection, after: int = 0, last: int = 2**62
) -> Iterator[tuple[Decision, bool]]:
    """(decision, whether its row is as it was written), in the order of their numbers."""
    where = "WHERE id > ? AND id <= ? ORDER BY id"
    sql = f"SELECT {COLUMNS}, digest FROM decision_history {where}"
    for *row, digest in connection.execute(sql, (after, last)):
        decision = read_decision(row)
        yield decision, tuple(row) == _row(decision) and digest == digest_of(decision)


def count_decisions(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM decision_history").fetchone()[0])


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
    )


def read_decision(row: Sequence[Any]) -> Decision:
    """What an altered row no longer says is left empty; its digest does not fit then."""
    return Decision(
        id=row[0],
        task_id=str(row[1]),
        task_description=str(row[2]),
        agents_used=_names(row[3]),
        result=row[4] if row[4] in _RESULTS else "partial",
        duration_ms=row[5] if isinstance(row[5], float) else None,
        tokens_saved=row[6] if isinstance(row[6], int) else None,
        timestamp=str(row[7]),
        resolved_by=str(row[8]),
        skills_used=_names(row[9]),
        workflows_used=_names(row[10]),
        model=str(row[11]),
        caller=str(row[12]),
        unknown=_names(row[13]),
    )


def _names(text: Any) -> tuple[str, ...]:
    try:
        return _LISTS.decode(text)
    except (msgspec.MsgspecError, TypeError):
        return ()


# --- patterns ----------------------------------------------------------------------------------


def write_patterns(connection: sqlite3.Connection, patterns: Sequence[Pattern]) -> None:
    connection.executemany(
        f"INSERT OR REPLACE INTO orchestration_patterns ({_PATTERN}) VALUES ({_marks(16)})",
        [_pattern_row(pattern) for pattern in patterns],
    )


def define_pattern(connection: sqlite3.Connection, pattern: Pattern) -> bool:
    """Write what was stored on purpose; the record of one that is there stays as it is.

    Returns whether there are decisions of its sequence: the checkpoint no longer holds then.
    """
    row = _pattern_row(pattern)
    connection.execute(
        f"INSERT INTO orchestration_patterns ({_PATTERN}) VALUES ({_marks(16)}) "
        "ON CONFLICT (id) DO UPDATE SET dependencies = excluded.dependencies, "
        "parallel_groups = excluded.parallel_groups, stored = 1, updated_at = excluded.updated_at",
        (*row[:5], 0, 0, None, None, *row[9:12], 0.0, 0, 0, 0),
    )
    sql = "SELECT EXISTS (SELECT 1 FROM decision_history WHERE agents_used = ?)"
    if not connection.execute(sql, (_json(pattern.agent_sequence),)).fetchone()[0]:
        return False
    drop_checkpoint(connection)
    return True


def clear_patterns(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM orchestration_patterns")


def delete_patterns(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    rows = [(number,) for number in numbers]
    connection.executemany("DELETE FROM orchestration_patterns WHERE id = ?", rows)


def patterns(connection: sqlite3.Connection) -> Iterator[Pattern]:
    sql = f"SELECT {_PATTERN} FROM orchestration_patterns ORDER BY id"
    return map(_pattern, connection.execute(sql))


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
    )


def mean(total: float, count: int) -> float | None:
    return total / count if count else None


def _pattern(row: Sequence[Any]) -> Pattern:
    return Pattern(
        id=row[0],
        goal=row[1],
        agent_sequence=_LISTS.decode(row[2]),
        dependencies=msgspec.json.decode(row[3], type=dict[str, list[str]]),
        parallel_groups=msgspec.json.decode(row[4], type=list[list[str]]),
        success_count=row[5],
        failure_count=row[6],
        created_at=row[9],
        updated_at=row[10],
        stored=bool(row[11]),
        duration_total=row[12],
        duration_count=row[13],
        tokens_total=row[14],
        tokens_count=row[15],
    )


# --- the query log and checkpoints -------------------------------------------------------------


def write_queries(connection: sqlite3.Connection, rows: Sequence[QueryNote]) -> None:
    connection.executemany(
        "INSERT INTO agent_queries (timestamp, capability, role, context, agents_returned, "
        f"cache_hit, duration_ms, method) VALUES ({_marks(8)})",
        rows,
    )


def query_note(method: str, params: Any, answer: bytes, hit: bool, spent: float) -> QueryNote:
    """A row of the query log from a query method's params and its encoded answer."""
    said = _ANSWER.decode(answer)
    rows = (*said.agents, *said.skills, *said.workflows)
    return (
        now(),
        getattr(params, "capability", None),
        getattr(params, "role", None),
        next((text for name in _TEXTS if (text := getattr(params, name, None))), None),
        _json([f"{row.plugin}:{row.name}" for row in rows]),
        int(hit),
        round(spent, 3),
        method,
    )


_TEXTS = ("context", "goal", "task")
PRUNED_AT_ONCE = 1_000  # rows: some 10 ms, for which an outcome may wait
MOST_AUDIT = 50_000  # rows; the oldest go
AuditRow = tuple[str, str, str, str, int]
"""(timestamp, who, what, outcome, how often)."""


def write_audit(connection: sqlite3.Connection, rows: Sequence[AuditRow]) -> None:
    connection.executemany(
        f"INSERT INTO audit (timestamp, who, what, outcome, times) VALUES ({_marks(5)})", rows
    )
    connection.execute(
        "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?", (MOST_AUDIT,)
    )


def read_audit(connection: sqlite3.Connection, most: int) -> list[AuditRow]:
    """The newest rows, oldest first."""
    sql = "SELECT timestamp, who, what, outcome, times FROM audit ORDER BY id DESC LIMIT ?"
    return connection.execute(sql, (most,)).fetchall()[::-1]


class _Named(msgspec.Struct):
    name: str
    plugin: str


class _Answer(msgspec.Struct):
    agents: list[_Named] = []
    skills: list[_Named] = []
    workflows: list[_Named] = []


_ANSWER = msgspec.json.Decoder(_Answer)


def prune_queries(connection: sqlite3.Connection, most: int = PRUNED_AT_ONCE) -> int:
    """Remove the oldest of the query log, `most` rows; returns how many it were.

    What they took is given back to the disk, some more pages each time than they can have had.
    """
    cursor = connection.execute(
        "DELETE FROM agent_queries WHERE id IN (SELECT id FROM agent_queries ORDER BY id LIMIT ?)",
        (most,),
    )
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    for _ in range(min(free, most)):  # the module lets it take one page at a time
        connection.execute("PRAGMA incremental_vacuum")
    return cursor.rowcount


def write_checkpoint(connection: sqlite3.Connection, name: str, data: bytes) -> None:
    sql = "INSERT OR REPLACE INTO checkpoint (name, data) VALUES (?, ?)"
    connection.execute(sql, (name, data))


def read_checkpoint(connection: sqlite3.Connection, name: str) -> bytes | None:
    row = connection.execute("SELECT data FROM checkpoint WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def drop_checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM checkpoint")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _marks(count: int) -> str:
    return ", ".join("?" * count)
