"""Does a saved file reach the next answer by itself?"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestr8_index.catalog.generations import Refresh
from orchestr8_index.catalog.worker import Builder
from orchestr8_index.config import read_settings
from orchestr8_index.serve import filewatch
from orchestr8_index.serve.filewatch import FileWatch, may_matter

from ..trees import write_tree
from .asking import Here

DEADLINE = 20.0
OLD = {"plugins/a/agents/old.md": "---\nname: old\n---\nOld."}


def refresh_over(root: Path, data: Path) -> Refresh:
    settings = read_settings((str(root),), 0, str(data))
    return Refresh(settings, Builder(settings))


def agents(refresh: Refresh) -> set[str]:
    assert refresh.index
    return set(refresh.index.segments["agent"].position)


async def change(root: Path, data: Path, check_seconds: float = 3600.0) -> set[str]:
    """Start to watch, add one agent and remove another; what is indexed then."""
    refresh = refresh_over(root, data)
    refresh.open_last()
    await refresh.begin()
    watch = FileWatch(refresh, check_seconds)
    watch.begin()
    try:
        async with asyncio.timeout(DEADLINE):
            while refresh.index and refresh.index.generation < 2:
                write_tree(root, {"plugins/a/agents/new.md": "---\nname: new\n---\nNew."})
                (root / "plugins/a/agents/old.md").unlink(missing_ok=True)
                await asyncio.sleep(0.05)  # until the watch is set up and has seen it
        await refresh.check()
    finally:
        await watch.stop()
        await refresh.stop()
    return agents(refresh)


def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "tree", OLD)


@pytest.mark.parametrize("changes", [filewatch.changes, filewatch._looked_at])
def test_a_saved_file_is_indexed_and_a_deleted_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: object
) -> None:
    """With what this system offers, and with what all do."""
    monkeypatch.setattr(filewatch, "changes", changes)
    assert asyncio.run(change(tree(tmp_path), tmp_path / "data")) == {"a:new"}


def test_the_clock_finds_what_watching_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object) -> None:
        raise OSError("no watches left")

    monkeypatch.setattr("orchestr8_index.serve.filewatch.changes", refuse)
    assert asyncio.run(change(tree(tmp_path), tmp_path / "data", 0.01)) == {"a:new"}


def gone_and_back(root: Path) -> None:
    shutil.rmtree(root)
    write_tree(root, NEW)


def renamed_over(root: Path) -> None:
    write_tree(root.with_name("other"), NEW)
    root.rename(root.with_name("before"))
    root.with_name("other").rename(root)


def below_renamed_over(root: Path) -> None:
    """The folder above is another one now."""
    write_tree(root.parent.with_name("elsewhere") / root.name, NEW)
    root.parent.rename(root.parent.with_name("former"))
    root.parent.with_name("elsewhere").rename(root.parent)


NEW = {"plugins/a/agents/new.md": "---\nname: new\n---\nNew."}
FIRST = {"plugins/a/agents/first.md": "---\nname: first\n---\nFirst."}
LAST = {"plugins/a/agents/last.md": "---\nname: last\n---\nLast."}


@pytest.mark.parametrize("replace", [gone_and_back, renamed_over, below_renamed_over])
def test_a_root_that_was_replaced_is_watched_again(
    tmp_path: Path, replace: Callable[[Path], None]
) -> None:
    """It may lie in a folder that is ignored below a root."""
    root = write_tree(tmp_path / ".venv/node_modules/tree", OLD)
    asyncio.run(replaced(root, tmp_path / "data", replace))


async def replaced(root: Path, data: Path, replace: Callable[[Path], None]) -> None:
    settings = read_settings((str(root),), 0, str(data))
    refresh = Refresh(settings, Here(settings))
    await refresh.wake()
    watch = FileWatch(refresh)
    watch.begin()

    async def comes(name: str) -> None:
        while name not in agents(refresh):
            watch.look()
            await asyncio.sleep(0.02)

    try:
        async with asyncio.timeout(DEADLINE):
            while "a:first" not in agents(refresh):  # until the watch stands
                write_tree(root, FIRST)
                await asyncio.sleep(0.05)
            watch.look()
            replace(root)
            await comes("a:new")
            while watch._doubtful:
                watch.look()
                await asyncio.sleep(0.1)
            write_tree(root, LAST)  # told by the new watch: nothing looks at files any more
            await comes("a:last")
    finally:
        await watch.stop()
        await refresh.stop()
    assert agents(refresh) == {"a:new", "a:last"}


@pytest.mark.parametrize(
    ("path", "matters"),
    [
        ("/r/agents/x.md", True),
        ("/r/.claude-plugin/plugin.json", True),
        ("/r/.claude/agent-registry.yml", True),
        ("/r/agents", True),
        ("/r/.cursor/rules/x.mdc", True),
        ("/r/prompts/x.yaml", True),
        ("/r/x.yaml", False),
        ("/r/.git/HEAD.md", False),
        ("/r/node_modules/a/README.md", False),
        ("/r/src/main.py", False),
    ],
)
def test_only_what_can_change_the_index_matters(path: str, matters: bool) -> None:
    assert may_matter(path, is_folder=False) is matters


def test_a_folder_matters_whatever_its_name(tmp_path: Path) -> None:
    """`mv foo-1.2.0 plugins/` is told of the folder alone, and so is its removal."""
    folder = tmp_path / "foo-1.2.0"
    folder.mkdir()
    assert may_matter(str(folder), is_folder=False)
    folder.rmdir()
    assert may_matter(str(folder), is_folder=True)


def test_a_child_waits_for_the_next_change_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(Builder, "prepare", lambda self: done.append("prepared"))
    monkeypatch.setattr(Builder, "dismiss", lambda self: done.append("dismissed"))
    asyncio.run(edit(tree(tmp_path), tmp_path / "data", done))
    assert done[:2] == ["prepared", "dismissed"]


async def edit(root: Path, data: Path, done: list[str]) -> None:
    """Change a file until a child was prepared, and dismissed when nothing else changed."""
    refresh = refresh_over(root, data)
    refresh.open_last()
    await refresh.begin()
    watch = FileWatch(refresh, ready_seconds=0.0)
    watch.begin()
    try:
        async with asyncio.timeout(DEADLINE):
            while "prepared" not in done:
                write_tree(root, {"plugins/a/agents/new.md": "---\nname: new\n---\nNew."})
                await asyncio.sleep(0.05)
            while "dismissed" not in done:
                await asyncio.sleep(0.01)
    finally:
        await watch.stop()
        await refresh.stop()
