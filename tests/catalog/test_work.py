"""How much work can one question ask for? Not more than its length, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestr8_index.catalog.index import Index, Segment
from orchestr8_index.search.compounds import MOST_SPELT
from orchestr8_index.search.query import read_query
from orchestr8_index.text import Terms

from ..trees import Files, agent

LONGEST = 500  # characters, by the contract
QUESTIONS = {
    "Chinese without a space": "".join(chr(0x4E00 + n) for n in range(LONGEST)),
    "Chinese that ends in English": "".join(chr(0x4E00 + n) for n in range(LONGEST - 8))
    + "organise",
    "signs that stand for four": "".join(chr(0x3300 + n % 88) for n in range(LONGEST)),
    "a sign that stands for eighteen": "\ufdfa" * LONGEST,
    "short words": "".join(f"{chr(97 + n % 26)}{chr(97 + n // 26)} " for n in range(166)),
    "words that nobody knows": "".join(f"zq{chr(97 + n % 26)}{n:03} " for n in range(71)),
    "camels": "".join(f"{chr(65 + n % 26)}{chr(97 + n // 26)}x" for n in range(166)),
}


@pytest.fixture
def segment(make_index: Callable[[Files], Index]) -> Segment:
    return make_index({"agents/a.md": agent("a", "一丁 reads data")}).segments["agent"]


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_work_grows_with_the_length(
    segment: Segment, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 Chinese characters were looked up a quarter of a million times: 0.6 s."""
    looked: list[str] = []
    find = segment.find_term

    def counted(term: str) -> int | None:
        looked.append(term)
        return find(term)

    monkeypatch.setattr(segment, "find_term", counted)
    asked = QUESTIONS[name]
    assert len(asked) <= LONGEST
    words = read_query(segment, asked, Terms()).words
    assert len(words) <= 2 * LONGEST
    assert len(looked) <= (MOST_SPELT + 6) * LONGEST  # as they stand, and word by word in English


def test_an_unknown_pair_of_characters_is_not_taken_for_a_known_one(segment: Segment) -> None:
    """Each unknown pair was read as the first known one of the same run."""
    words = read_query(segment, "一丁万丈", Terms()).words
    assert [word.term for word in words if word.place is not None] == ["一丁"]
    assert len([word for word in words if not word.is_pair]) == 3
