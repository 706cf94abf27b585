"""From a report to a receipt, and from the disk to the same state again."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.errors import StoreUnavailable
from orchestr8_index.learn import outcomes as learning
from orchestr8_index.learn.counts import CHECKPOINT
from orchestr8_index.learn.outcomes import Outcomes
from orchestr8_index.learn.receipt import Applied
from orchestr8_index.records import Calibration, Kind
from orchestr8_index.reports import EntryChange
from orchestr8_index.store import ledger
from orchestr8_index.store.database import NAME, connect

from .reporting import assert_sound, counted, opened, send, with_outcomes

CERTS = "rotate the TLS certs of the gateway"


def receipts(folder: Path, *reports: tuple[tuple[Any, ...], dict[str, Any]]) -> list[Applied]:
    async def work(outcomes: Outcomes) -> list[Applied]:
        return [await send(outcomes, *given, **fields) for given, fields in reports]

    return with_outcomes(folder, work)


# --- receipts ----------------------------------------------------------------------------------


def test_a_receipt_says_what_changed(tmp_path: Path) -> None:
    first, second = receipts(tmp_path, (("t1",), {}), (("t2",), {"result": "failure"}))
    founded, counts = first.receipt.pattern, second.receipt.pattern
    assert founded and (founded.created, founded.success_before, founded.success_after) == (
        True,
        0,
        1,
    )
    assert counts and (counts.created, counts.failure_before, counts.failure_after) == (False, 0, 1)
    assert second.receipt.entries == [EntryChange("p:a", -0.25)]


def test_an_unknown_name_is_accepted_stored_and_listed(tmp_path: Path) -> None:
    (applied,) = receipts(tmp_path, (("t1",), {"agents_used": ["nobody", "a"]}))
    assert applied.receipt.unknown == ["nobody"]
    assert applied.decision.agents_used == ("nobody", "p:a")
    assert applied.decision.unknown == ("nobody",)


def test_bare_and_qualified_names_are_one(tmp_path: Path) -> None:
    first, again = receipts(
        tmp_path, (("t1",), {"agents_used": ["a"]}), (("t1",), {"agents_used": ["p:a"]})
    )
    assert first.decision.agents_used == ("p:a",) and again.receipt.duplicate


def test_the_resolver_has_the_credit(tmp_path: Path) -> None:
    (applied,) = receipts(tmp_path, (("t1",), {"resolved_by": "b", "result": "failure"}))
    assert applied.receipt.entries == [EntryChange("p:b", 1.0)]


# --- the same task again -----------------------------------------------------------------------


def test_the_same_report_again_is_a_duplicate(tmp_path: Path) -> None:
    async def work(outcomes: Outcomes) -> None:
        first = await send(outcomes)
        revision = outcomes.revision
        again = await send(outcomes)
        assert (again.receipt.duplicate, again.decision) == (True, first.decision)
        assert (outcomes.revision, ledger.count_decisions(outcomes.store.reader)) == (revision, 1)

    with_outcomes(tmp_path, work)


def test_a_different_report_amends_with_its_effects(tmp_path: Path) -> None:
    async def work(outcomes: Outcomes) -> None:
        first = await send(outcomes)
        amended = await send(outcomes, "t1", "write release notes", agents_used=["b"])
        assert amended.receipt.amended and amended.decision.id == first.decision.id
        assert amended.receipt.entries == [EntryChange("p:a", -1.0), EntryChange("p:b", 1.0)]
        assert outcomes.memory.wins["agent"] == {"p:b": 1}
        assert [p.goal for p in outcomes.patterns] == ["write release notes"]
        assert_sound(outcomes)

    with_outcomes(tmp_path, work)


def test_one_task_reported_by_many_at_once_is_one_decision(tmp_path: Path) -> None:
    async def work(outcomes: Outcomes) -> None:
        alike = [send(outcomes, "t1", CERTS) for _ in range(5)]
        other = [send(outcomes, "t1", f"task{n}") for n in range(5)]
        done = await asyncio.gather(*alike, *other)
        assert {applied.decision.id for applied in done} == {1}
        assert sum(applied.receipt.duplicate for applied in done) == 4
        assert_sound(outcomes)

    with_outcomes(tmp_path, work)


def test_many_tasks_at_once_are_counted_once_each(tmp_path: Path) -> None:
    async def work(outcomes: Outcomes) -> None:
        await asyncio.gather(*(send(outcomes, f"t{n}", f"task{n % 7} of many") for n in range(80)))
        assert ledger.count_decisions(outcomes.store.reader) == 80
        assert_sound(outcomes)

    with_outcomes(tmp_path, work)


# --- forgetting --------------------------------------------------------------------------------


def test_forgetting_removes_the_effects(tmp_path: Path) -> None:
    async def work(outcomes: Outcomes) -> None:
        for number in range(4):
            await send(outcomes, f"t{number}", CERTS, agents_used=["ab"[number % 2]])
        assert await outcomes.forget(lambda decision: "p:a" in decision.agents_used) == 2
        assert outcomes.memory.wins["agent"] == {"p:b": 2}
        assert [p.agent_sequence for p in outcomes.patterns] == [("p:b",)]
        assert_sound(outcomes)

    with_outcomes(tmp_path, work)


def test_forgetting_nothing_changes_nothing(tmp_path: Path) -> None:
    async def work(outcomes: Outcomes) -> tuple[int, int]:
        await send(outcomes)
        revision = outcomes.revision
        return await outcomes.forget(lambda decision: False), outcomes.revision - revision

    assert with_outcomes(tmp_path, work) == (0, 0)


def test_a_report_during_a_forget_waits_for_it(tmp_path: Path) -> None:
    """An amendment of what was being forgotten took its effects away a second time."""

    async def work(outcomes: Outcomes) -> None:
        await asyncio.gather(*(send(outcomes, f"t{n}", CERTS) for n in range(3)))
        reports = [send(outcomes, f"t{n}", "write release notes") for n in range(3)]
        forgets = [outcomes.forget(lambda decision: True) for _ in range(2)]
        await asyncio.gather(*forgets, *reports)
        assert_sound(outcomes)
        assert outcomes.memory.wins["agent"] == {"p:a": 3}

    with_outcomes(tmp_path, work)


def test_a_forget_ends_though_reports_keep_coming(tmp_path: Path) -> None:
    """It waited for a moment without any report."""

    async def work(outcomes: Outcomes) -> None:
        forgotten = False

        async def keep_reporting(who: int) -> None:
            number = 0
            while not forgotten:
                number += 1
                await send(outcomes, f"{who}-{number}")

        reporters = [asyncio.create_task(keep_reporting(who)) for who in range(4)]
        await asyncio.wait_for(outcomes.forget(lambda decision: True), 20)
        forgotten = True
        await asyncio.gather(*reporters)
        assert_sound(outcomes)

    with_outcomes(tmp_path, work)


# --- patterns on purpose -----------------------------------------------------------------------


def test_a_calibration_changes_answers_and_nothing_that_was_learnt(tmp_path: Path) -> None:
    """The servers of a team shared no answer from the first calibration to the next report."""

    async def work(outcomes: Outcomes) -> None:
        kinds: tuple[Kind | None, ...] = ("agent", "skill", None)
        seen = [[outcomes.learnt_of(kind) for kind in kinds]]
        for is_report in (True, False):
            if is_report:
                await send(outcomes, "t1", CERTS)
            else:
                await outcomes.forget(lambda decision: True)
            seen.append([outcomes.learnt_of(kind) for kind in kinds])
            before = outcomes.revision_of("agent")
            outcomes.memory.calibrate("agent", Calibration(1, 0.5, 1.0, 0.1 * len(seen)))
            assert outcomes.revision_of("agent") > before
            assert [outcomes.learnt_of(kind) for kind in kinds] == seen[-1]
        agents, skills, everything = zip(*seen, strict=True)
        assert len(set(agents)) == len(set(everything)) == 3 and len(set(skills)) == 1

    with_outcomes(tmp_path, work)


def test_storing_a_pattern_leaves_what_was_counted_where_it_counts(tmp_path: Path) -> None:
    """It counted its whole sequence again, and a restart must not either."""

    async def work(outcomes: Outcomes) -> None:
        await send(outcomes, "t1", CERTS)
        await send(outcomes, "t2", "rotate TLS certs of gateways")
        pattern, created = await outcomes.store_pattern(
            "rotate TLS certs of gateways", ("p:a",), {}, [["p:a"]]
        )
        await send(outcomes, "t3", "rotate TLS certs of gateways")
        assert created and outcomes.patterns.by_id[pattern.id].success_count == 1
        assert_sound(outcomes)

    with_outcomes(tmp_path, work)


def test_one_pattern_stored_by_many_at_once_is_one(tmp_path: Path) -> None:
    async def work(outcomes: Outcomes) -> None:
        storing = [outcomes.store_pattern(CERTS, ("p:a",), {}, []) for _ in range(4)]
        made = await asyncio.gather(*storing)
        assert [created for _, created in made] == [True, False, False, False]
        assert len({pattern.id for pattern, _ in made}) == 1

    with_outcomes(tmp_path, work)


def test_a_stored_pattern_is_there_after_a_restart(tmp_path: Path) -> None:
    async def store(outcomes: Outcomes) -> int:
        pattern, _ = await outcomes.store_pattern(
            CERTS, ("p:a", "p:b"), {"p:b": ["p:a"]}, [["p:a"], ["p:b"]]
        )
        return pattern.id

    async def look(outcomes: Outcomes) -> Any:
        (pattern,) = outcomes.patterns
        return pattern.id, pattern.stored, pattern.dependencies, pattern.parallel_groups

    number = with_outcomes(tmp_path, store)
    expected = (number, True, {"p:b": ["p:a"]}, [["p:a"], ["p:b"]])
    assert with_outcomes(tmp_path, look) == expected


# --- restarts ----------------------------------------------------------------------------------


async def report_many(outcomes: Outcomes, first: int, last: int) -> None:
    for number in range(first, last):
        agents = ["a", "b"][: 1 + number % 2]
        result = "failure" if number % 5 == 0 else "success"
        fields = {"agents_used": agents, "result": result, "duration_ms": float(number)}
        await send(outcomes, f"t{number}", f"task{number % 4} of the gateway", **fields)


def test_a_restart_from_a_checkpoint_equals_one_without(tmp_path: Path) -> None:
    async def fill(outcomes: Outcomes) -> Any:
        await report_many(outcomes, 0, 20)
        await outcomes.checkpoint()
        await report_many(outcomes, 20, 30)
        return counted(outcomes)

    async def look(outcomes: Outcomes) -> Any:
        assert_sound(outcomes)
        return counted(outcomes)

    before = with_outcomes(tmp_path, fill)
    with_checkpoint = with_outcomes(tmp_path, look)
    with contextlib.closing(connect(tmp_path / NAME)) as connection:
        ledger.drop_checkpoint(connection)
    assert before == with_checkpoint == with_outcomes(tmp_path, look)


@pytest.mark.parametrize("damage", [b"", b"\xff", b"nonsense", b"\x93\x02\x05\xc4\x01\xff"])
def test_a_damaged_checkpoint_is_counted_anew(tmp_path: Path, damage: bytes) -> None:
    """The store did not open any more."""

    async def fill(outcomes: Outcomes) -> Any:
        await report_many(outcomes, 0, 6)
        await outcomes.checkpoint()
        return counted(outcomes)

    async def look(outcomes: Outcomes) -> Any:
        return counted(outcomes)

    before = with_outcomes(tmp_path, fill)
    with contextlib.closing(connect(tmp_path / NAME)) as connection:
        ledger.write_checkpoint(connection, CHECKPOINT, damage)
    assert with_outcomes(tmp_path, look) == before


def test_a_checkpoint_comes_by_itself_under_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for a moment with nothing in flight, which a busy server never has."""
    monkeypatch.setattr(learning, "CHECKPOINT_EVERY", 10)

    async def work(outcomes: Outcomes) -> tuple[bytes | None, int]:
        async def keep_reporting(who: int) -> None:
            for number in range(20):
                await send(outcomes, f"{who}-{number}")

        await asyncio.gather(*(keep_reporting(who) for who in range(5)))
        saved = ledger.read_checkpoint(outcomes.store.reader, CHECKPOINT)
        return saved, outcomes.counts.unsaved

    saved, since = with_outcomes(tmp_path, work)
    assert saved and since < 30


def test_samples_to_explain_with_survive_a_restart(tmp_path: Path) -> None:
    async def fill(outcomes: Outcomes) -> None:
        await send(outcomes, "t1", CERTS)
        await outcomes.checkpoint()

    async def look(outcomes: Outcomes) -> str:
        return outcomes.memory.alike("agent", "p:a", {"cert"})

    with_outcomes(tmp_path, fill)
    assert with_outcomes(tmp_path, look) == CERTS


# --- faults ------------------------------------------------------------------------------------


def test_at_the_limit_a_duplicate_is_still_answered(tmp_path: Path) -> None:
    async def work(outcomes: Outcomes) -> None:
        await send(outcomes)
        outcomes.store._hard = 1
        outcomes.store._used = 2
        assert (await send(outcomes)).receipt.duplicate
        with pytest.raises(StoreUnavailable, match="limit"):
            await send(outcomes, "t2")

    with_outcomes(tmp_path, work)


def test_what_could_not_be_written_has_no_effect(tmp_path: Path) -> None:
    async def work(outcomes: Outcomes) -> None:
        assert outcomes.store._writer
        outcomes.store._writer.connection.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreUnavailable, match="readonly"):
            await send(outcomes)
        assert (outcomes.revision, list(outcomes.patterns)) == (0, [])
        outcomes.store._writer.connection.execute("PRAGMA query_only = OFF")
        assert (await send(outcomes)).decision.id == 1

    with_outcomes(tmp_path, work)


def test_an_altered_row_does_not_keep_the_store_from_opening(tmp_path: Path) -> None:
    async def look(outcomes: Outcomes) -> int:
        return ledger.count_decisions(outcomes.store.reader)

    receipts(tmp_path, (("t1",), {}), (("t2",), {}))
    with contextlib.closing(connect(tmp_path / NAME)) as connection:
        connection.execute("UPDATE decision_history SET agents_used = '[x' WHERE id = 1")
    assert with_outcomes(tmp_path, look) == 2


def test_an_opened_store_can_be_opened_again_only_after_it_was_closed(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path) as first:
            await send(first)
        async with opened(tmp_path) as second:
            assert second.memory.wins["agent"] == {"p:a": 1}

    asyncio.run(run())
