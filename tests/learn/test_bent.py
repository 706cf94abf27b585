"""What if a value that was derived is bent? It is thrown away, and derived again."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from orchestr8_index.learn import counts
from orchestr8_index.learn.outcomes import Outcomes
from orchestr8_index.learn.verify import read_only, verify
from orchestr8_index.store.backup import backup
from orchestr8_index.store.database import NAME, connect
from orchestr8_index.store.store import Store

from .reporting import assert_sound, counted, recounted, send, with_outcomes

GOAL = "store plans of the gateway"
PATTERN = "UPDATE orchestration_patterns SET"
CHECKPOINT = "UPDATE checkpoint SET data ="
BENT = [
    f"{PATTERN} dependencies = '[x'",
    f"{PATTERN} parallel_groups = 5",
    f"{PATTERN} agent_sequence = X'FF' WHERE stored = 0",
    f"{PATTERN} success_count = 'many'",
    f"{PATTERN} failure_count = -1",
    f"{PATTERN} duration_total = 'long'",
    f"{PATTERN} tokens_total = X'00'",
    f"{PATTERN} goal = 7 WHERE stored = 0",
    f"{PATTERN} id = 9223372036854775807 WHERE stored = 0 AND id = 1",
    f"{CHECKPOINT} 'text'",
    f"{CHECKPOINT} 7",
    f"{CHECKPOINT} X'00'",
    f"{CHECKPOINT} substr(data, 1, length(data) - 1) || X'01'",
    "DROP TABLE checkpoint",
    "DROP TABLE orchestration_patterns",
    "DROP INDEX decision_history_agents",
    "UPDATE sqlite_sequence SET seq = 'x'",
    "CREATE TRIGGER t AFTER INSERT ON decision_history BEGIN DELETE FROM decision_history; END",
    "CREATE VIEW v AS SELECT 1",
]

NAMED = [each for each in BENT if not each.startswith(("DROP TABLE", "UPDATE sqlite_sequence"))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight decisions, a stored pattern and a checkpoint."""

    async def fill(outcomes: Outcomes) -> None:
        for number in range(8):
            result = "failure" if number == 3 else "success"
            fields = {"result": result, "duration_ms": 5.0, "tokens_saved": 2}
            await send(outcomes, f"t{number}", f"rotate the certs of{number % 2}", **fields)
        await outcomes.store_pattern(GOAL, ("p:a", "p:b"), {"p:b": ["p:a"]}, [["p:a"], ["p:b"]])
        await outcomes.checkpoint()

    with_outcomes(tmp_path, fill)
    return tmp_path


def bend(folder: Path, statement: str) -> None:
    with contextlib.closing(connect(folder / NAME)) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("statement", BENT)
def test_it_is_derived_again_and_everybody_is_answered(folder: Path, statement: str) -> None:
    """The store did not open, or a report was never answered, and a forget blocked all others."""

    async def look(outcomes: Outcomes) -> object:
        return counted(outcomes)[0]

    async def work(outcomes: Outcomes) -> None:
        assert counted(outcomes)[0] == before
        assert (await send(outcomes, "t9", "rotate the certs of1")).decision.id == 9
        assert await outcomes.forget(lambda decision: decision.task_id in ("t0", "t9")) == 2
        await outcomes.checkpoint()
        assert counted(outcomes) == recounted(outcomes)
        if "stored" not in str(verify(outcomes).differences):  # of a stored plan nothing is derived
            assert_sound(outcomes)

    before = with_outcomes(folder, look)
    bend(folder, statement)
    with_outcomes(folder, work)


@pytest.mark.parametrize("table", ["decision_history", "chain", "sqlite_sequence"])
def test_a_number_without_a_next_one_closes_nothing(folder: Path, table: str) -> None:
    """It was refused for good as too large; what was done to the file is said."""
    column = "seq" if table == "sqlite_sequence" else "id"
    which = f"(SELECT max({column}) FROM {table})"
    bend(folder, f"UPDATE {table} SET {column} = {2**63 - 1} WHERE {column} = {which}")

    async def work(outcomes: Outcomes) -> None:
        assert (await send(outcomes, "t9", "rotate the certs of1")).decision.task_id == "t9"
        await outcomes.store_pattern(GOAL, ("p:a",), {}, [["p:a"]])
        assert verify(outcomes).differences

    with_outcomes(folder, work)


@pytest.mark.parametrize("statement", NAMED)
def test_verify_names_it(folder: Path, statement: str) -> None:
    bend(folder, statement)
    store = Store(folder)
    store.open_to_read()
    with contextlib.closing(store):
        assert verify(read_only(store)).differences


def test_a_checkpoint_of_another_release_is_no_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade `verify` named one until the server had written its own."""
    monkeypatch.setattr(counts, "FORMAT", counts.FORMAT + 1)
    store = Store(folder)
    store.open_to_read()
    with contextlib.closing(store):
        outcomes = read_only(store)
        assert outcomes.counts.last == 8 and verify(outcomes).sound


def test_a_stored_plan_whose_groups_are_bent_keeps_its_goal_and_agents(folder: Path) -> None:
    bend(folder, f"{PATTERN} parallel_groups = '{{' WHERE stored = 1")

    async def look(outcomes: Outcomes) -> list[tuple[str, tuple[str, ...]]]:
        return [(each.goal, each.agent_sequence) for each in outcomes.patterns if each.stored]

    assert with_outcomes(folder, look) == [(GOAL, ("p:a", "p:b"))]


@pytest.mark.parametrize("statement", ["DROP TABLE decision_history", "PRAGMA user_version = 1"])
def test_what_cannot_be_made_again_comes_from_the_backup(folder: Path, statement: str) -> None:
    backup(folder)
    bend(folder, statement)

    async def look(outcomes: Outcomes) -> int:
        assert bool(outcomes.store.repaired) is ("DROP" in statement)
        assert_sound(outcomes)
        return outcomes.memory.wins["agent"]["p:a"]

    assert with_outcomes(folder, look) == 6
