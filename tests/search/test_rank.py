"""Which entries answer a text, and how well?"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.index import Index, Segment
from orchestr8_index.search.query import read_query
from orchestr8_index.search.rank import contributions, rank
from orchestr8_index.text import Terms

from ..trees import Files, agent


def names(segment: Segment, text: str, terms: Terms) -> list[str]:
    return [segment.entry(hit.place).name for hit in rank(segment, text, terms).hits]


def test_a_name_says_more_than_a_body(segment: Segment, terms: Terms) -> None:
    assert names(segment, "a tuner for queries", terms) == ["sql-tuner", "writer"]


def test_bodies_are_searched(segment: Segment, terms: Terms) -> None:
    assert names(segment, "colours", terms) == ["painter"]


def test_unknown_words_find_nobody(segment: Segment, terms: Terms) -> None:
    assert names(segment, "xqzv", terms) == []
    assert names(segment, "please help me", terms) == []


def test_a_misspelt_word_counts_half(segment: Segment, terms: Terms) -> None:
    right, wrong = rank(segment, "database", terms), rank(segment, "databasse", terms)
    assert [hit.place for hit in wrong.hits] == [hit.place for hit in right.hits]
    assert abs(wrong.hits[0].score * 2 - right.hits[0].score) <= right.hits[0].score / 1000
    assert wrong.query.words[0].instead_of


def test_a_pair_of_terms_counts_beyond_its_terms(segment: Segment, terms: Terms) -> None:
    query = read_query(segment, "sql tuner", terms)
    assert [word.asked for word in query.words if word.is_pair] == ["sql tuner"]
    assert not any(word.is_pair for word in read_query(segment, "tuner sql", terms).words)


def test_unknown_words_lower_the_relative_score(segment: Segment, terms: Terms) -> None:
    alone, beside = rank(segment, "tuner", terms), rank(segment, "tuner zebra", terms)
    assert alone.hits[0].relative > beside.hits[0].relative


def test_no_more_than_asked_for_are_ranked(segment: Segment, terms: Terms) -> None:
    assert len(rank(segment, "plan", terms, depth=2).hits) == 2


@given(st.lists(st.sampled_from("review code api test data plan design zebra".split()), max_size=6))
def test_scores_are_shares_and_sums_of_contributions(
    shipped_index: Index, words: list[str]
) -> None:
    segment, split = shipped_index.segments["agent"], Terms()
    ranking = rank(segment, " ".join(words), split)
    for hit in ranking.hits:
        assert 0 < hit.relative <= 1
        given = sum(points for _, points in contributions(segment, ranking.query, hit.place))
        assert given + ranking.meant.get(hit.place, 0) == hit.score


def test_the_order_of_ties_is_that_of_names(
    make_index: Callable[[Files], Index], terms: Terms
) -> None:
    files = {f"plugins/{p}/agents/a.md": agent("twin") for p in "cab"}
    segment = make_index(files).segments["agent"]
    hits = rank(segment, "twin", terms).hits
    assert [segment.entry(hit.place).plugin for hit in hits] == ["a", "b", "c"]
