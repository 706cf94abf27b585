"""What does one task need, within a budget?"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.index import Index
from orchestr8_index.queries import Context, ContextQuery
from orchestr8_index.records import Kind
from orchestr8_index.search.confidence import DOUBTFUL
from orchestr8_index.search.context import catalogue_tokens, cost_of, get_context
from orchestr8_index.text import Terms
from orchestr8_index.tokens import ESTIMATING, Tokenizer, estimate_tokens

TASK = "tune slow postgres queries before the release"
PATTERN: dict[str, Any] = {
    "pattern": {"id": 1, "goal": TASK, "agent_sequence": ["a:b", "a:c"]},
    "success_rate": 1.0,
    "similarity": 0.9,
}
TERMS = Terms()
BY_WORDS = Tokenizer("one a word", lambda text: len(text.split(" ")))
BY_SQUARE = Tokenizer("more for the whole than for its parts", lambda text: len(text) ** 2 // 5000)


def ask(index: Index, max_tokens: int = 2000, kinds: list[Kind] | None = None) -> Context:
    query = ContextQuery(task=TASK, max_tokens=max_tokens, kinds=kinds or ["agent", "skill"])
    return get_context(index, query, TERMS, pattern=PATTERN)


def test_a_context_has_rows_a_pattern_and_a_section(shipped_index: Index) -> None:
    found = ask(shipped_index)
    assert found.agents[0].name == "postgres-tuner"
    assert found.pattern == PATTERN
    assert found.text.startswith("From the ") and "postgres" in found.text.lower()


@given(
    st.text(min_size=1, max_size=500),
    st.integers(100, 3000),
    st.booleans(),
    st.sampled_from([ESTIMATING, BY_WORDS, BY_SQUARE]),
)
def test_a_context_never_exceeds_its_budget(
    shipped_index: Index, task: str, budget: int, past: bool, tokens: Tokenizer
) -> None:
    query = ContextQuery(task=task, max_tokens=budget)
    pattern = PATTERN if past else None
    found = get_context(shipped_index, query, TERMS, pattern=pattern, tokens=tokens)
    assert found.receipt.tokens_used == cost_of(found, tokens) <= budget


@given(st.integers(100, 2000))
def test_more_room_never_takes_a_row_away(shipped_index: Index, budget: int) -> None:
    less, more = ask(shipped_index, budget), ask(shipped_index, budget + 50)
    assert len(less.agents) + len(less.skills) <= len(more.agents) + len(more.skills)


def test_what_does_not_fit_together_is_taken_back(shipped_index: Index) -> None:
    query = ContextQuery(task=TASK, max_tokens=150)
    found = get_context(shipped_index, query, TERMS, pattern=PATTERN, tokens=BY_SQUARE)
    assert 0 < cost_of(found, BY_SQUARE) <= 150 and found.agents


def test_the_same_question_gets_the_same_bytes(shipped_index: Index) -> None:
    first, second = (msgspec.json.encode(ask(shipped_index, 700)) for _ in range(2))
    assert first == second


def test_rows_stay_in_their_order(shipped_index: Index) -> None:
    query = ContextQuery(task="review this change and its tests")
    scores = [row.score for row in get_context(shipped_index, query, TERMS).agents]
    assert len(scores) > 1 and scores == sorted(scores, reverse=True)


def test_one_kind_alone_may_fill_the_room(shipped_index: Index) -> None:
    query = ContextQuery(task="enter a new market", kinds=["workflow"])
    found = get_context(shipped_index, query, TERMS)
    assert not found.agents and not found.skills and found.workflows


def test_what_nobody_can_do_has_no_rows(shipped_index: Index) -> None:
    query = ContextQuery(task="zzyzx qwrtp")
    found = get_context(shipped_index, query, TERMS)
    assert (found.agents, found.skills, found.workflows, found.text) == ([], [], [], "")


def test_the_catalogue_is_counted_by_the_build(shipped_index: Index) -> None:
    lines = (
        segment.entry(place).line
        for segment in shipped_index.segments.values()
        for place in range(segment.size)
    )
    assert catalogue_tokens(shipped_index) == sum(map(estimate_tokens, lines)) > 500


def test_another_tokenizer_counts_the_catalogue_once(shipped_index: Index) -> None:
    counted: list[str] = []
    tokens = Tokenizer("by hand", lambda text: counted.append(text) or 1)  # type: ignore[func-returns-value]
    entries = sum(shipped_index.manifest.counts.values())
    assert [catalogue_tokens(shipped_index, tokens) for _ in range(2)] == [entries, entries]
    assert len(counted) == entries


def test_a_text_comes_only_with_its_entrys_row(shipped_index: Index) -> None:
    found = get_context(shipped_index, ContextQuery(task=TASK, max_tokens=100), TERMS)
    assert (found.agents, found.skills, found.text) == ([], [], "")


@pytest.mark.parametrize("budget", [150, 200])
def test_a_small_budget_gets_what_fits(shipped_index: Index, budget: int) -> None:
    found = get_context(shipped_index, ContextQuery(task=TASK, max_tokens=budget), TERMS)
    assert len(found.agents) + len(found.skills) >= 1


def test_it_says_how_sure_it_is_of_each_kind(shipped_index: Index) -> None:
    found = ask(shipped_index)
    assert found.confidence.keys() == {"agents", "skills"} & {
        name for name in ("agents", "skills") if getattr(found, name)
    }
    assert all(0 < sure <= 1 for sure in found.confidence.values())


def test_nothing_below_probably_nobody_takes_room(shipped_index: Index) -> None:
    found = get_context(shipped_index, ContextQuery(task="water the plants on the balcony"), TERMS)
    assert all(sure >= DOUBTFUL for sure in found.confidence.values())
    assert (found.agents, found.text) == ([], "")


def test_room_is_filled_with_further_passages(shipped_index: Index) -> None:
    few, many = ask(shipped_index, 500).text, ask(shipped_index, 3000).text
    assert len(many) >= len(few) > 0
