"""The tables, and the numbered steps that make them, each in one transaction.

Lists are JSON text. Times are ISO 8601 in UTC with milliseconds, which sort as text.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable

from ..errors import StoreTooNew
from . import chain
from .database import transaction
from .lease import TABLE as LEASE

Step = str | Callable[[sqlite3.Connection], None]
Steps = tuple[tuple[Step, ...], ...]


def _added(table: str, column: str, kind: str) -> Step:
    def add(connection: sqlite3.Connection) -> None:
        if column not in columns_of(connection, table):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")

    return add


def columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    """The names of a table's columns; empty if there is no such table."""
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


_OF_PROJECTS = (  # makes tasks and patterns unique within a project
    """CREATE TABLE decisions_of_projects (
        id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL,
        task_description TEXT NOT NULL, agents_used TEXT NOT NULL, result TEXT NOT NULL,
        duration_ms REAL, tokens_saved INTEGER, timestamp TEXT NOT NULL,
        resolved_by TEXT NOT NULL, skills_used TEXT NOT NULL, workflows_used TEXT NOT NULL,
        model TEXT NOT NULL, caller TEXT NOT NULL, unknown TEXT NOT NULL,
        digest TEXT NOT NULL, project TEXT NOT NULL DEFAULT '', UNIQUE (project, task_id))""",
    """INSERT INTO sqlite_sequence (name, seq)
        SELECT 'decisions_of_projects', max(seq) FROM sqlite_sequence
        WHERE name = 'decision_history' HAVING count(*)""",
    """INSERT INTO decisions_of_projects SELECT id, task_id, task_description, agents_used,
        result, duration_ms, tokens_saved, timestamp, resolved_by, skills_used, workflows_used,
        model, caller, unknown, digest, '' FROM decision_history""",
    "DROP TABLE decision_history",
    "ALTER TABLE decisions_of_projects RENAME TO decision_history",
    "CREATE INDEX decision_history_timestamp ON decision_history (timestamp)",
    "CREATE INDEX decision_history_result ON decision_history (result)",
    "CREATE INDEX decision_history_agents ON decision_history (project, agents_used)",
    "CREATE INDEX decision_history_project ON decision_history (project)",
    """CREATE TABLE patterns_of_projects (
        id INTEGER NOT NULL, goal TEXT NOT NULL, agent_sequence TEXT NOT NULL,
        dependencies TEXT NOT NULL, parallel_groups TEXT NOT NULL,
        success_count INTEGER NOT NULL, failure_count INTEGER NOT NULL,
        avg_duration_ms REAL, avg_tokens_saved REAL,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, stored INTEGER NOT NULL,
        duration_total REAL NOT NULL, duration_count INTEGER NOT NULL,
        tokens_total INTEGER NOT NULL, tokens_count INTEGER NOT NULL,
        project TEXT NOT NULL DEFAULT '', PRIMARY KEY (project, id))""",
    """INSERT INTO patterns_of_projects SELECT id, goal, agent_sequence, dependencies,
        parallel_groups, success_count, failure_count, avg_duration_ms, avg_tokens_saved,
        created_at, updated_at, stored, duration_total, duration_count, tokens_total,
        tokens_count, '' FROM orchestration_patterns""",
    "DROP TABLE orchestration_patterns",
    "ALTER TABLE patterns_of_projects RENAME TO orchestration_patterns",
    "CREATE INDEX orchestration_patterns_goal ON orchestration_patterns (goal)",
)


def _divide(connection: sqlite3.Connection) -> None:
    if "project" not in columns_of(connection, "decision_history"):
        for statement in _OF_PROJECTS:
            connection.execute(statement)


MIGRATIONS: Steps = (
    (
        """CREATE TABLE IF NOT EXISTS agent_queries (
            id INTEGER PRIMARY KEY, timestamp TEXT NOT NULL, capability TEXT, role TEXT,
            context TEXT, agents_returned TEXT NOT NULL, cache_hit INTEGER NOT NULL,
            duration_ms REAL NOT NULL, method TEXT NOT NULL)""",
        "CREATE INDEX IF NOT EXISTS agent_queries_timestamp ON agent_queries (timestamp)",
        "CREATE INDEX IF NOT EXISTS agent_queries_capability ON agent_queries (capability)",
        """CREATE TABLE IF NOT EXISTS orchestration_patterns (
            id INTEGER PRIMARY KEY, goal TEXT NOT NULL, agent_sequence TEXT NOT NULL,
            dependencies TEXT NOT NULL, parallel_groups TEXT NOT NULL,
            success_count INTEGER NOT NULL, failure_count INTEGER NOT NULL,
            avg_duration_ms REAL, avg_tokens_saved REAL,
            created_at TEXT NOT NULL, updated_at TEXT NOT NULL, stored INTEGER NOT NULL,
            duration_total REAL NOT NULL, duration_count INTEGER NOT NULL,
            tokens_total INTEGER NOT NULL, tokens_count INTEGER NOT NULL)""",
        "CREATE INDEX IF NOT EXISTS orchestration_patterns_goal ON orchestration_patterns (goal)",
        """CREATE TABLE IF NOT EXISTS decision_history (
            id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL UNIQUE,
            task_description TEXT NOT NULL, agents_used TEXT NOT NULL, result TEXT NOT NULL,
            duration_ms REAL, tokens_saved INTEGER, timestamp TEXT NOT NULL,
            resolved_by TEXT NOT NULL, skills_used TEXT NOT NULL, workflows_used TEXT NOT NULL,
            model TEXT NOT NULL, caller TEXT NOT NULL, unknown TEXT NOT NULL,
            digest TEXT NOT NULL)""",
        "CREATE INDEX IF NOT EXISTS decision_history_timestamp ON decision_history (timestamp)",
        "CREATE INDEX IF NOT EXISTS decision_history_result ON decision_history (result)",
        "CREATE INDEX IF NOT EXISTS decision_history_agents ON decision_history (agents_used)",
        """CREATE TABLE IF NOT EXISTS checkpoint (
            name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE IF NOT EXISTS audit (
            id INTEGER PRIMARY KEY, timestamp TEXT NOT NULL, who TEXT NOT NULL,
            what TEXT NOT NULL, outcome TEXT NOT NULL, times INTEGER NOT NULL)""",
    ),
    LEASE,
    (_divide, "CREATE TABLE IF NOT EXISTS adopted (project TEXT NOT NULL)"),
    (
        _added("decision_history", "reporter", "TEXT NOT NULL DEFAULT ''"),
        _added("decision_history", "pattern", "INTEGER"),
        _added("orchestration_patterns", "stored_by", "TEXT NOT NULL DEFAULT ''"),
        _added("audit", "link", "TEXT NOT NULL DEFAULT ''"),
        "CREATE INDEX IF NOT EXISTS decision_history_reporter ON decision_history (reporter)",
        "CREATE INDEX IF NOT EXISTS decision_history_pattern ON decision_history "
        "(project, pattern)",
        """CREATE TABLE IF NOT EXISTS chain (
            id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL, subject NOT NULL,
            digest TEXT NOT NULL, link TEXT NOT NULL)""",
        """CREATE TABLE IF NOT EXISTS seal (
            name TEXT PRIMARY KEY, number INTEGER NOT NULL, link TEXT NOT NULL) WITHOUT ROWID""",
        chain.begin,
    ),
    (_added("agent_queries", "times", "INTEGER NOT NULL DEFAULT 1"),),
    (_added("decision_history", "parallel_groups", "TEXT NOT NULL DEFAULT '[]'"),),
    (
        """CREATE TABLE IF NOT EXISTS usage (
            day TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, outcome TEXT NOT NULL,
            times INTEGER NOT NULL, PRIMARY KEY (day, who, what, outcome)) WITHOUT ROWID""",
    ),
)

_NOTED = ("agent_queries", "audit", "chain", "lease", "seal", "usage")
REPLACEABLE = frozenset((*_NOTED, "adopted", "checkpoint", "orchestration_patterns"))
"""Tables that are created empty where they are missing: the decisions hold what was learnt."""


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_version(connection: sqlite3.Connection, steps: Steps = MIGRATIONS) -> None:
    """Raises StoreTooNew for a newer schema, whose rows may mean something else."""
    found = version(connection)
    if found > len(steps):
        sentence = f"The database is of a newer version: its schema is {found}, and this program "
        raise StoreTooNew(f"{sentence}knows {len(steps)}.")


def migrate(connection: sqlite3.Connection, steps: Steps = MIGRATIONS) -> int:
    """Run the missing steps; returns the version reached. A step that fails is rolled back."""
    for number in range(version(connection), len(steps)):
        with transaction(connection):
            for statement in steps[number]:
                if callable(statement):
                    statement(connection)
                else:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
    return version(connection)


_LATER = {
    "agent_queries": {"times": "1"},
    "decision_history": {
        "project": "''",
        "reporter": "''",
        "pattern": "NULL",
        "parallel_groups": "'[]'",
    },
    "orchestration_patterns": {"project": "''", "stored_by": "''"},
}


def read_as_now(connection: sqlite3.Connection) -> None:
    """Add temporary views through which an older file has the columns of the newest version."""
    for table, later in _LATER.items():
        present = columns_of(connection, table)
        missing = [f"{value} AS {name}" for name, value in later.items() if name not in present]
        if present and missing:
            select = f"SELECT *, {', '.join(missing)} FROM main.{table}"
            connection.execute(f"CREATE TEMP VIEW {table} AS {select}")
    if not columns_of(connection, "adopted"):
        connection.execute("CREATE TEMP TABLE adopted (project TEXT NOT NULL)")


def mend(connection: sqlite3.Connection, steps: Steps = MIGRATIONS) -> None:
    """Drop triggers and views, as the schema has none, and create missing indexes and REPLACEABLE
    tables. Raises sqlite3.DatabaseError where another table is missing."""
    objects = _objects(connection)
    with transaction(connection):
        for name, (kind, _) in objects.items():
            if kind in ("trigger", "view"):
                connection.execute(f"DROP {kind} {_quoted(name)}")
        for name, (kind, sql) in _made_by(steps).items():
            if name in objects:
                continue
            if kind == "table" and name not in REPLACEABLE:
                raise sqlite3.DatabaseError(f"the table {name} is missing")
            connection.execute(sql)


def is_ours(connection: sqlite3.Connection, steps: Steps = MIGRATIONS) -> bool:
    """Whether the tables that are not REPLACEABLE are those of the file's schema version."""
    objects, found = _objects(connection), version(connection)
    made = _made_by(steps[:found]) if 0 < found <= len(steps) else {}
    kept = {name for name, (kind, _) in made.items() if kind == "table"} - REPLACEABLE
    return bool(kept) and all(objects.get(name) == made[name] for name in kept)


def strangers(connection: sqlite3.Connection, steps: Steps = MIGRATIONS) -> list[str]:
    """Sentences on objects that are missing, altered or foreign, compared with the migrations."""
    objects, ours = _objects(connection), _made_by(steps[: version(connection)])
    missing = [f"the {ours[name][0]} {name} is missing" for name in ours.keys() - objects.keys()]
    found = [
        f"the {kind} {name} is {'altered' if name in ours else 'none of ours'}"
        for name, (kind, sql) in objects.items()
        if ours.get(name) != (kind, sql)
    ]
    return sorted(missing + found)


def _made_by(steps: Steps) -> dict[str, tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        migrate(model, steps)
        return _objects(model)


def _objects(connection: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    """name → (kind, SQL with single spaces), without objects that SQLite makes by itself"""
    sql = "SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
    rows = [row for row in connection.execute(sql) if not row[0].startswith("sqlite_")]
    return {name: (kind, " ".join(text.split())) for name, kind, text in rows}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
