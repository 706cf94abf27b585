"""Does `verify` see what was done to the file, and may one key change what another one said?"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from orchestr8_index.errors import Forbidden
from orchestr8_index.learn.outcomes import Outcomes, Reporter
from orchestr8_index.store import chain, ledger, notes, schema
from orchestr8_index.store.database import NAME, connect, transaction
from orchestr8_index.store.store import LEDGER

from .reporting import MOMENT, assert_sound, decision, known, opened, report_of, with_outcomes
from .test_verify import verdict_of

CI, OTHER, ADMIN = (
    Reporter("ci#11111111", False),
    Reporter("ci#22222222", False),
    Reporter("boss#33333333"),
)
GOAL = "rotate every cert of the gateway"
FORGE = """INSERT INTO decision_history SELECT 99, 'forged', task_description, agents_used, result,
    duration_ms, tokens_saved, timestamp, resolved_by, skills_used, workflows_used, model, caller,
    unknown, digest, project, reporter, pattern, parallel_groups
    FROM decision_history WHERE id = 1"""


async def report(outcomes: Outcomes, task: str, by: Reporter = CI, **given: object) -> object:
    text = str(given.pop("text", GOAL))
    return await outcomes.report(report_of(task, text, **given), known, MOMENT, by)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Reports, an amendment, a forget, a stored plan and an audit."""

    async def fill(outcomes: Outcomes) -> None:
        for number in range(6):
            await report(outcomes, f"t{number}")
        await report(outcomes, "t1", result="failure")
        await outcomes.forget(lambda each: each.task_id == "t2")
        await outcomes.store_pattern(GOAL, ("p:a", "p:b"), {}, [["p:a"], ["p:b"]], CI)
        for event in ("one", "two"):
            row = (MOMENT, "ci", event, "ok", 1)
            await outcomes.store.write(lambda c: notes.write_audit(c, [row]))  # noqa: B023
        await outcomes.checkpoint()
        assert_sound(outcomes)

    with_outcomes(tmp_path, fill)
    return tmp_path


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["DELETE FROM decision_history WHERE id = 6", "DELETE FROM checkpoint"], "decision 6 was"),
        ([FORGE, "DELETE FROM checkpoint"], "decision 99 was never reported"),
        (
            ["UPDATE decision_history SET reporter = 'x', digest = 'x' WHERE id = 4"],
            "decision 4 is",
        ),
        (
            ["UPDATE orchestration_patterns SET agent_sequence = '[\"q:x\"]' WHERE stored"],
            "pattern 2",
        ),
        (["UPDATE orchestration_patterns SET stored_by = '' WHERE stored = 1"], "stored pattern 2"),
        (["UPDATE orchestration_patterns SET stored = 1"], "stored pattern 1 was never"),
        (["DELETE FROM orchestration_patterns WHERE stored = 1"], "stored pattern 2 was removed"),
        (["DELETE FROM chain WHERE id = 3"], "breaks at its link 3"),
        (["DELETE FROM chain WHERE id > 5"], "ends at its link 5"),
        (
            ["UPDATE chain SET subject = 4 WHERE what = 'forget'"],
            "breaks at its link 8 (forget 4)",
        ),
        (["DELETE FROM chain"], "ends at its link 0"),
        (["DROP TABLE chain"], "the table chain is missing"),
        (["DELETE FROM audit"], "the audit ends at its row 0, of 2"),
        (["DELETE FROM audit WHERE id = 1"], "the audit breaks at its row 1"),
        (["UPDATE audit SET who = 'nobody' WHERE id = 2"], "the audit breaks at its row 2"),
        (["DELETE FROM audit", "DELETE FROM seal"], "the audit has lost its seal"),
        (["UPDATE seal SET number = 'x'"], "the audit has lost its seal"),
        (
            ["CREATE TRIGGER t AFTER INSERT ON audit BEGIN DELETE FROM audit; END"],
            "the trigger t is",
        ),
    ],
)
def test_verify_names_what_was_done(folder: Path, statements: list[str], said: str) -> None:
    verdict = verdict_of(folder, *statements)
    assert any(said in each for each in verdict.differences), verdict.differences


def test_what_is_forgotten_leaves_only_its_digest(folder: Path) -> None:
    with contextlib.closing(connect(folder / NAME)) as connection:
        rows = connection.execute("SELECT what, subject FROM chain ORDER BY id").fetchall()
    kinds = ["report"] * 6 + ["amend", "forget", "plan"]
    assert [row[0] for row in rows] == kinds and rows[7] == ("forget", 3)


def test_pruning_the_audit_keeps_the_last_link(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "MOST_AUDIT", 3)
    with contextlib.closing(connect(folder / NAME)) as connection:
        for number in range(6):
            with transaction(connection):
                notes.write_audit(connection, [(MOMENT, "ci", str(number), "ok", 1)])
        assert list(chain.breaks(connection)) == []
        connection.execute("DELETE FROM audit WHERE id = (SELECT min(id) FROM audit)")
        assert list(chain.breaks(connection)) == ["the audit breaks at its row 6"]


def test_a_database_from_before_is_taken_up_whole(tmp_path: Path) -> None:
    """It had no chain, and its decisions no pattern of their own."""
    with contextlib.closing(connect(tmp_path / NAME)) as connection:
        schema.migrate(connection, LEDGER.migrations[:3])
        for number in range(1, 4):
            made = decision(f"t{number}", GOAL, id=number)
            row = (*ledger._row(made)[:14], ledger.digest_of(made))
            connection.execute(f"INSERT INTO decision_history VALUES ({ledger.marks(15)})", row)
        connection.execute("INSERT INTO audit VALUES (7, '2026', 'ci', 'x', 'ok', 1)")
    assert verdict_of(tmp_path).sound  # before a server opens it

    async def look(outcomes: Outcomes) -> list[int]:
        assert_sound(outcomes)
        return [pattern.success_count for pattern in outcomes.patterns]

    assert with_outcomes(tmp_path, look) == with_outcomes(tmp_path, look) == [3]


# --- whose it is -------------------------------------------------------------------------------


def test_a_decision_is_amended_by_its_reporter_or_an_admin_alone(tmp_path: Path) -> None:
    async def work(outcomes: Outcomes) -> None:
        await report(outcomes, "t1")
        for other in (OTHER, Reporter("", False)):
            with pytest.raises(Forbidden, match="Another key"):
                await report(outcomes, "t1", other, result="failure")
            assert await report(outcomes, "t1", other)  # the same words change nothing
        await report(outcomes, "t1", CI, result="failure")
        await report(outcomes, "t1", ADMIN, result="partial")
        found = ledger.find_decision(outcomes.store.reader, "t1")
        assert found and (found.result, found.reporter) == ("partial", ADMIN.ident)

    with_outcomes(tmp_path, work)


def test_a_stored_plan_is_changed_by_who_stored_it_or_an_admin_alone(folder: Path) -> None:
    async def work(outcomes: Outcomes) -> None:
        plan = (GOAL, ("p:a", "p:b"), {"p:b": ["p:a"]}, [["p:a"], ["p:b"]])
        with pytest.raises(Forbidden, match="Another key"):
            await outcomes.store_pattern(*plan, OTHER)
        assert (await outcomes.store_pattern(*plan, ADMIN))[1] is False

    with_outcomes(folder, work)


def test_a_pattern_that_grew_is_no_other_keys_to_store(tmp_path: Path) -> None:
    """Another key gave it other groups, and it was offered at once for the tasks that had worked
    without them; who had reported those could not take that back."""

    async def work(outcomes: Outcomes) -> None:
        for number in range(2):
            await report(outcomes, f"t{number}", CI)
        (grown,) = outcomes.patterns
        groups = [*grown.parallel_groups]

        async def store(by: Reporter, groups: list[list[str]]) -> None:
            await outcomes.store_pattern(grown.goal, grown.agent_sequence, {}, groups, by)

        with pytest.raises(Forbidden, match="Another key"):
            await store(OTHER, [["p:evil"]])
        assert grown.parallel_groups == groups and not grown.stored
        await store(CI, groups)
        with pytest.raises(Forbidden, match="Another key"):
            await store(OTHER, [["p:evil"]])
        await store(ADMIN, groups)

    with_outcomes(tmp_path, work)


def test_the_cap_counts_a_key_whatever_it_calls_itself(tmp_path: Path) -> None:
    async def work(outcomes: Outcomes) -> None:
        for number in range(6):
            await report(outcomes, f"t{number}", caller=f"agent{number}")
        assert outcomes.memory.wins["agent"] == {"p:a": 3}
        await report(outcomes, "t9", OTHER)
        assert outcomes.memory.wins["agent"] == {"p:a": 4}

    with_outcomes(tmp_path, work)


def test_the_reports_of_a_revoked_key_are_found_and_forgotten(tmp_path: Path) -> None:
    async def work(outcomes: Outcomes) -> None:
        for number in range(4):
            await report(outcomes, f"t{number}", CI if number % 2 else ADMIN)
        assert await outcomes.forget(lambda _: True, ledger.among(None, None, "ci")) == 2
        assert {each.reporter for each in ledger.decisions(outcomes.store.reader)} == {ADMIN.ident}
        assert_sound(outcomes)

    with_outcomes(tmp_path, work)


# --- what a change costs -----------------------------------------------------------------------


def test_an_amendment_costs_what_it_changes_and_not_the_history(tmp_path: Path) -> None:
    """Each counted every decision of its agents again: a hundred stopped the server for 23 s."""
    read: list[int] = []

    async def cost(outcomes: Outcomes, task: str) -> int:
        def progress() -> int:
            read.append(1)
            return 0

        outcomes.store.reader.set_progress_handler(progress, 20)
        read.clear()
        await report(outcomes, task, text="write the release notes", result="success")
        await outcomes.forget(lambda _: True, ledger.among("t1", None, None))
        outcomes.store.reader.set_progress_handler(None, 0)
        return len(read)

    async def at(many: int) -> int:
        async with opened(tmp_path / str(many)) as outcomes:
            await asyncio.gather(*(report(outcomes, f"t{number}") for number in range(many)))
            found = await cost(outcomes, "t3")
            assert_sound(outcomes)
            return found

    assert asyncio.run(at(400)) <= asyncio.run(at(20)) + 5
