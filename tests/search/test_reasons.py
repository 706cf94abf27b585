"""Why these, why nobody? Sentences built from the numbers that ranked."""

from __future__ import annotations

import re

from orchestr8_index.catalog.index import Index
from orchestr8_index.queries import AgentQuery
from orchestr8_index.records import ResolvedRole, Role
from orchestr8_index.search.answer import answer_agents
from orchestr8_index.search.reasons import no_role, of_role
from orchestr8_index.text import Terms


def test_the_scores_told_are_those_of_the_rows(shipped_index: Index, terms: Terms) -> None:
    answer = answer_agents(shipped_index, AgentQuery(context="slow postgres query plan"), terms)
    told = re.findall(r"\d\.\d\d", answer.reasoning)
    assert told == [f"{row.score:.2f}" for row in answer.rows[:2]]


def test_a_role_alone_is_told_in_one_sentence(shipped_index: Index, terms: Terms) -> None:
    answer = answer_agents(shipped_index, AgentQuery(role="data_engineer"), terms)
    assert answer.reasoning.count(". ") == 0


def test_a_role_tells_who_plays_it(shipped_index: Index) -> None:
    segment = shipped_index.segments["agent"]
    resolved = ResolvedRole(Role("r", "x"), (0,), ("y",))
    assert of_role(resolved, segment) == f"Role r: {segment.entry(0).qualified}; missing: y."


def test_an_unknown_role_is_told(shipped_index: Index) -> None:
    assert no_role("king", shipped_index).startswith("The registry has no role 'king'")
