"""Which tables are there, and how did they come to be?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestr8_index.store import ledger, plans, schema
from orchestr8_index.store.database import connect
from orchestr8_index.store.store import LEDGER, Store

ORIGINAL = {
    "agent_queries": "id timestamp capability role context agents_returned cache_hit duration_ms",
    "orchestration_patterns": "id goal agent_sequence dependencies parallel_groups success_count "
    "failure_count avg_duration_ms avg_tokens_saved created_at updated_at",
    "decision_history": "id task_id task_description agents_used result duration_ms tokens_saved "
    "timestamp digest",
}


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = connect(tmp_path / "mcp.db")
    yield made
    made.close()


def tables(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}


@pytest.mark.parametrize("table", ORIGINAL)
def test_the_original_tables_and_columns_are_there(
    connection: sqlite3.Connection, table: str
) -> None:
    schema.migrate(connection)
    columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    assert set(ORIGINAL[table].split()) <= columns


@pytest.mark.parametrize(
    "index",
    [
        "agent_queries_timestamp",
        "agent_queries_capability",
        "orchestration_patterns_goal",
        "decision_history_timestamp",
        "decision_history_result",
    ],
)
def test_the_contracts_indexes_are_there(connection: sqlite3.Connection, index: str) -> None:
    schema.migrate(connection)
    assert index in tables(connection)


def test_migrating_again_changes_nothing(connection: sqlite3.Connection) -> None:
    reached = schema.migrate(connection)
    assert (schema.migrate(connection), schema.version(connection)) == (reached, reached)


GOOD = ("CREATE TABLE more (n INTEGER)",)
BAD = ("CREATE TABLE half (n INTEGER)", "CREATE TABLE half (n INTEGER)")


def test_a_failing_step_leaves_the_one_before(
    connection: sqlite3.Connection,
) -> None:
    first = len(schema.MIGRATIONS)
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(connection, (*schema.MIGRATIONS, GOOD, BAD))
    assert schema.version(connection) == first + 1
    assert "more" in tables(connection) and "half" not in tables(connection)


def test_a_step_that_failed_runs_when_it_is_mended(
    connection: sqlite3.Connection,
) -> None:
    before = schema.MIGRATIONS
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(connection, (*before, BAD))
    assert schema.migrate(connection, (*before, GOOD)) == len(before) + 1


def test_a_backup_is_made_before_a_migration(tmp_path: Path) -> None:
    def open_once(*more: tuple[str, ...]) -> int:
        steps = (*schema.MIGRATIONS, *more)
        store = Store(tmp_path, layout=replace(LEDGER, migrations=steps))
        store.open()
        store.close()
        return len(list((tmp_path / "backups").glob("mcp-*.db")))

    assert open_once() == 0
    assert open_once(GOOD) == 1
    assert open_once(GOOD) == 1


def test_what_was_learnt_before_there_were_projects_is_kept_as_it_was(tmp_path: Path) -> None:
    """With its numbers, even that of the last one, which was forgotten."""
    connection = connect(tmp_path / "old.db")
    schema.migrate(connection, schema.MIGRATIONS[:3])
    columns = "task_description, agents_used, result, timestamp, resolved_by, skills_used"
    columns += ", workflows_used, model, caller, unknown, digest"
    row = ("text", "[]", "success", "2026", "", "[]", "[]", "", "", "[]", "d")
    for task in ("a", "b"):
        sql = f"INSERT INTO decision_history (task_id, {columns}) VALUES ({ledger.marks(12)})"
        connection.execute(sql, (task, *row))
    connection.execute("DELETE FROM decision_history WHERE task_id = 'b'")
    schema.migrate(connection)
    assert [each.task_id for each in ledger.decisions(connection)] == ["a"]
    assert ledger.last_number(connection) == 2
    ledger.adopt(connection, "k")
    ledger.adopt(connection, "another")
    assert [ledger.name_of_project(connection, key) for key in ("k", "another")] == ["", "another"]


def test_a_file_from_before_reads_as_one_of_now(tmp_path: Path) -> None:
    connection = connect(tmp_path / "old.db")
    schema.migrate(connection, schema.MIGRATIONS[:3])
    schema.read_as_now(connection)
    assert ledger.count_decisions(connection, "k") == 0 and plans.patterns(connection, "k") == (
        [],
        [],
    )
