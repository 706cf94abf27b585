"""How alike are two goals? Against values worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.learn.tasks import similarity

WORDS = st.lists(st.sampled_from("ab cd ef gh ij".split()), max_size=5, unique=True)


def of(first: str, second: str) -> float:
    return similarity(first, second, first.split(), second.split())


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        # equal: 1 of each
        ("ab cd", "ab cd", 0.5 + 0.3 + 0.2),
        # one of two shared: cosine 1/2, keyword 1/3; "ab cd", "ab ef": ratio 2·3/10
        ("ab cd", "ab ef", 0.5 * 0.5 + 0.3 / 3 + 0.2 * 0.6),
        # one of one and two: cosine 1/√2, keyword 1/2; "ab", "ab cd": ratio 2·2/7
        ("ab", "ab cd", 0.5 / math.sqrt(2) + 0.3 * 0.5 + 0.2 * 4 / 7),
        # nothing shared but the blank: ratio 2·1/10
        ("ab cd", "ef gh", 0.2 * 0.2),
        # case is no difference to the string part
        ("xy", "XY", 0.2),
    ],
)
def test_the_formula(first: str, second: str, wanted: float) -> None:
    assert of(first, second) == pytest.approx(wanted)


@given(WORDS, WORDS)
def test_it_is_a_share_and_symmetric(first: list[str], second: list[str]) -> None:
    one, other = " ".join(first), " ".join(second)
    assert 0 <= of(one, other) <= 1 + 1e-9
    assert of(one, other) == pytest.approx(of(other, one))


@given(WORDS, WORDS, st.floats(0, 1))
def test_a_bound_changes_no_value_above_it(
    first: list[str], second: list[str], least: float
) -> None:
    one, other = " ".join(first), " ".join(second)
    bounded = similarity(one, other, first, second, least)
    assert bounded == of(one, other) or (bounded == 0 and of(one, other) < least)
