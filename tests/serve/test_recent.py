"""The questions asked most are kept over a stop."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from orchestr8_index.serve.recent import MAX_BYTES, MOST, NAME, SAVED, RecentQuestions


def asked_twice() -> RecentQuestions:
    recent = RecentQuestions()
    recent.note("a", b"{}")
    recent.note("a", b"{}")
    return recent


def loaded(data_dir: Path, roots_digest: str) -> list[tuple[str, bytes]]:
    recent = RecentQuestions()
    recent.load(data_dir, roots_digest)
    return recent.lately()


def test_the_hottest_come_first_and_what_was_asked_once_not_at_all() -> None:
    recent = RecentQuestions()
    for method, times in (("a", 2), ("b", 3), ("c", 1)):
        for _ in range(times):
            recent.note(method, b"{}")
    assert recent.most_asked() == [("b", b"{}"), ("a", b"{}")]


def test_it_is_bounded_in_number_and_size() -> None:
    recent = RecentQuestions()
    for number in range(MOST * 2):
        recent.note(f"{number}", b"x" * 5000)
        recent.note(f"{number}", b"x" * 5000)
    assert len(recent._counts) == MOST
    assert len(recent.most_asked()) == MAX_BYTES // 5064 < SAVED


def test_what_was_saved_is_loaded_for_the_same_roots_only(tmp_path: Path) -> None:
    asked_twice().save(tmp_path, "roots")
    assert loaded(tmp_path, "roots") == [("a", b"{}")]
    assert loaded(tmp_path, "others") == []
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff" * 99, b"x" * 200_000])
def test_a_damaged_file_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    assert loaded(tmp_path, "roots") == []


def test_where_nothing_can_be_written_nothing_is_saved(tmp_path: Path) -> None:
    asked_twice().save(tmp_path / "missing", "roots")
    assert not (tmp_path / "missing").exists()
