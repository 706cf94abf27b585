"""What plan do the delegations of one prompt make?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from orchestr8_index.catalog.index import Index
from orchestr8_index.reports import PatternGoal
from orchestr8_index.serve.hooks.claude import receive_claude
from orchestr8_index.serve.hooks.turns import Turn
from orchestr8_index.serve.learning import get_pattern

from ..learners import Learner, learn
from . import events

PROMPT = "rotate the certs of the gateway and write down how"
WRITER, REVIEWER = "studio:docs-writer", "guard-house:threat-modeller"
STOP = {**events.EVERYWHERE, "hook_event_name": "Stop"}


def starting(call: str, agent: str, **more: Any) -> dict[str, Any]:
    said = {"tool_name": "Agent", "tool_use_id": call, "tool_input": events.asked(agent)}
    return {**events.EVERYWHERE, "hook_event_name": "PreToolUse", **said, **more}


def ended(call: str, agent: str, said: str = events.DONE) -> dict[str, Any]:
    return events.completed(said, agent, f"agent-{call}", tool_use_id=call)


def plans(tmp_path: Path, index: Index, *payloads: dict[str, Any]) -> Any:
    """(goal, groups, result) of the plans that are kept, and the pattern of the prompt."""

    async def work(learner: Learner) -> Any:
        for payload in payloads:
            await receive_claude(learner.state, msgspec.json.encode(payload))
        outcomes = await learner.store.outcomes()
        rows = outcomes.store.reader.execute(
            "SELECT task_description, parallel_groups, result FROM decision_history "
            "WHERE parallel_groups != '[]'"
        )
        kept = [(goal, json.loads(groups), result) for goal, groups, result in rows]
        pattern = await get_pattern(learner.state, PatternGoal(goal=PROMPT))
        wins = dict(outcomes.experience.wins["agent"])
        return kept, pattern, wins

    return learn(tmp_path / "data", index, work)


def turn(*more: dict[str, Any]) -> list[dict[str, Any]]:
    one_after_the_other = [
        starting("1", WRITER),
        ended("1", WRITER),
        starting("2", REVIEWER),
        ended("2", REVIEWER),
    ]
    return [events.prompted(PROMPT), *(more or one_after_the_other), STOP]


def test_the_agents_of_one_prompt_are_one_plan_in_order(
    tmp_path: Path, shipped_index: Index
) -> None:
    kept, _, wins = plans(tmp_path, shipped_index, *turn())
    assert kept == [(PROMPT, [[WRITER], [REVIEWER]], "success")]
    assert wins == {WRITER: 1, REVIEWER: 1}  # for their own tasks, not again for the plan


def test_agents_that_work_side_by_side_are_a_group(tmp_path: Path, shipped_index: Index) -> None:
    beside = [starting("1", WRITER), starting("2", REVIEWER)]
    both = [*beside, ended("2", REVIEWER), ended("1", WRITER)]
    kept, _, _ = plans(tmp_path, shipped_index, *turn(*both))
    assert kept == [(PROMPT, [[WRITER, REVIEWER]], "success")]


def test_a_plan_that_worked_twice_is_offered_with_its_groups(
    tmp_path: Path, shipped_index: Index
) -> None:
    beside = [starting("1", WRITER), starting("2", REVIEWER)]
    both = [*beside, ended("2", REVIEWER), ended("1", WRITER)]
    again = [{**each, "session_id": "another"} for each in turn(*both)]
    _, pattern, _ = plans(tmp_path, shipped_index, *turn(*both), *again)
    assert pattern and pattern["pattern"]["parallel_groups"] == [[WRITER, REVIEWER]]


def test_one_agent_is_no_plan(tmp_path: Path, shipped_index: Index) -> None:
    alone = [starting("1", WRITER), ended("1", WRITER)]
    assert plans(tmp_path, shipped_index, *turn(*alone))[0] == []


def test_an_agent_that_another_starts_is_no_part_of_the_plan(
    tmp_path: Path, shipped_index: Index
) -> None:
    inner = [
        starting("1", WRITER),
        starting("2", REVIEWER, agent_id="agent-1"),
        ended("2", REVIEWER),
        ended("1", WRITER),
    ]
    assert plans(tmp_path, shipped_index, *turn(*inner))[0] == []


def test_the_hosts_own_agents_have_no_place_in_a_plan(tmp_path: Path, shipped_index: Index) -> None:
    own = [starting("1", "general-purpose"), ended("1", "general-purpose")]
    kept, _, _ = plans(tmp_path, shipped_index, *turn(*own, *turn()[1:-1]))
    assert kept == [] or "general-purpose" not in json.dumps(kept)


def test_a_plan_with_a_failure_is_none_that_worked(tmp_path: Path, shipped_index: Index) -> None:
    failed = [*turn()[1:4], ended("2", REVIEWER, "Result: failure")]
    kept, pattern, _ = plans(tmp_path, shipped_index, *turn(*failed))
    assert [result for _, _, result in kept] == ["failure"] and pattern is None


def test_a_turn_that_is_told_twice_is_one_plan(tmp_path: Path, shipped_index: Index) -> None:
    kept, pattern, _ = plans(tmp_path, shipped_index, *turn(), *turn())
    assert len(kept) == 1 and pattern is None


def test_whoever_did_better_at_last_did_well() -> None:
    plan = Turn("goal", "id", is_over=True)
    for call, agent, result in (
        ("1", "a", "failure"),
        ("2", "a", "success"),
        ("3", "b", "success"),
    ):
        plan.start(call)
        plan.end(call, agent, result)  # type: ignore[arg-type]
    assert plan.plan() == ([["a"], ["b"]], "success")


def test_a_plan_waits_for_who_is_at_work() -> None:
    plan = Turn("goal", "id", is_over=True)
    plan.start("1")
    plan.start("2")
    plan.end("1", "a", "success")
    assert plan.plan() is None
    plan.end("2", "b", "success")
    assert plan.plan() == ([["a", "b"]], "success")
