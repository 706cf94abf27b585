"""The SQL that writes decisions and checkpoints, and reads them back."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import UNSET

from ..records import Decision, Result
from ..reports import MOST_COUNTED
from . import chain

_COLUMNS = (
    "id, task_id, task_description, agents_used, result, duration_ms, tokens_saved, timestamp, "
    "resolved_by, skills_used, workflows_used, model, caller, unknown, project, reporter, pattern, "
    "parallel_groups"
)
_LISTS = msgspec.json.Decoder(tuple[str, ...])
_GROUPS = msgspec.json.Decoder(tuple[tuple[str, ...], ...])
_RESULTS = get_args(Result)
T = TypeVar("T", int, float)
N = TypeVar("N")
Where = tuple[str, tuple[Any, ...]]
"""A condition of SQL and its values."""
EVERYWHERE: Where = ("1", ())


def now() -> str:
    """The time in the form of every table: ISO 8601 in UTC with milliseconds."""
    return moment(None)


def moment(seconds: float | None) -> str:
    """`seconds` since 1970 in the form of `now`, a time in the future as now; now for None."""
    at = time.time()
    at = at if seconds is None else min(at, seconds)
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def digest_of(decision: Decision) -> str:
    """A digest over all fields of the decision, its number included.

    Fields that older versions lack are left out when empty, so that older digests stay valid.
    """
    fields = msgspec.to_builtins(decision)
    if not decision.reporter:
        del fields["reporter"]
    if decision.pattern is None:
        del fields["pattern"]
    if not decision.parallel_groups:
        del fields["parallel_groups"]
    return hashlib.sha256(msgspec.msgpack.encode(fields)).hexdigest()[:32]


# --- decisions ---------------------------------------------------------------------------------


def insert_decision(connection: sqlite3.Connection, decision: Decision) -> Decision | None:
    """Returns the decision with its new number; None when its task has one already."""
    numbered = msgspec.structs.replace(decision, id=last_number(connection) + 1)
    digest = digest_of(numbered)
    inserted = connection.execute(
        f"INSERT INTO decision_history ({_COLUMNS}, digest) VALUES ({marks(19)}) "
        "ON CONFLICT (project, task_id) DO NOTHING",
        (*_row(numbered), digest),
    )
    if not inserted.rowcount:
        return None
    chain.append(connection, chain.REPORT, numbered.id, digest)
    return numbered


def last_number(connection: sqlite3.Connection) -> int:
    """The highest number of a decision, forgotten ones included; 0 without any."""
    rows = connection.execute(
        "SELECT seq FROM sqlite_sequence WHERE name = 'decision_history' "
        "UNION ALL SELECT max(id) FROM decision_history WHERE id < 1 << 62"
    )
    return max((row[0] for row in rows if isinstance(row[0], int) and row[0] < 1 << 62), default=0)


def put_back(connection: sqlite3.Connection, decision: Decision) -> None:
    """Insert a decision under its own number; one of the same task is replaced."""
    digest = digest_of(decision)
    connection.execute(
        f"INSERT OR REPLACE INTO decision_history ({_COLUMNS}, digest) VALUES ({marks(19)})",
        (*_row(decision), digest),
    )
    chain.append(connection, chain.REPORT, decision.id, digest)


def replace_decision(connection: sqlite3.Connection, decision: Decision) -> Decision:
    """Amend the row with the decision's number; drops the checkpoint."""
    names = [name.strip() for name in _COLUMNS.split(",")][1:]
    sets = ", ".join(f"{name} = ?" for name in [*names, "digest"])
    digest = digest_of(decision)
    values = (*_row(decision)[1:], digest, decision.id)
    connection.execute(f"UPDATE decision_history SET {sets} WHERE id = ?", values)
    chain.append(connection, chain.AMEND, decision.id, digest)
    drop_checkpoint(connection, decision.project or "")
    return decision


def delete_decisions(
    connection: sqlite3.Connection, numbers: Sequence[int], project: str | None = None
) -> None:
    """Delete decisions by number; drops the checkpoint of their project, or of all for None."""
    for number in numbers:
        sql = "DELETE FROM decision_history WHERE id = ? RETURNING digest"
        for (digest,) in connection.execute(sql, (number,)).fetchall():
            chain.append(connection, chain.FORGET, number, digest)
    drop_checkpoint(connection, project)


def forget(
    connection: sqlite3.Connection,
    chosen: Callable[[Decision], bool],
    among: Where,
    project: str = "",
) -> list[Decision]:
    """Remove a project's chosen decisions, looked for where `among` holds; returns them."""
    gone = list(filter(chosen, decisions(connection, 0, project, among)))
    if gone:
        delete_decisions(connection, [decision.id for decision in gone], project)
    return gone


def among(task_id: str | None, before: str | None, by: str | None) -> Where:
    """The condition, which an index serves, for decisions of a task, before a moment, or by a key
    (only the first one given counts)."""
    if task_id is not None:
        return "task_id = ?", (task_id,)
    if before is not None:
        return "timestamp < ?", (before,)
    if by is not None:
        return "reporter = ? OR (reporter >= ? AND reporter < ?)", (by, f"{by}#", f"{by}$")
    return EVERYWHERE


def find_decision(
    connection: sqlite3.Connection, task_id: str, project: str = ""
) -> Decision | None:
    """The decision of a project's task."""
    sql = f"SELECT {_COLUMNS} FROM decision_history WHERE project = ? AND task_id = ?"
    row = connection.execute(sql, (project, task_id)).fetchone()
    return _decision(row) if row else None


def decisions(
    connection: sqlite3.Connection,
    after: int = 0,
    project: str | None = None,
    among: Where = EVERYWHERE,
) -> Iterator[Decision]:
    """A project's decisions, or all for None, with a number above `after`, by number."""
    where, values = within(project)
    where = f"{where}id > ? AND ({among[0]}) ORDER BY id"
    sql = f"SELECT {_COLUMNS} FROM decision_history WHERE {where}"
    return map(_decision, connection.execute(sql, (*values, after, *among[1])))


def first_of(connection: sqlite3.Connection, pattern: int, project: str) -> Decision | None:
    """The first decision of a pattern."""
    where = "project = ? AND pattern = ? ORDER BY id LIMIT 1"
    sql = f"SELECT {_COLUMNS} FROM decision_history WHERE {where}"
    return next(map(_decision, connection.execute(sql, (project, pattern))), None)


def checked_decisions(
    connection: sqlite3.Connection, after: int = 0, last: int = 2**62, project: str | None = None
) -> Iterator[tuple[Decision, bool]]:
    """(decision, whether its row fits its digest), by number."""
    of, values = within(project)
    where = f"WHERE {of}id > ? AND id <= ? ORDER BY id"
    sql = f"SELECT {_COLUMNS}, digest FROM decision_history {where}"
    for *row, digest in connection.execute(sql, (*values, after, last)):
        decision = _decision(row)
        yield decision, tuple(row) == _row(decision) and digest == digest_of(decision)


def newest_decisions(
    connection: sqlite3.Connection, before: int | None, limit: int, project: str = ""
) -> Iterator[Decision]:
    """A project's decisions with a number below `before`, the newest first."""
    where = "project = ? AND id < ? ORDER BY id DESC LIMIT ?"
    sql = f"SELECT {_COLUMNS} FROM decision_history WHERE {where}"
    return map(_decision, connection.execute(sql, (project, before or 2**62, limit)))


def count_decisions(connection: sqlite3.Connection, project: str | None = None) -> int:
    """How many decisions a project has, or all have for None."""
    where, values = within(project)
    sql = f"SELECT count(*) FROM decision_history WHERE {where}1"
    return int(connection.execute(sql, values).fetchone()[0])


def within(project: str | None) -> tuple[str, tuple[str, ...]]:
    """(prefix of an SQL condition, its values) for the rows of a project, or of all for None."""
    return ("", ()) if project is None else ("project = ? AND ", (project,))


def _row(decision: Decision) -> tuple[Any, ...]:
    return (
        decision.id,
        decision.task_id,
        decision.task_description,
        to_json(decision.agents_used),
        decision.result,
        decision.duration_ms,
        decision.tokens_saved,
        decision.timestamp,
        decision.resolved_by,
        to_json(decision.skills_used),
        to_json(decision.workflows_used),
        decision.model,
        decision.caller,
        to_json(decision.unknown),
        decision.project or "",
        decision.reporter,
        decision.pattern,
        to_json(decision.parallel_groups),
    )


def _decision(row: Sequence[Any]) -> Decision:
    """Invalid values of an altered row are read as empty; its digest does not fit then."""
    return Decision(
        id=row[0],
        task_id=str(row[1]),
        task_description=str(row[2]),
        agents_used=read_names(row[3]),
        result=row[4] if row[4] in _RESULTS else "partial",
        duration_ms=_number(row[5], float),
        tokens_saved=_number(row[6], int),
        timestamp=str(row[7]),
        resolved_by=str(row[8]),
        skills_used=read_names(row[9]),
        workflows_used=read_names(row[10]),
        model=str(row[11]),
        caller=str(row[12]),
        unknown=read_names(row[13]),
        project=str(row[14]) or UNSET,
        reporter=str(row[15]),
        pattern=_number(row[16], int),
        parallel_groups=_read(_GROUPS, row[17]),
    )


def _number(value: Any, kind: type[T]) -> T | None:
    return value if isinstance(value, kind) and 0 <= value <= MOST_COUNTED else None


def read_names(text: Any) -> tuple[str, ...]:
    """A list of names from its JSON; empty if it is none."""
    return _read(_LISTS, text)


def _read(decoder: msgspec.json.Decoder[tuple[N, ...]], text: Any) -> tuple[N, ...]:
    try:
        return decoder.decode(text)
    except (msgspec.MsgspecError, TypeError):
        return ()


# --- checkpoints -------------------------------------------------------------------------------


def write_checkpoint(
    connection: sqlite3.Connection, name: str, data: bytes, project: str = ""
) -> None:
    drop_checkpoint(connection, project)
    row = (_of_project(name, project), data)
    connection.execute("INSERT INTO checkpoint (name, data) VALUES (?, ?)", row)


def read_checkpoint(connection: sqlite3.Connection, name: str, project: str = "") -> Any:
    """The checkpoint's bytes (any type, if the row was altered), or None."""
    sql = "SELECT data FROM checkpoint WHERE name = ?"
    row = connection.execute(sql, (_of_project(name, project),)).fetchone()
    return row[0] if row else None


def drop_checkpoint(connection: sqlite3.Connection, project: str | None = None) -> None:
    """Delete the checkpoint of a project, or all for None. That of project "" has no colon."""
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
    """Let this project have the rows of project "", as older versions wrote them, if none has."""
    before = "SELECT 1 FROM decision_history WHERE project = ''"
    more = "SELECT 1 FROM orchestration_patterns WHERE project = ''"
    connection.execute(
        f"INSERT INTO adopted (project) SELECT ? WHERE EXISTS ({before} UNION ALL {more}) "
        "AND NOT EXISTS (SELECT 1 FROM adopted)",
        (project,),
    )


def name_of_project(connection: sqlite3.Connection, project: str) -> str:
    """A project's name in the rows: "" for the one that adopted the rows of project "", and for
    any project while there are such rows and none has adopted them."""
    adopted = connection.execute("SELECT project FROM adopted").fetchone()
    if adopted is None:
        before = "SELECT EXISTS (SELECT 1 FROM decision_history WHERE project = '')"
        return "" if connection.execute(before).fetchone()[0] else project
    return "" if adopted[0] == project else project


def to_json(value: Any) -> str:
    """The JSON text of a list in a row."""
    return msgspec.json.encode(value).decode()


def marks(count: int) -> str:
    """So many placeholders of an SQL statement, separated by commas."""
    return ", ".join("?" * count)
