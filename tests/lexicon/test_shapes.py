"""Which texts have a shape? Pieces of text and patterns, each where a word begins."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.lexicon.shapes import Shape, check
from orchestr8_index.lexicon.tables import tables

EVERY = sorted({shape for shapes in tables().shapes.values() for shape in shapes})


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("", "anything", True),
        ("no module named", "no module named x", True),
        (r"(one|two \d+|t(?:h)ree)", "two 22", True),
        (r"(one|two \d+|t(?:h)ree)", "three", True),
        (r"(one|two \d+|t(?:h)ree)", "two", False),
        ("axe", "relaxed axes", True),
        ("axe", "relaxed", False),
        (r"free\(\)", "double free() or corruption", True),
        (r"a [x|y] b", "a | b", True),
    ],
)
def test_a_text_has_a_shape(pattern: str, text: str, fits: bool) -> None:
    assert Shape(pattern, "words").fits(text) is fits


@pytest.mark.parametrize("pattern", ["(a+)+", "(a*)*b", "(", "a" * 2000, "(x{2,})*"])
def test_a_pattern_that_is_wrong_or_slow_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError):
        check(pattern)


def test_every_shipped_pattern_is_sound_and_in_lower_case() -> None:
    for shape in EVERY:
        check(shape.pattern)
        plain = re.sub(r"\\.", "", shape.pattern)
        assert plain == plain.lower()


@given(st.text(max_size=500))
def test_any_text_can_be_matched(text: str) -> None:
    for shape in EVERY[::10]:
        shape.fits(text)
