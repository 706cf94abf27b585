"""How are postings added up? Two kernels, one result to the last bit."""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.index import Index
from orchestr8_index.search.query import read_query
from orchestr8_index.search.rank import parts
from orchestr8_index.search.scorer import NumpyTotals, Part, PlainTotals, Totals, add_up
from orchestr8_index.text import Terms

SIZE = 40
KERNELS = (PlainTotals, NumpyTotals)


class FakeRuns:
    """Postings in memory, as `Runs` gives them."""

    def __init__(self, postings: list[dict[int, int]], typecode: str) -> None:
        self.typecode = typecode
        self._postings = postings

    def arrays(self, place: int) -> tuple[array[int], array[int]]:
        run = sorted(self._postings[place].items())
        return array(self.typecode, [e for e, _ in run]), array("H", [s for _, s in run])


class FakeSegment:
    size = SIZE
    uses_numpy = False


Weighted = list[tuple[dict[int, int], int]]
PLACES = st.integers(0, SIZE - 1)
POSTINGS = st.dictionaries(PLACES, st.integers(1, 62_259), max_size=SIZE)
WEIGHTED = st.lists(st.tuples(POSTINGS, st.integers(0, 6_000_000) | st.integers(0, 2)), max_size=8)
SEGMENT: Any = FakeSegment()


def make_parts(weighted: Weighted, typecode: str = "H") -> list[Part]:
    runs: Any = FakeRuns([postings for postings, _ in weighted], typecode)
    return [(runs, place, weight) for place, (_, weight) in enumerate(weighted)]


@given(WEIGHTED, st.sampled_from("HI"), st.integers(1, SIZE + 5))
def test_both_kernels_rank_alike(weighted: Weighted, typecode: str, depth: int) -> None:
    made = make_parts(weighted, typecode)
    plain, fast = (kernel(SEGMENT, made).best(depth) for kernel in KERNELS)
    assert plain == fast


@given(WEIGHTED, st.dictionaries(PLACES, st.integers(0, 10**12), max_size=5))
def test_both_kernels_change_alike(weighted: Weighted, scores: dict[int, int]) -> None:
    def changed(totals: Totals) -> list[tuple[int, int]]:
        totals.put(list(scores), list(scores.values()))
        assert totals.at(list(scores)) == list(scores.values())
        return totals.best(SIZE)

    plain, fast = (changed(kernel(SEGMENT, make_parts(weighted))) for kernel in KERNELS)
    assert plain == fast


@given(WEIGHTED)
def test_scores_are_sums_and_ties_go_by_position(weighted: Weighted) -> None:
    totals = {place: sum(w * p.get(place, 0) for p, w in weighted) for place in range(SIZE)}
    wanted = sorted(((e, s) for e, s in totals.items() if s), key=lambda hit: (-hit[1], hit[0]))
    assert PlainTotals(SEGMENT, make_parts(weighted)).best(SIZE) == wanted


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_weight_of_zero_finds_nobody(kernel: Any) -> None:
    # in a large segment the weight of a term that all entries have rounds to zero
    assert kernel(SEGMENT, make_parts([({1: 5}, 0)])).best(5) == []


@pytest.mark.parametrize("text", ["postgres query plan", "review code", "the", "design api test"])
def test_both_kernels_rank_a_real_segment_alike(
    shipped_index: Index, terms: Terms, text: str
) -> None:
    for segment in shipped_index.segments.values():
        made = parts(segment, read_query(segment, text, terms))
        plain, fast = (kernel(segment, made).best(5) for kernel in KERNELS)
        assert plain == fast


def test_numpy_is_for_large_segments() -> None:
    segment: Any = FakeSegment()
    assert isinstance(add_up(segment, []), PlainTotals)
    segment.uses_numpy = True
    assert isinstance(add_up(segment, []), NumpyTotals)


@given(WEIGHTED, st.lists(st.integers(0, 10**12), min_size=SIZE, max_size=SIZE))
def test_both_kernels_add_to_all_alike(weighted: Weighted, given_: list[int]) -> None:
    def added(totals: Totals) -> list[tuple[int, int]]:
        before = totals.best(SIZE)
        more = totals.plus(given_)
        assert totals.best(SIZE) == before
        return more.best(SIZE)

    plain, fast = (added(kernel(SEGMENT, make_parts(weighted))) for kernel in KERNELS)
    assert plain == fast and len(plain) >= sum(map(bool, given_))
