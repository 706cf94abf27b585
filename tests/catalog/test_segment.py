"""How do the entries of one kind become a file?"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.index import Segment
from orchestr8_index.catalog.kind_data import Embedder
from orchestr8_index.catalog.sections import Sections
from orchestr8_index.catalog.segment import write_segment
from orchestr8_index.catalog.word_vectors import Words
from orchestr8_index.records import Entry

from .small import filled


class Text(NamedTuple):
    name: str
    description: str
    body: str


def make_segment(folder: Path, texts: list[Text]) -> Segment:
    entries = [
        Entry("agent", "p", text.name, f"f{n}", text.description, 0, f"{n}", "")
        for n, text in enumerate(texts)
    ]
    return write(folder, [(e, text.body) for e, text in zip(entries, texts, strict=True)])


def write(folder: Path, entries: list[tuple[Entry, str]]) -> Segment:
    words = Words()
    holding = filled(folder, entries, Embedder(words))
    info = write_segment(folder, "agent", holding)
    return Segment("agent", Sections(folder / "agent.segment", info.sections), info, words)


@given(
    texts=st.lists(st.builds(Text, st.text(max_size=9), st.text(max_size=9), st.text()), max_size=5)
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, texts: list[Text]
) -> None:
    segment = make_segment(tmp_path_factory.mktemp("segment"), texts)
    assert segment.size == len(texts)
    for place, text in enumerate(texts):
        assert segment.entry(place).name == text.name
        assert segment.text(place) == text.body


def test_labels_are_folded_and_listed_once(tmp_path: Path) -> None:
    entry = Entry("agent", "p", "a", "a", "", 0, "", "", tags=("SQL", "sql", "--"), category="Data")
    segment = write(tmp_path, [(entry, "")])
    assert segment.labels == {"sql": [0], "data": [0]}
