"""Are answers that an outcome or a generation changed worked out again before somebody asks?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.serve.cache import LATELY, WITHIN_SECONDS, RecentQuestions
from orchestr8_index.serve.renewal import LOOK_SECONDS, REST_SHARE, Renewal
from orchestr8_index.serve.state import State

from ..trees import Files, agent
from .asking import call
from .learners import Learner, Work, learn

QUESTION = "xyzzqv the plughwort"
Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, shipped_index: Index) -> Run:
    def running(work: Work[Any]) -> Any:
        return learn(tmp_path / "data", shipped_index, work)

    return running


async def until_quiet(renewal: Renewal) -> list[float]:
    """Steps until there is nothing left to do; the rests between them."""
    rests: list[float] = []
    while rests[-2:] != [LOOK_SECONDS, LOOK_SECONDS]:
        rests.append(await renewal.step())
    return rests


def test_after_an_outcome_the_answer_is_there_before_the_question(run: Run) -> None:
    async def work(learner: Learner) -> None:
        renewal, cache = Renewal(learner.state), learner.state.query_cache
        await learner.agents(QUESTION)
        await learner.report(text=QUESTION)
        await until_quiet(renewal)
        assert (cache.hits, cache.renewed) == (0, 1)
        assert await learner.agents(QUESTION) == ["docs-writer"]
        assert (cache.hits, cache.misses) == (1, 1)

    run(work)


def test_what_is_renewed_is_what_would_be_worked_out(run: Run) -> None:
    async def work(learner: Learner) -> tuple[Any, Any]:
        await learner.agents(QUESTION)
        await learner.report(text=QUESTION)
        await until_quiet(Renewal(learner.state))
        kept = await learner.call("queryAgents", context=QUESTION)
        learner.state.drop()
        return kept, await learner.call("queryAgents", context=QUESTION)

    kept, anew = run(work)
    assert {**kept, "cache_hit": False} == anew
    assert kept["cache_hit"]


def test_a_burst_is_over_before_anything_is_renewed(run: Run) -> None:
    async def work(learner: Learner) -> None:
        renewal, cache = Renewal(learner.state), learner.state.query_cache
        await learner.agents(QUESTION)
        for number in range(5):
            await learner.report(f"t{number}", QUESTION)
            assert await renewal.step() == LOOK_SECONDS
        assert cache.renewed == 0
        await renewal.step()
        assert cache.renewed == 1

    run(work)


def test_a_change_meanwhile_begins_it_again(run: Run) -> None:
    async def work(learner: Learner) -> None:
        renewal, cache = Renewal(learner.state), learner.state.query_cache
        for number in range(3):
            await learner.agents(f"{QUESTION} {number}")
        await learner.report("t1", QUESTION)
        await renewal.step()
        assert await renewal.step() < LOOK_SECONDS
        await learner.report("t2", QUESTION)
        await until_quiet(renewal)
        assert cache.renewed == 1 + 3

    run(work)


def test_a_new_generation_is_answered_again(
    state: State, make_index: Callable[[Files], Index]
) -> None:
    renewal = Renewal(state)
    old = call(state, "queryAgents", context="review")["result"]
    asyncio.run(until_quiet(renewal))
    index = make_index({"agents/new.md": agent("newcomer", "review review review")})
    index.generation = old["generation"] + 1
    state.refresh.index = index
    asyncio.run(until_quiet(renewal))
    new = call(state, "queryAgents", context="review")["result"]
    assert (new["cache_hit"], new["agents"][0]["name"]) == (True, "newcomer")


def test_what_can_no_longer_be_answered_is_left(state: State) -> None:
    state.recent.note("queryAgents", b"{}")
    state.recent.note("querySkills", msgspec.json.encode({"context": "release"}))
    asyncio.run(until_quiet(Renewal(state)))
    assert state.query_cache.renewed == 1


def test_it_takes_a_twentieth_of_the_time_at_most(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(state, "querySkills", context="release")
    state.drop()
    moments = iter([10.0, 10.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(moments, 10.5))
    renewal = Renewal(state)

    async def twice() -> float:
        await renewal.step()
        return await renewal.step()

    assert asyncio.run(twice()) == REST_SHARE * 0.5


def test_without_an_index_there_is_nothing_to_renew(state: State) -> None:
    call(state, "querySkills", context="release")
    state.refresh.index = None
    assert asyncio.run(until_quiet(Renewal(state))) == [LOOK_SECONDS, LOOK_SECONDS]


def test_lately_is_an_hour_and_a_number() -> None:
    now = [0.0]
    recent = RecentQuestions(lambda: now[0])
    recent.note("old", b"")
    now[0] = WITHIN_SECONDS + 1
    recent.note("new", b"")
    assert recent.lately() == [("new", b"")]
    for number in range(LATELY + 5):
        recent.note(str(number), b"")
    assert len(recent.lately()) == LATELY
    assert recent.lately()[0] == (str(LATELY + 4), b"")
