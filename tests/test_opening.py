"""Is what is opened what was looked at? Links are swapped in between."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestr8_index.opening import read_within


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one file, and a secret beside it."""
    (tmp_path / "root/a/b").mkdir(parents=True)
    (tmp_path / "root/a/b/f.md").write_text("ours")
    (tmp_path / "out/b").mkdir(parents=True)
    (tmp_path / "out/b/f.md").write_text("secret")
    return tmp_path / "root"


def read(root: Path, path: str, *more: Path) -> bytes:
    return read_within((str(root), *map(str, more)), str(root), path, 100)


def swap(path: Path, target: Path) -> None:
    path.rename(path.with_name("away"))
    path.symlink_to(target)


def test_a_plain_file_is_read_at_once(root: Path) -> None:
    assert read(root, "a/b/f.md") == b"ours"


@pytest.mark.parametrize(("part", "target"), [("a/b/f.md", "b/f.md"), ("a/b", "b"), ("a", "")])
def test_a_link_that_leads_out_is_not_followed(root: Path, part: str, target: str) -> None:
    swap(root / part, root.parent / "out" / target)
    with pytest.raises(PermissionError, match="outside"):
        read(root, "a/b/f.md")


@pytest.mark.parametrize(("part", "target"), [("a/b/f.md", "b/f.md"), ("a/b", "b"), ("a", "")])
def test_a_link_swapped_in_after_the_look_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch, part: str, target: str
) -> None:
    (root / "link").symlink_to(root / "a")
    look: Callable[..., str] = os.path.realpath

    def looked(path: str, **given: bool) -> str:
        real = look(path, **given)
        swap(root / part, root.parent / "out" / target)
        return real

    monkeypatch.setattr("os.path.realpath", looked)
    with pytest.raises(OSError):
        read(root, "link/b/f.md")


def test_a_link_on_purpose_is_good_where_it_leads_into_a_root(root: Path) -> None:
    (root / "skills").symlink_to(root.parent / "out")
    assert read(root, "skills/b/f.md", root.parent / "out") == b"secret"
    with pytest.raises(PermissionError):
        read(root, "skills/b/f.md", root.parent / "ou")  # no folder of that name


@pytest.mark.parametrize("path", ["../out/b/f.md", "a/../../out/b/f.md", "a", "", "a/b/pipe"])
def test_what_is_no_file_below_the_root_is_not_opened(root: Path, path: str) -> None:
    os.mkfifo(root / "a/b/pipe")
    with pytest.raises(OSError):
        read(root, path)
