"""What was probably meant? Near terms, near names, near labels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from orchestr8_index.catalog.index import Index, Segment
from orchestr8_index.queries import AgentQuery
from orchestr8_index.search.answer import answer_agents
from orchestr8_index.search.spelling import (
    edits,
    near_labels,
    near_names,
    nearest_term,
    other_spelling,
)
from orchestr8_index.text import Terms

from ..trees import Files, agent


@pytest.fixture
def segment(make_index: Callable[[Files], Index]) -> Segment:
    files = {
        "agents/a.md": agent("postgres-tuner", "Reads kubernet manifest files."),
        "agents/b.md": agent("writer", "Reads manifold and manifold files, observability."),
        "agents/c.md": agent("shipper", "Deployment."),
    }
    return make_index(files).segments["agent"]


def nearest(segment: Segment, term: str) -> str | None:
    found = nearest_term(segment, term)
    return found[0] if found else None


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("manifset", "manifest"),
        ("manifext", "manifest"),
        ("kubernetxy", "kubernet"),
        ("kubernxty", None),
        ("writr", None),
        ("nanifest", None),
        ("mani2est", None),
        ("zebrafish", None),
        ("deploiment", "deploy"),
        ("deplxment", None),
    ],
)
def test_a_word_one_edit_away_is_meant(segment: Segment, asked: str, found: str | None) -> None:
    assert nearest(segment, asked) == found


@given(st.text("abc", max_size=9), st.text("abc", max_size=9), st.sampled_from((1, 2)))
def test_edits_are_counted_as_rapidfuzz_counts_them(one: str, other: str, most: int) -> None:
    assert edits(one, other, most) == min(OSA.distance(one, other), most + 1)


def test_of_two_equally_near_the_commoner_is_meant(make_index: Callable[[Files], Index]) -> None:
    files = {
        f"agents/{n}.md": agent(n, d)
        for n, d in [("a", "barrow"), ("b", "borrow"), ("c", "borrow")]
    }
    assert nearest(make_index(files).segments["agent"], "burrow") == "borrow"


def test_names_like_the_words_asked_for_are_near(segment: Segment) -> None:
    assert near_names(segment, ["postgres", "tuning"])[0] == "tree:postgres-tuner"
    assert near_names(segment, ["zzz"]) == []
    assert near_names(segment, []) == []


def test_near_labels_come_best_first() -> None:
    labels = ["code-review", "code-reviews", "painting"]
    assert [label for label, _ in near_labels("code-reviw", labels, 80)] == labels[:2]
    assert near_labels("code-review", ["code-review"], 80) == []


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("optimise", "optimize"),
        ("organizations", "organisations"),
        ("containerising", "containerizing"),
        ("colour", "color"),
        ("behavioural", "behavioral"),
        ("rise", "rise"),
        ("four", "four"),
        ("deploy", "deploy"),
    ],
)
def test_a_word_has_one_other_spelling(word: str, other: str) -> None:
    assert other_spelling(word) == other


@pytest.mark.parametrize("said", ["optimise", "optimize"])
def test_british_and_american_are_one(make_index: Callable[[Files], Index], said: str) -> None:
    files = {
        "agents/a.md": agent("a", "Optimizes the colour of bills."),
        "agents/b.md": agent("b", "Sings about optimism."),
    }
    index = make_index(files)
    answer = answer_agents(index, AgentQuery(context=f"{said} the color"), Terms())
    assert answer.rows[0].name == "a" and "Read" not in answer.reasoning
