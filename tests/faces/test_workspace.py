"""Does a task's file work stay in its folder, whole, and unlost?"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.faces.workspace import MOST_BYTES, Workspace, WorkspaceRefusal


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with the file a/f.py of task t, beside a secret and an evil twin."""
    (tmp_path / "work/t/a").mkdir(parents=True)
    (tmp_path / "work/t/a/f.py").write_text("one\n")
    (tmp_path / "work-evil").mkdir()
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "work"


def status_of(do: Callable[[], object]) -> int:
    with pytest.raises(WorkspaceRefusal) as refused:
        do()
    return refused.value.status


class TestReading:
    def test_a_file_is_read_with_its_revision(self, root: Path) -> None:
        text = Workspace(root).read("t", "a/f.py")
        assert text.content == "one\n"
        assert Workspace(root).read("t", "./a/f.py") == text

    def test_a_change_by_anybody_is_seen(self, root: Path) -> None:
        workspace = Workspace(root)
        before = workspace.read("t", "a/f.py")
        (root / "t/a/f.py").write_text("two\n")  # as long as before
        after = workspace.read("t", "a/f.py")
        assert after.content == "two\n"
        assert after.revision != before.revision

    def test_an_unchanged_file_is_opened_and_not_read_again(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        os.utime(root / "t/a/f.py", (1e9, 1e9))
        monkeypatch.setattr("orchestr8_index.faces.workspace.SETTLED_NS", -(10**18))
        workspace = Workspace(root)
        first = workspace.read("t", "a/f.py")
        assert workspace.read("t", "a/f.py") is first

    @pytest.mark.parametrize(
        ("task", "path", "status"),
        [
            ("t", "a/none.py", 404),
            ("t", "none/f.py", 404),
            ("nobody", "f.py", 404),
            ("t", "a", 422),
            ("t", "a/f.py/b", 422),
            ("t", "../secret", 422),
            ("t", "a/../../../secret", 422),
            ("t", "/etc/passwd", 422),
            ("t", "", 422),
            ("t", ".", 422),
            ("t", "a//f.py", 422),
            ("t", "a\0b", 422),
            ("t", "x" * 256, 422),
            ("..", "secret", 422),
            ("-evil", "f", 422),
            (".unfinished", "f", 422),
            ("", "f", 422),
            ("t/a", "f.py", 422),
        ],
    )
    def test_what_cannot_be_read_has_a_sentence(
        self, root: Path, task: str, path: str, status: int
    ) -> None:
        assert status_of(lambda: Workspace(root).read(task, path)) == status

    def test_what_is_no_text_is_refused(self, root: Path) -> None:
        (root / "t/b").write_bytes(b"\xff\xfe")
        assert status_of(lambda: Workspace(root).read("t", "b")) == 422

    def test_a_huge_file_is_told_by_its_size(self, root: Path) -> None:
        with open(root / "t/huge", "wb") as file:
            file.truncate(MOST_BYTES + 1)
        assert status_of(lambda: Workspace(root).read("t", "huge")) == 413

    def test_a_pipe_stops_nobody(self, root: Path) -> None:
        os.mkfifo(root / "t/pipe")
        assert status_of(lambda: Workspace(root).read("t", "pipe")) == 422
        assert status_of(lambda: Workspace(root).write("t", "pipe", "x")) == 422


class TestWriting:
    def test_a_new_file_makes_task_and_folders(self, root: Path) -> None:
        workspace = Workspace(root)
        written = workspace.write("new", "deep/er/f.txt", "käse")
        assert (root / "new/deep/er/f.txt").read_text() == "käse"
        assert workspace.read("new", "deep/er/f.txt") == written
        assert workspace.files("new") == ["deep/er/f.txt"]

    def test_a_file_that_changed_since_is_kept(self, root: Path) -> None:
        workspace = Workspace(root)
        seen = workspace.read("t", "a/f.py")
        (root / "t/a/f.py").write_text("theirs")
        with pytest.raises(WorkspaceRefusal, match="changed since") as refused:
            workspace.write("t", "a/f.py", "mine", seen.revision)
        assert refused.value.status == 409
        assert refused.value.data == {"revision": workspace.read("t", "a/f.py").revision}
        assert status_of(lambda: workspace.write("t", "a/f.py", "mine", "")) == 409
        workspace.write("t", "a/new.py", "mine", "")

    def test_the_file_keeps_its_mode(self, root: Path) -> None:
        (root / "t/a/f.py").chmod(0o755)
        Workspace(root).write("t", "a/f.py", "#!/bin/sh\n")
        assert (root / "t/a/f.py").stat().st_mode & 0o777 == 0o755

    def test_who_may_not_write_leaves_nothing(self, root: Path) -> None:
        def refuse() -> None:
            raise WorkspaceRefusal(409, "held")

        assert status_of(lambda: Workspace(root).write("t", "a/f.py", "x", allowed=refuse)) == 409
        assert (root / "t/a/f.py").read_text() == "one\n"
        assert not os.listdir(root / ".unfinished")

    @pytest.mark.parametrize(
        ("content", "status"), [("x" * (MOST_BYTES + 1), 413), ("\ud800", 422)]
    )
    def test_what_cannot_be_written_has_a_sentence(
        self, root: Path, content: str, status: int
    ) -> None:
        assert status_of(lambda: Workspace(root).write("t", "f", content)) == status

    def test_an_edit_replaces_what_is_there_once(self, root: Path) -> None:
        workspace = Workspace(root)
        before, after = workspace.edit("t", "a/f.py", "one", "two")
        assert (before.content, after.content) == ("one\n", "two\n")
        assert status_of(lambda: workspace.edit("t", "a/f.py", "one", "x")) == 422
        (root / "t/a/f.py").write_text("aa")
        assert status_of(lambda: workspace.edit("t", "a/f.py", "a", "x")) == 422
        assert status_of(lambda: workspace.edit("t", "a/f.py", "", "x")) == 422


def test_a_folder_that_comes_in_between_is_not_written_over(root: Path) -> None:
    workspace, folder = Workspace(root), root / "t/new"
    assert status_of(lambda: workspace.write("t", "new", "x", allowed=folder.mkdir)) == 422
    assert list(folder.iterdir()) == []


PARTS = [
    "..",
    ".",
    "",
    "a",
    "f.py",
    "out",
    "link",
    "loop",
    "~",
    "t",
    "work-evil",
    "secret",
    "\\..",
    "...",
]


@pytest.mark.parametrize("path", [".git/config", "a/.GIT/index", ".git", "b/git~1/hooks/x"])
def test_nothing_is_written_that_makes_git_run_a_program(tmp_path: Path, path: str) -> None:
    (tmp_path / "t").mkdir()
    with pytest.raises(WorkspaceRefusal, match="of git"):
        Workspace(tmp_path).write("t", path, "[core]")


@given(path=st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map("/".join))
def test_no_path_leaves_the_task(path: str) -> None:
    """Links lie inside, and are put in and taken out while it reads and writes."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "work")
        (root / "t/a").mkdir(parents=True)
        (root / "t/f.py").write_text("ours")
        outside = [Path(folder, "secret"), Path(folder, "work-evil/f.py"), root / "other/f.py"]
        for each in outside:
            each.parent.mkdir(exist_ok=True)
            each.write_text("secret")
        os.symlink(folder, root / "t/out")
        os.symlink("../../secret", root / "t/a/link")
        os.symlink(outside[1].parent, root / "t/link")
        workspace = Workspace(root)
        stop = swapping(root / "t/a", root / "other")
        try:
            with suppress(WorkspaceRefusal):
                assert workspace.read("t", path).content != "secret"
            with suppress(WorkspaceRefusal):
                workspace.write("t", path, "written")
        finally:
            stop()
        assert [each.read_text() for each in outside] == ["secret"] * len(outside)
        assert sorted(os.listdir(folder)) == ["secret", "work", "work-evil"]
        assert sorted(os.listdir(root / "other")) == ["f.py"]


def swapping(folder: Path, other: Path) -> Callable[[], None]:
    """A folder becomes a link out of the task, and a folder again, until it is told to stop."""
    done = threading.Event()
    aside = folder.with_name("aside")

    def swap() -> None:
        steps = (
            lambda: folder.rename(aside),
            lambda: os.symlink(other, folder),
            folder.unlink,
            lambda: aside.rename(folder),
        )
        while not done.is_set():
            for step in steps:
                with suppress(OSError):  # a write makes the folder that is missing
                    step()

    thread = threading.Thread(target=swap)
    thread.start()

    def stop() -> None:
        done.set()
        thread.join()

    return stop


WRITES = """
import sys, threading
from pathlib import Path
from orchestr8_index.faces.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    for sign in "ab":
        workspace.write("t", "f", sign * 300_000)
"""


def test_a_kill_in_a_write_leaves_the_old_file_or_the_new(root: Path) -> None:
    seen = set()
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", WRITES, str(root)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout
            writer.stdout.readline()
            while not (root / "t/f").exists():
                pass
            writer.kill()
        content = (root / "t/f").read_text()
        seen.add(content)
        assert content in ("a" * 300_000, "b" * 300_000)
    Workspace(root)
    assert not os.listdir(root / ".unfinished")


def test_what_others_keep_beside_unfinished_writes_stays(tmp_path: Path) -> None:
    for name in ("notes.txt", "0123456789abcdef"):
        (tmp_path / ".unfinished").mkdir(exist_ok=True)
        (tmp_path / ".unfinished" / name).write_text("")
    Workspace(tmp_path)
    assert os.listdir(tmp_path / ".unfinished") == ["notes.txt"]
