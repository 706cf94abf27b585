"""The tables, and the numbered steps that make them, each in one transaction.

Lists are JSON text. Times are ISO 8601 in UTC with milliseconds, which sort as text.
"""

from __future__ import annotations

import sqlite3

from ..errors import StoreTooNew
from .database import transaction

Steps = tuple[tuple[str, ...], ...]
MIGRATIONS: Steps = (
    (
        """CREATE TABLE agent_queries (
            id INTEGER PRIMARY KEY, timestamp TEXT NOT NULL, capability TEXT, role TEXT,
            context TEXT, agents_returned TEXT NOT NULL, cache_hit INTEGER NOT NULL,
            duration_ms REAL NOT NULL, method TEXT NOT NULL)""",
        "CREATE INDEX agent_queries_timestamp ON agent_queries (timestamp)",
        "CREATE INDEX agent_queries_capability ON agent_queries (capability)",
        """CREATE TABLE orchestration_patterns (
            id INTEGER PRIMARY KEY, goal TEXT NOT NULL, agent_sequence TEXT NOT NULL,
            dependencies TEXT NOT NULL, parallel_groups TEXT NOT NULL,
            success_count INTEGER NOT NULL, failure_count INTEGER NOT NULL,
            avg_duration_ms REAL, avg_tokens_saved REAL,
            created_at TEXT NOT NULL, updated_at TEXT NOT NULL, stored INTEGER NOT NULL,
            duration_total REAL NOT NULL, duration_count INTEGER NOT NULL,
            tokens_total INTEGER NOT NULL, tokens_count INTEGER NOT NULL)""",
        "CREATE INDEX orchestration_patterns_goal ON orchestration_patterns (goal)",
        """CREATE TABLE decision_history (
            id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL UNIQUE,
            task_description TEXT NOT NULL, agents_used TEXT NOT NULL, result TEXT NOT NULL,
            duration_ms REAL, tokens_saved INTEGER, timestamp TEXT NOT NULL,
            resolved_by TEXT NOT NULL, skills_used TEXT NOT NULL, workflows_used TEXT NOT NULL,
            model TEXT NOT NULL, caller TEXT NOT NULL, unknown TEXT NOT NULL,
            digest TEXT NOT NULL)""",
        "CREATE INDEX decision_history_timestamp ON decision_history (timestamp)",
        "CREATE INDEX decision_history_result ON decision_history (result)",
        "CREATE INDEX decision_history_agents ON decision_history (agents_used)",
        """CREATE TABLE checkpoint (
            name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE audit (
            id INTEGER PRIMARY KEY, timestamp TEXT NOT NULL, who TEXT NOT NULL,
            what TEXT NOT NULL, outcome TEXT NOT NULL, times INTEGER NOT NULL)""",
    ),
)


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_known(connection: sqlite3.Connection, steps: Steps = MIGRATIONS) -> None:
    """Raises StoreTooNew: what a newer version wrote may mean something else than it seems."""
    found = version(connection)
    if found > len(steps):
        sentence = f"The database is of a newer version: its schema is {found}, and this program "
        raise StoreTooNew(f"{sentence}knows {len(steps)}.")


def migrate(connection: sqlite3.Connection, steps: Steps = MIGRATIONS) -> int:
    """Run what is missing; returns the version reached. A step that fails leaves the one before."""
    for number in range(version(connection), len(steps)):
        with transaction(connection):
            for statement in steps[number]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
    return version(connection)
