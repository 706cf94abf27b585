"""Is what is opened what was looked at? Links are swapped in between."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestr8_index.coordinate.repository import common_folder, stash_entries, worktrees
from orchestr8_index.opening import read_within
from orchestr8_index.project import find_project
from orchestr8_index.roots import read_json, read_toml


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


# --- what a host, or git, keeps in a folder that a stranger made ----------------------------------


@contextlib.contextmanager
def piped(path: Path, said: str) -> Iterator[None]:
    """Within: a pipe at that path, and somebody who would say this to who reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)

    def say() -> None:
        with contextlib.suppress(BrokenPipeError), open(path, "w") as pipe:
            pipe.write(said)

    saying = threading.Thread(target=say, daemon=True)
    saying.start()
    yield
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # so that nobody waits on
    saying.join()
    os.close(reading)


def test_no_settings_are_read_from_a_pipe(tmp_path: Path) -> None:
    """A link to one, or to a terminal, in a stranger's tree held the whole server."""
    for name, read_settings in (("settings.json", read_json), ("config.toml", read_toml)):
        with piped(tmp_path / f"{name}.pipe", '{"a": 1}' if name[-1] == "n" else "a = 1"):
            (tmp_path / name).symlink_to(f"{name}.pipe")
            assert read_settings(tmp_path / name) == {}


def test_no_note_of_git_is_read_from_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "other/.git/worktrees/x").mkdir(parents=True)
    (tmp_path / "other/.git/worktrees/x/commondir").write_text("../..")
    tree, said = tmp_path / "tree", f"gitdir: {tmp_path}/other/.git/worktrees/x\n"
    with piped(tree / ".git", said):
        found = find_project(str(tree), str(tmp_path))
        assert found is not None and found.folder == str(tree)
    with piped(tree / "below/.git", said):
        assert common_folder(str(tree / "below")) is None
    with piped(tmp_path / "whole/.git/worktrees/x/gitdir", f"{tmp_path}/other/.git\n"):
        assert worktrees(str(tmp_path / "whole")) == [str(tmp_path / "whole")]
    with piped(tmp_path / "whole/.git/logs/refs/stash", f"{0:040} {1:040} A <a> 0 +0000\tWIP\n"):
        assert stash_entries(str(tmp_path / "whole")) == []
