"""Is what is learnt true, and what is it?"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from orchestr8_index.errors import InvalidParams
from orchestr8_index.learn.counts import CHECKPOINT
from orchestr8_index.learn.outcomes import Outcomes
from orchestr8_index.learn.verify import (
    VerifyResult,
    chooser,
    in_time_order,
    lessons,
    read_only,
    verify,
)
from orchestr8_index.reports import ForgetQuery
from orchestr8_index.store import ledger, schema
from orchestr8_index.store.database import NAME, connect
from orchestr8_index.store.store import Store
from orchestr8_index.validate import read_params

from .reporting import decision, send, with_outcomes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven decisions and a checkpoint."""

    async def fill(outcomes: Outcomes) -> None:
        for number in range(7):
            result = "success" if number < 2 else "failure"
            await send(outcomes, f"t{number}", result=result)
        await send(outcomes, "t7", "write release notes", agents_used=["b"])
        await outcomes.checkpoint()

    with_outcomes(tmp_path, fill)
    return tmp_path


def verdict_of(folder: Path, *statements: str) -> VerifyResult:
    """What `verify` says after these changes behind the server's back."""
    with contextlib.closing(connect(folder / NAME)) as connection:
        for statement in statements:
            connection.execute(statement)
    store = Store(folder)
    store.open_to_read()
    with contextlib.closing(store):
        return verify(read_only(store))


def test_what_was_not_touched_is_sound(folder: Path) -> None:
    verdict = verdict_of(folder)
    assert (verdict.sound, verdict.decisions, verdict.patterns) == (True, 8, 2)


@pytest.mark.parametrize(
    "change",
    [
        "task_description = 'rotate the TLS cerus'",
        "result = 'failure'",
        "result = 'sucbess'",
        "timestamp = '2027'",
        "agents_used = '[\"q:a\"]'",
        "agents_used = '[\"p:a'",
        "unknown = '[}'",
        "caller = CAST(X'FF' AS TEXT)",
        "duration_ms = 1.0",
        "digest = 'x'",
        "id = 99",
    ],
)
def test_an_altered_row_is_found(folder: Path, change: str) -> None:
    verdict = verdict_of(folder, f"UPDATE decision_history SET {change} WHERE task_id = 't1'")
    assert verdict.altered == [99 if change == "id = 99" else 2]
    assert not verdict.sound


@pytest.mark.parametrize(
    "column",
    ["success_count", "failure_count", "duration_total", "duration_count", "tokens_total"],
)
def test_a_wrong_count_is_found(folder: Path, column: str) -> None:
    verdict = verdict_of(folder, f"UPDATE orchestration_patterns SET {column} = 77 WHERE id = 1")
    said = "the pattern 'rotate the TLS certs' of p:a differs from a recount"
    assert verdict.altered == [] and said in verdict.differences


def test_a_pattern_that_went_missing_is_found(folder: Path) -> None:
    """Only patterns that are there were compared."""
    verdict = verdict_of(folder, "DELETE FROM orchestration_patterns WHERE id = 2")
    said = "the pattern 'write release notes' of p:b differs from a recount"
    assert said in verdict.differences


def test_wrong_experience_is_found(folder: Path) -> None:
    async def falsify(outcomes: Outcomes) -> None:
        outcomes.memory.wins["agent"]["p:a"] = 99
        await outcomes.checkpoint()

    with_outcomes(folder, falsify)
    assert verdict_of(folder).differences == ["the wins differ from a recount"]


def test_a_decision_that_went_missing_is_found(folder: Path) -> None:
    verdict = verdict_of(folder, "DELETE FROM decision_history WHERE task_id = 't1'")
    assert not verdict.sound


def test_without_a_checkpoint_there_is_nothing_to_compare(folder: Path) -> None:
    assert verdict_of(folder, f"DELETE FROM checkpoint WHERE name = '{CHECKPOINT}'").sound


def test_lessons_are_entries_by_wins_and_patterns_by_use(folder: Path) -> None:
    async def read(outcomes: Outcomes) -> None:
        told = lessons(outcomes)
        records = [(each.entry, each.wins, each.failures) for each in told.entries]
        assert (told.decisions, records) == (8, [("p:a", 2, 3), ("p:b", 1, 0)])
        assert told.patterns == []
        assert [pattern.goal for pattern in told.retired] == ["rotate the TLS certs"]

    with_outcomes(folder, read)


def test_in_time_order_is_as_reported(folder: Path) -> None:
    async def read(outcomes: Outcomes) -> list[str]:
        return [each.task_id for each in in_time_order(outcomes)]

    assert with_outcomes(folder, read) == [f"t{number}" for number in range(8)]


def test_who_only_reads_writes_nothing(folder: Path) -> None:
    verdict_of(folder, "DELETE FROM checkpoint")
    with contextlib.closing(connect(folder / NAME, read_only=True)) as connection:
        assert ledger.read_checkpoint(connection, CHECKPOINT) is None


# --- whom to forget ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        (ForgetQuery(task_id="t1"), True),
        (ForgetQuery(task_id="t"), False),
        (ForgetQuery(agent="p:a"), True),
        (ForgetQuery(agent="p:r"), True),
        (ForgetQuery(agent="a"), True),
        (ForgetQuery(agent="q:a"), False),
        (ForgetQuery(by="ci"), True),
        (ForgetQuery(by="ci#12ab34cd"), True),
        (ForgetQuery(by="c"), False),
        (ForgetQuery(by="ci#99999999"), False),
        (ForgetQuery(before="2026-02-01"), True),
        (ForgetQuery(before="2026-01-31"), False),
        (ForgetQuery(before="2026-01-31T12:00:00.001Z"), True),
        (ForgetQuery(before="2026-01-31T13:00:00+01:00"), False),
        (ForgetQuery(before="2026-01-31T13:30:00+01:00"), True),
    ],
)
def test_a_decision_is_chosen(chosen: ForgetQuery, wanted: bool) -> None:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.migrate(connection)
        ledger.insert_decision(connection, decision(resolved_by="p:r", reporter="ci#12ab34cd"))
        assert bool(ledger.forget(connection, *chooser(chosen))) is wanted


@pytest.mark.parametrize("given", [b"{}", b'{"task_id":"t","agent":"a"}'])
def test_exactly_one_choice_is_made(given: bytes) -> None:
    with pytest.raises(InvalidParams, match="exactly one"):
        read_params(ForgetQuery, given)


def test_a_date_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidParams, match="soon is not a date"):
        chooser(ForgetQuery(before="soon"))
