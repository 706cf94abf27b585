"""What the methods of the page answer; and that half a question leaves no trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.serve.events import Delegated
from orchestr8_index.serve.hooks.delegations import LONGEST, RunningTasks
from orchestr8_index.serve.metrics import Metrics, Series
from orchestr8_index.serve.state import State

from ..trees import MakeTree, agent, build_tree
from .asking import call, settings_of, state_of
from .learners import Learner, learn


def result(state: State, method: str, **params: Any) -> Any:
    return call(state, method, **params)["result"]


def test_half_a_question_is_answered_as_a_whole_one_and_leaves_no_trace(state: State) -> None:
    tried = result(state, "tryQuestion", task="write release notes", explain=True)
    assert state.metrics.queries.total == 0 and not state.metrics.requests
    assert len(state.query_cache) == state.query_cache.misses == 0 and not state.recent.lately()
    assert not state.terms._forms
    for method, field, name in (
        ("queryAgents", "context", "agents"),
        ("querySkills", "context", "skills"),
        ("queryWorkflows", "goal", "workflows"),
    ):
        asked = result(state, method, explain=True, **{field: "write release notes"})
        assert tried[name] == asked


def pages(state: State, kind: str, limit: int) -> Iterator[list[Any]]:
    after, more = "", True
    while more:
        page = result(state, "listEntries", kind=kind, after=after, limit=limit)
        yield page["entries"]
        after, more = "{plugin}:{name}".format(**page["entries"][-1]), page["more"]


def test_entries_come_in_pages_each_once_with_their_place(state: State) -> None:
    listed = [entry for page in pages(state, "agent", 7) for entry in page]
    assert [f"{e['plugin']}:{e['name']}" for e in listed] == list(
        state.index.segments["agent"].position
    )
    assert all(-1 <= number <= 1 for entry in listed for number in entry["at"])


def test_entries_that_only_a_person_may_start_are_marked(make_tree: MakeTree) -> None:
    own = agent("own", "Pushes a parcel.\ndisable-model-invocation: true")
    tree = make_tree({"skills/own/SKILL.md": own, "skills/open/SKILL.md": agent("open")})
    data = tree.with_name("views-data")
    state = state_of(settings_of(data, tree), build_tree(tree, data_dir=data).index)
    listed = result(state, "listEntries", kind="skill")["entries"]
    assert {each["name"]: each.get("user_only") for each in listed} == {"own": True, "open": None}


def test_findings_are_those_of_doctor(state: State) -> None:
    page = result(state, "listFindings")
    assert page["total"] == len(page["findings"]) and page["after"] is None
    assert "2 plugins have the agent code-reviewer" in page["findings"][0]["message"]
    assert "root" not in page["findings"][0]  # a place of the server's machine


def test_decisions_weeks_and_sums_tell_what_was_reported(
    tmp_path: Path, shipped_index: Index
) -> None:
    async def work(learner: Learner) -> list[Any]:
        used = {"agents_used": [], "skills_used": ["release-notes"], "tokens_saved": 100}
        for number in range(3):
            await learner.report(f"t-{number}", "write release notes", **used)
        asked = ("listDecisions", "getLearned", "getWeeks", "getSeries", "listProjects")
        return [await learner.call(method) for method in asked]

    decided, learnt, weeks, series, projects = learn(tmp_path, shipped_index, work)
    assert [row["id"] for row in decided["decisions"]] == [3, 2, 1]
    assert decided["decisions"][0]["changes"] == [{"entry": "studio:release-notes", "points": 1.0}]
    assert (learnt["entries"][0]["wins"], weeks["tasks"], weeks["weeks"][0]["tasks"]) == (3, 3, 3)
    assert (series["saved"][0]["tokens"], series["saved"][0]["reports"]) == (300, 3)
    assert projects["own"] in ["", *(each["name"] for each in projects["projects"])]


def test_a_report_names_an_agent_a_skill_or_a_command(state: State) -> None:
    task = {"task_id": "t", "task_description": "x", "agents_used": [], "result": "success"}
    error = call(state, "cacheDecision", **task)["error"]
    assert "agents_used: must not be empty" in error["message"]


def test_work_is_shown_from_its_start_to_its_end() -> None:
    now = [1000.0]
    work = RunningTasks(lambda: now[0])
    work.note(Delegated("started", "1", "studio:docs-writer", "write"))
    work.note(Delegated("started", "2", "studio:docs-writer", "read"))
    now[0] += 5
    work.note(Delegated("ended", "1", "studio:docs-writer", "write", "success", 4900))
    shown = work.shown()
    assert [task.id for task in shown.running] == ["2"]
    assert [(task.id, task.started, task.ended, task.result) for task in shown.ended] == [
        ("1", 1000, 1005, "success")
    ]
    now[0] += LONGEST
    assert work.shown().running == []


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


def test_a_series_has_what_came_between_two_points_and_forgets_the_oldest(
    clock: list[float],
) -> None:
    metrics = Metrics()
    series = Series(10, 3, metrics, (), lambda: clock[0], lambda: clock[0])
    for number in range(5):
        for _ in range(number):
            metrics.answered("queryAgents", 2.0 + number, True)
        clock[0] += 10
        series.step((50.0, 1.5, 7))
        series.step((50.0, 1.5, 7))  # not due yet
    told = series.after(30)
    assert (told["at"], told["questions"], told["generation"]) == ([40, 50], [3, 4], [7, 7])
    assert told["p50"] == pytest.approx([5.0, 6.0], rel=0.06)
    assert len(series.after(0)["at"]) == 3 and json.dumps(told)


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_clock_that_is_set_stops_no_series(clock: list[float], step: float) -> None:
    at = [10_000.0]
    series = Series(10, 9, Metrics(), (), lambda: at[0], lambda: clock[0])
    for set_by in (0.0, step, 0.0):
        clock[0] += 10
        at[0] += 10 + set_by
        series.step((50.0, 1.5, 7))
    first = series.after(0)["at"][0]
    assert series.after(first)["at"] == [10_020 + step, 10_030 + step]
