"""How much does a term say about an entry, and about a query?"""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.bm25f import (
    QUERY_SCALE,
    SAT_MAX,
    SAT_SCALE,
    highest,
    idf,
    query_weight,
)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_idf_is_never_below_zero(counts: tuple[int, int]) -> None:
    assert idf(*counts) >= 0


def test_a_rare_term_weighs_more() -> None:
    assert query_weight(1, 1, 100) > query_weight(1, 2, 100) > query_weight(1, 90, 100)


def test_a_term_said_twice_weighs_more_but_not_twice() -> None:
    once, twice = query_weight(1, 5, 100), query_weight(2, 5, 100)
    assert once < twice < 2 * once


def test_weights_are_integers_in_units_of_the_scale() -> None:
    assert query_weight(1, 3, 10) == round(idf(3, 10) * QUERY_SCALE)
    assert query_weight(1, 3, 10, share=0.5) == round(idf(3, 10) * QUERY_SCALE / 2)


def test_the_highest_score_has_every_term_saturated() -> None:
    assert math.isclose(highest(7), 7 * SAT_MAX * SAT_SCALE, rel_tol=1e-4)
