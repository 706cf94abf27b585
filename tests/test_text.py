"""Which words count? Folding, splitting, stemming, and what is never let through."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.text import (
    Terms,
    as_utf8,
    clean,
    cut,
    display,
    fold,
    fold_name,
    has_unsafe,
    raw_words,
    usual_stem,
)


def test_what_every_request_says_is_left_out(terms: Terms) -> None:
    assert terms("Please review our K8s YAML") == ["review", "k8s", "yaml"]


def test_words_are_stemmed(terms: Terms) -> None:
    assert terms("migrations migrating") == terms("migration migrate")


def test_a_compound_counts_whole_and_in_parts(terms: Terms) -> None:
    assert terms("FastAPI") == ["fastapi", "fast", "api"]


def test_short_parts_of_a_compound_do_not_count(terms: Terms) -> None:
    assert terms("iOS") == ["io"]


@pytest.mark.parametrize("word", ["c++", "c#", "f#", ".net", "node.js", "next.js"])
def test_names_of_languages_keep_their_marks(word: str) -> None:
    assert raw_words(f"a {word} expert")[1] == word


def test_a_run_of_ideographs_counts_as_its_pairs(terms: Terms) -> None:
    assert terms("数据库") == ["数据", "据库"]
    assert terms("猫") == ["猫"]


def test_ideographs_beside_latin_letters_are_split(terms: Terms) -> None:
    assert terms("Python代码") == ["python", "代码"]


def test_accents_and_width_do_not_matter(terms: Terms) -> None:
    assert terms("Café ＡＰＩ") == terms("cafe api")


def test_an_emoji_is_a_word(terms: Terms) -> None:
    assert terms("🚀 launch") == ["🚀", "launch"]


def test_the_memory_of_words_is_bounded() -> None:
    few = Terms(bound=2)
    assert few("alpha beta gamma alpha") == Terms()("alpha beta gamma alpha")


def test_names_are_one_however_they_are_joined() -> None:
    assert fold_name("Code_Reviewer") == fold_name("code-reviewer") == fold_name("code  reviewer")


def test_names_keep_what_tells_languages_apart() -> None:
    assert len({fold_name(name) for name in ("c-pro", "c++-pro", "c#-pro")}) == 3


@given(st.text())
def test_folding_is_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_folding_is_idempotent_for_every_character() -> None:
    characters = map(chr, range(0x80, 0x30000))  # what lies above has no folding
    assert [c for c in characters if fold(c) != c and fold(fold(c)) != fold(c)] == []


@given(st.text())
def test_terms_of_folded_text_are_stable(text: str) -> None:
    split = Terms()
    assert split(fold(fold(text))) == split(fold(text))


@given(st.text(alphabet=st.characters()))
def test_cleaned_text_is_one_line_without_controls(text: str) -> None:
    cleaned = clean(text)
    assert not {unicodedata.category(c) for c in cleaned} & {"Cc", "Cs", "Zl", "Zp"}
    cleaned.encode()


@pytest.mark.parametrize("mark", list("\u061c\u200e\u200f\u202a\u202e\u2066\u2069\x1b\x85\ud800"))
def test_direction_marks_and_controls_are_removed(mark: str) -> None:
    assert has_unsafe(f"a{mark}b")
    assert clean(f"a{mark}b") == "ab"


def test_colours_are_removed_with_their_numbers() -> None:
    assert clean("\x1b[1;31mred\x1b[0m") == "red"


def test_a_literal_line_end_is_a_space() -> None:
    assert clean(r"one\ntwo") == "one two"


def test_undecodable_file_names_are_shown_with_replacements() -> None:
    assert as_utf8("caf\udce9.md") == "caf\ufffd.md"
    assert display("\x01\x02") == "unnamed"


def test_a_cut_falls_between_words() -> None:
    assert cut("one two three, four five", 16) == "one two three…"
    assert cut("short", 5) == "short"


@given(st.text(), st.integers(1, 50))
def test_a_cut_is_never_longer_than_asked(text: str, length: int) -> None:
    assert len(cut(text, length)) <= length


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("accessible", "access"),
        ("authorize", "author"),
        ("containers", "contains"),
        ("important", "import"),
        ("accountant", "account"),
        ("localized", "local"),
        ("experiments", "experience"),
        ("integrity", "integration"),
    ],
)
def test_words_of_other_meanings_are_other_terms(word: str, other: str) -> None:
    terms = Terms()
    assert terms(word) != terms(other)
    assert usual_stem(terms.stem(word)) == usual_stem(terms.stem(other))
