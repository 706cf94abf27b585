"""Is a word English? All of the list are, and few others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.lexicon.english import fill, has, is_english
from orchestr8_index.text import Terms

STEM = Terms().stem


@pytest.mark.parametrize("word", "lawyer strike printer complaint scanner protest invoice".split())
def test_everyday_words_are_english(word: str) -> None:
    assert is_english(STEM(word))


@pytest.mark.parametrize("word", "kuberntes deploymnet manifext reviwer authetication".split())
def test_slips_of_the_pen_are_not(word: str) -> None:
    assert not is_english(STEM(word))


@given(st.sets(st.text(min_size=1), min_size=1, max_size=50))
def test_whatever_was_filled_in_is_found(stems: set[str]) -> None:
    bits = fill(stems)
    assert all(has(bits, stem) for stem in stems)


def test_little_else_is_found() -> None:
    bits = fill({f"in{n}" for n in range(1000)})
    assert sum(has(bits, f"out{n}") for n in range(1000)) < 20
