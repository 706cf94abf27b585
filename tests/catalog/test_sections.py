"""How do arrays become one file and back?"""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog import sections
from orchestr8_index.catalog.sections import Sections, SortedKeys, write_sections
from orchestr8_index.errors import SnapshotUnreadable


@given(data=st.dictionaries(st.text(max_size=5), st.binary(max_size=40), max_size=6))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, bytes]
) -> None:
    path = tmp_path_factory.mktemp("s") / "x.segment"
    opened = Sections(path, write_sections(path, data))
    for name, value in data.items():
        assert opened.read(name) == bytes(opened.mapped(name, "B")) == value


def test_numbers_keep_their_width(tmp_path: Path) -> None:
    path, numbers = tmp_path / "x", array("Q", [1, 1 << 60])
    sections = Sections(path, write_sections(path, {"odd": b"abc", "numbers": numbers}))
    assert list(sections.mapped("numbers", "Q")) == [1, 1 << 60]


def test_a_part_of_a_section_can_be_read(tmp_path: Path) -> None:
    sections = Sections(tmp_path / "x", write_sections(tmp_path / "x", {"a": b"0123456"}))
    assert sections.read("a", 2, 3) == b"234"


def test_sections_are_read_where_there_is_no_pread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = Sections(tmp_path / "x", write_sections(tmp_path / "x", {"a": b"12", "b": b"345"}))
    monkeypatch.setattr("orchestr8_index.catalog.sections.HAS_PREAD", False)
    assert (sections.read("b"), sections.read("b", 1, 1)) == (b"345", b"4")


def test_sections_are_aligned(tmp_path: Path) -> None:
    table = write_sections(tmp_path / "x", {"a": b"1", "b": b"2", "c": b""})
    assert all(offset % 8 == 0 for offset, _ in table.values())


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    write_sections(tmp_path / "x", {})
    with pytest.raises(FileExistsError):
        write_sections(tmp_path / "x", {})


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SnapshotUnreadable, match="lacks agent.segment"):
        Sections(tmp_path / "agent.segment", {})


def test_a_truncated_file_is_told(tmp_path: Path) -> None:
    table = write_sections(tmp_path / "x", {"a": b"1" * 100})
    (tmp_path / "x").write_bytes(b"1" * 50)
    with pytest.raises(SnapshotUnreadable, match="truncated"):
        Sections(tmp_path / "x", table)


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    sections = Sections(tmp_path / "x", write_sections(tmp_path / "x", {}))
    sections.close()
    sections.close()


@given(st.sets(st.integers(0, 2**64 - 1), max_size=60), st.integers(0, 2**64 - 1))
def test_sorted_keys_are_found_where_they_stand(
    tmp_path_factory: pytest.TempPathFactory, drawn: set[int], other: int
) -> None:
    keys = array("Q", sorted(drawn))
    path = tmp_path_factory.mktemp("keys") / "file"
    table = write_sections(path, {"keys": keys})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sections, "STRIDE", 4)
        found = SortedKeys(Sections(path, table), "keys")
    assert [found.find(key) for key in keys] == list(range(len(keys)))
    assert found.find(other) == (keys.index(other) if other in drawn else None)
