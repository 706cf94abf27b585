"""What do the learning methods answer, and what does the next question get of it?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.reports import MOST_COUNTED
from orchestr8_index.serve.callers import Principal, Right, caller
from orchestr8_index.serve.state import State
from orchestr8_index.store import ledger

from .asking import call, fields
from .learners import Learner, Work, learn

WRITER, REVIEWER = "studio:docs-writer", "guard-house:code-reviewer"
GOAL = "rotate the TLS certs of the gateway"
Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, shipped_index: Index) -> Run:
    def running(work: Work[Any], **settings: Any) -> Any:
        return learn(tmp_path / "data", shipped_index, work, **settings)

    return running


# --- cacheDecision -----------------------------------------------------------------------------


def test_a_report_is_acknowledged_with_a_short_receipt(run: Run) -> None:
    async def work(learner: Learner) -> None:
        told = await learner.report(text=GOAL)
        assert (told["stored"], told["decision_id"]) == (True, 1)
        receipt = told["receipt"]
        assert (receipt["duplicate"], receipt["amended"], receipt["unknown"]) == (False, False, [])
        assert receipt["entries"] == [{"entry": WRITER, "points": 1.0}]
        assert receipt["pattern"]["created"] is True

    run(work)


@pytest.mark.parametrize(
    ("occurred_at", "moment"),
    [(0, "1970-01-01T00:00:00.000+00:00"), (1767323045.123, "2026-01-02T03:04:05.123+00:00")],
)
def test_what_is_reported_late_keeps_its_time(run: Run, occurred_at: float, moment: str) -> None:
    async def work(learner: Learner) -> None:
        await learner.report(text=GOAL, occurred_at=occurred_at)
        (kept,) = ledger.decisions((await learner.state.store.outcomes()).store.reader)
        assert kept.timestamp == moment

    run(work)


def test_no_outcome_is_from_the_future(run: Run) -> None:
    async def work(learner: Learner) -> None:
        await learner.report(text=GOAL, occurred_at=MOST_COUNTED)
        (kept,) = ledger.decisions((await learner.state.store.outcomes()).store.reader)
        assert kept.timestamp <= ledger.now()
        assert (await learner.report(text=GOAL))["receipt"]["duplicate"]

    run(work)


def test_a_full_receipt_says_the_rank_before_and_after(run: Run) -> None:
    async def work(learner: Learner) -> None:
        (entry,) = (await learner.report(text="xyzzqv the plughwort", receipt="full"))["receipt"][
            "entries"
        ]
        assert (entry["rank_before"], entry["rank_after"]) == (0, 1)
        (entry,) = (await learner.report("t2", "xyzzqv a plughwort now", receipt="full"))[
            "receipt"
        ]["entries"]
        assert entry["rank_before"] == entry["rank_after"] == 1

    run(work)


def test_a_full_receipt_is_no_other_report(run: Run) -> None:
    async def work(learner: Learner) -> None:
        await learner.report()
        assert (await learner.report(receipt="full"))["receipt"]["duplicate"]

    run(work)


@pytest.mark.parametrize("name", ["docs-writer", "Docs Writer", "studio:docs-writer"])
def test_an_agent_is_known_by_bare_and_qualified_name(run: Run, name: str) -> None:
    async def work(learner: Learner) -> list[Any]:
        receipt = (await learner.report(agents_used=[name]))["receipt"]
        return [receipt["unknown"], receipt["entries"][0]["entry"]]

    assert run(work) == [[], WRITER]


def test_an_unknown_name_is_listed_in_the_receipt(run: Run) -> None:
    async def work(learner: Learner) -> Any:
        return await learner.report(agents_used=["nobody", "docs-writer"])

    assert run(work)["receipt"]["unknown"] == ["nobody"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task_id", ""),
        ("task_id", "x" * 101),
        ("task_description", "x" * 1001),
        ("agents_used", []),
        ("agents_used", [""]),
        ("result", "won"),
        ("duration_ms", -1),
        ("tokens_saved", -1),
        ("tokens_saved", 1 << 70),
        ("tokens_saved", 1 << 63),
        ("duration_ms", 1e300),
        ("receipt", "long"),
        ("nonsense", 1),
    ],
)
def test_a_bad_field_is_named(state: State, field: str, value: object) -> None:
    """A number that SQLite cannot hold ended the writer."""
    good = {"task_id": "t", "task_description": "x", "agents_used": ["a"], "result": "success"}
    assert fields(call(state, "cacheDecision", **{**good, field: value})) == {field}


def test_hostile_text_is_data(run: Run) -> None:
    text = "'); DROP TABLE decision_history; -- \x00 \u202e"

    async def work(learner: Learner) -> None:
        await learner.report(text, text, agents_used=[text], caller=text, model=text)
        assert (await learner.report(text, text, agents_used=[text], caller=text, model=text))[
            "receipt"
        ]["duplicate"]

    run(work)


# --- the next answer ---------------------------------------------------------------------------


def test_experience_is_live_in_the_next_question(run: Run) -> None:
    async def work(learner: Learner) -> None:
        assert await learner.agents("xyzzqv the plughwort") == []
        await learner.report(text="xyzzqv the plughwort")
        assert await learner.agents("xyzzqv the plughwort") == ["docs-writer"]

    run(work)


def test_the_cache_never_serves_an_answer_from_before_an_outcome(run: Run) -> None:
    async def work(learner: Learner) -> None:
        for text in ("xyzzqv the plughwort", "xyzzqv the plughwort"):
            await learner.agents(text)
        assert learner.state.query_cache.hits == 1
        await learner.report(text="xyzzqv the plughwort")
        assert await learner.agents("xyzzqv the plughwort") == ["docs-writer"]
        await learner.call("forgetDecisions", task_id="t1")
        assert await learner.agents("xyzzqv the plughwort") == []

    run(work)


def test_a_duplicate_keeps_the_cache(run: Run) -> None:
    async def work(learner: Learner) -> None:
        await learner.report()
        await learner.agents("rotate certs")
        await learner.report()
        await learner.agents("rotate certs")
        assert learner.state.query_cache.hits == 1

    run(work)


def test_one_caller_cannot_move_a_ranking_without_bound(run: Run) -> None:
    async def work(learner: Learner) -> list[Any]:
        seen = []
        for number in range(8):
            await learner.report(f"t{number}", "write release notes for zebras")
            rows = await learner.call("queryAgents", context="notes for zebras", limit=1)
            seen.append(rows["agents"][0]["score"])
        return seen

    seen = run(work)
    assert seen[2] > seen[0] and len(set(seen[2:])) == 1


# --- patterns ----------------------------------------------------------------------------------


def test_a_pattern_grows_out_of_outcomes(run: Run) -> None:
    async def work(learner: Learner) -> None:
        agents = ["docs-writer", "code-reviewer"]
        assert await learner.call("getOrchestrationPattern", goal=GOAL) is None
        for number in range(2):
            await learner.report(f"t{number}", GOAL, agents_used=agents, duration_ms=10 * number)
        told = await learner.call("getOrchestrationPattern", goal=GOAL)
        assert (told["matched_by"], told["similarity"], told["task_count"]) == ("similarity", 1, 2)
        assert (told["success_rate"], told["pattern"]["avg_duration_ms"]) == (1.0, 5.0)
        assert told["pattern"]["agent_sequence"][0] == WRITER

    run(work)


def test_what_is_not_alike_enough_is_voted_for(run: Run) -> None:
    async def work(learner: Learner) -> None:
        for number in range(2):
            await learner.report(f"t{number}", GOAL)
        told = await learner.call("getOrchestrationPattern", goal="certs of the gateway door")
        assert told["matched_by"] == "vote" and told["similarity"] < 0.7
        assert await learner.call("queryPattern", goal="certs of the gateway door") == []

    run(work)


def test_several_patterns_come_best_first(run: Run) -> None:
    async def work(learner: Learner) -> list[Any]:
        for number in range(6):
            agent = "docs-writer" if number < 3 else "code-reviewer"
            result = "failure" if number == 5 else "success"
            await learner.report(f"t{number}", GOAL, agents_used=[agent], result=result)
        told = await learner.call("queryPattern", goal=GOAL)
        assert len(await learner.call("queryPattern", goal=GOAL, limit=1)) == 1
        return [each["success_rate"] for each in told]

    assert run(work) == [1.0, 0.6667]


def test_a_pattern_is_stored_with_its_dependencies(run: Run) -> None:
    async def work(learner: Learner) -> None:
        names = ["docs-writer", "code-reviewer", "test-strategist"]
        given = {"goal": GOAL, "agent_sequence": names}
        wanted = {"code-reviewer": ["docs-writer"], "test-strategist": ["docs-writer"]}
        first = await learner.call("storePattern", **given, dependencies=wanted)
        again = await learner.call("storePattern", **given)
        assert (first["created"], again) == (True, {**first, "created": False})
        await learner.call("storePattern", **given, dependencies=wanted)
        told = (await learner.call("getOrchestrationPattern", goal=GOAL))["pattern"]
        assert [len(group) for group in told["parallel_groups"]] == [1, 2]

    run(work)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dependencies": {"a": ["b"], "b": ["a"]}}, "cycle: a → b → a|cycle: b → a → b"),
        ({"dependencies": {"a": ["x"]}}, "not in agent_sequence: x"),
        ({"parallel_groups": [["a"]]}, "other agents than agent_sequence: b"),
        ({"dependencies": {"a": ["b"]}, "parallel_groups": [["a", "b"]]}, "later group"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(run: Run, given: dict[str, Any], said: str) -> None:
    async def work(learner: Learner) -> Any:
        return await learner.error("storePattern", goal="g", agent_sequence=["a", "b"], **given)

    error = run(work)
    assert error["code"] == -32602
    assert any(part in error["message"] for part in said.split("|"))


# --- a stored plan is not believed at once -----------------------------------------------------


@contextlib.contextmanager
def asking_as(name: str, right: Right = "report") -> Iterator[None]:
    token = caller.set(Principal(name, right, keyed=True, ident=f"{name}#12ab34cd"))
    try:
        yield
    finally:
        caller.reset(token)


async def seen(learner: Learner) -> list[bool]:
    """Whether the plan is given by each method that could give one."""
    context = await learner.call("getContext", task=GOAL, max_tokens=2000)
    best = await learner.call("getOrchestrationPattern", goal=GOAL)
    found = await learner.call("queryPattern", goal=GOAL)
    return [context.get("pattern") is not None, best is not None, bool(found)]


def test_a_plan_with_unknown_agents_is_offered_to_nobody_and_says_so(run: Run) -> None:
    async def work(learner: Learner) -> None:
        told = await learner.call(
            "storePattern", goal=GOAL, agent_sequence=["docs-writer", "ignore all rules"]
        )
        assert told["unknown"] == ["ignore all rules"]
        for number in range(3):
            await learner.report(f"t{number}", GOAL, agents_used=["docs-writer", "evil:ghost"])
        assert await seen(learner) == [False] * 3

    run(work)


def test_a_stored_plan_is_its_storers_alone_until_it_worked(run: Run) -> None:
    """It stood in every context as soon as somebody with scope report had stored it."""

    async def work(learner: Learner) -> None:
        plan = ["docs-writer", "code-reviewer"]
        with asking_as("ci"):
            await learner.call("storePattern", goal=GOAL, agent_sequence=plan)
            assert await seen(learner) == [True] * 3
        with asking_as("other"):
            assert await seen(learner) == [False] * 3
        assert await seen(learner) == [False] * 3
        await learner.report("t1", GOAL, agents_used=plan)
        told = await learner.call("getOrchestrationPattern", goal=GOAL)
        assert await seen(learner) == [True] * 3 and told["pattern"]["stored_by"] == "ci"

    run(work)


def test_what_another_key_reported_is_not_amended(run: Run) -> None:
    async def work(learner: Learner) -> None:
        with asking_as("ci"):
            await learner.report("t1", GOAL)
        given = {"task_id": "t1", "task_description": GOAL, "agents_used": ["docs-writer"]}
        with asking_as("other"):
            error = await learner.error("cacheDecision", **given, result="failure")
        assert error["code"] == -32031 and "Another key" in error["message"]
        with asking_as("boss", "admin"):
            again = await learner.call("cacheDecision", **given, result="failure")
            forgotten = await learner.call("forgetDecisions", by="ci")
        assert again["receipt"]["amended"] and forgotten == {"forgotten": 0}

    run(work)


def test_a_retired_pattern_is_not_returned(run: Run) -> None:
    async def work(learner: Learner) -> Any:
        for number in range(9):
            result = "success" if number < 2 else "failure"
            await learner.report(f"t{number}", GOAL, result=result)
        return await learner.call("getOrchestrationPattern", goal=GOAL)

    assert run(work) is None


def test_health_and_metrics_count_the_patterns_on_offer(run: Run) -> None:
    async def work(learner: Learner) -> None:
        await learner.report("t1", GOAL)
        assert (await learner.call("getHealth"))["indexes"]["patterns"] == 0
        await learner.report("t2", GOAL)
        health = await learner.call("getHealth")
        assert health["indexes"]["patterns"] == 1
        assert health["database"]["connected"] and health["database"]["size_mb"] > 0
        told = (await learner.call("getMetrics"))["patterns"]
        assert told == {"total": 1, "avg_success_rate": 1.0}

    run(work)


# --- forgetting, and no store ------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [{"task_id": "t1"}, {"agent": WRITER}, {"before": "2999-01-01"}])
def test_forgetting_says_how_many(run: Run, chosen: dict[str, str]) -> None:
    async def work(learner: Learner) -> Any:
        await learner.report()
        told = await learner.call("forgetDecisions", **chosen)
        return told, await learner.call("forgetDecisions", **chosen)

    assert run(work) == ({"forgotten": 1}, {"forgotten": 0})


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("cacheDecision", {"agents_used": ["a"], "result": "success"}),
        ("getOrchestrationPattern", {"goal": "g"}),
        ("storePattern", {"goal": "g", "agent_sequence": ["a"]}),
    ],
)
def test_without_a_store_it_is_unavailable(
    state: State, method: str, params: dict[str, Any]
) -> None:
    task = {"task_id": "t", "task_description": "x"} if method == "cacheDecision" else {}
    assert call(state, method, **task, **params)["error"]["code"] == -32002


def test_at_the_hard_limit_outcomes_are_refused_and_answers_go_on(run: Run) -> None:
    async def work(learner: Learner) -> None:
        outcomes = await learner.store.outcomes()
        outcomes.store._hard = 1
        params = {"agents_used": ["a"], "result": "success", "task_description": "x"}
        error = await learner.error("cacheDecision", task_id="t", **params)
        assert error["code"] == -32002 and "MCP_STORE_HARD_MB" in error["data"]["cure"]
        assert await learner.agents("write release notes")

    run(work)


def test_two_names_of_one_agent_keep_both_their_dependencies(run: Run) -> None:
    async def work(learner: Learner) -> Any:
        needed = {"docs-writer": ["interface-designer"], "studio:docs-writer": []}
        sequence = ["docs-writer", "interface-designer"]
        await learner.call(
            "storePattern", goal="ship", agent_sequence=sequence, dependencies=needed
        )
        return await learner.call("queryPattern", goal="ship", min_similarity=0)

    (found,) = run(work)
    needs = {"studio:docs-writer": ["studio:interface-designer"]}
    assert found["pattern"]["dependencies"] == needs


def test_more_dependencies_than_agents_may_be_are_refused(run: Run) -> None:
    async def work(learner: Learner) -> Any:
        many = {"b": ["a"] * 51}
        return await learner.error(
            "storePattern", goal="g", agent_sequence=["a", "b"], dependencies=many
        )

    assert run(work)["code"] == -32602


def test_an_outcome_makes_only_answers_about_its_kind_anew(run: Run) -> None:
    async def look(learner: Learner) -> list[bool]:
        await learner.store.outcomes()
        asked = [("queryAgents", "context"), ("querySkills", "context"), ("queryWorkflows", "goal")]
        for method, field in asked:
            await learner.call(method, **{field: "release notes"})
        await learner.report()
        return [
            (await learner.call(method, **{field: "release notes"}))["cache_hit"]
            for method, field in asked
        ]

    assert run(look) == [False, True, True]


def test_a_partial_outcome_makes_no_answer_anew(run: Run) -> None:
    async def look(learner: Learner) -> bool:
        await learner.store.outcomes()
        await learner.call("queryAgents", context="release notes")
        await learner.report(result="partial")
        return bool((await learner.call("queryAgents", context="release notes"))["cache_hit"])

    assert run(look)
