"""Where does a string stand among many?"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from orchestr8_index.catalog.sections import (
    Places,
    Sections,
    Strings,
    places_sections,
    starts_of,
    strings_sections,
    write_sections,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)


def strings(folder: Path, texts: list[str]) -> Strings:
    made = strings_sections("s", (text.encode() for text in sorted(texts)))
    return Strings(Sections(folder / "f", write_sections(folder / "f", made)), "s")


@given(st.lists(TEXT, unique=True, max_size=12), TEXT)
def test_strings_are_found_like_in_a_sorted_list(texts: list[str], asked: str) -> None:
    with TemporaryDirectory() as folder:
        found = strings(Path(folder), texts)
        assert dict(found) == {text: place for place, text in enumerate(sorted(texts))}
        assert found.get(asked) == (sorted(texts).index(asked) if asked in texts else None)
        assert (asked in found) == (asked in texts)


@given(st.lists(TEXT, unique=True, max_size=12), st.text("abé", max_size=2))
def test_strings_that_begin_alike_stand_together(texts: list[str], head: str) -> None:
    with TemporaryDirectory() as folder:
        found = strings(Path(folder), texts)
        begin = [found.at(place) for place in found.beginning(head)]
        assert begin == sorted(text for text in texts if text.startswith(head))


@given(st.lists(TEXT, unique=True, max_size=12), TEXT.filter(bool), st.integers(1, 2))
def test_no_string_a_few_edits_away_is_missed(texts: list[str], asked: str, edits: int) -> None:
    with TemporaryDirectory() as folder:
        found = strings(Path(folder), texts).alike(asked, edits)
        same = [text for text in sorted(texts) if text[:1] == asked[0]]
        assert set(found) >= {text for text in same if OSA.distance(text, asked) <= edits}
        assert set(found) <= set(same)


def test_only_strings_of_about_the_length_are_alike(tmp_path: Path) -> None:
    found = strings(tmp_path, ["pear", "plum", "p" + "x" * 20, "apple", "pe"])
    assert found.alike("pears", 1) == ["pear", "plum"]
    assert found.alike("zebra", 1) == []


@pytest.mark.parametrize("lone", ["\ud800", "a\ud800"])
def test_half_a_character_is_nowhere(tmp_path: Path, lone: str) -> None:
    assert lone not in strings(tmp_path, ["a"])


def test_each_string_has_its_places(tmp_path: Path) -> None:
    has = {"b": [2], "a": [0, 3], "": [1]}
    table = write_sections(tmp_path / "f", places_sections("p", has))
    assert dict(Places(Sections(tmp_path / "f", table), "p")) == has


def test_starts_end_where_the_last_part_ends() -> None:
    assert starts_of([b"ab", b"", b"c"]).tolist() == [0, 2, 2, 3]
    assert starts_of([]).tolist() == [0]
