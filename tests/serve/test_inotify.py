"""Does Linux tell what changes, wherever folders come from and go to?"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.serve import inotify

from ..trees import write_tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
DEADLINE = 10.0
TREE = {"a/agents/old.md": "Old.", "node_modules/a/x.md": "No.", "b-1.2/x.md": "B."}


async def told(root: Path, act: Callable[[], object], wanted: str) -> set[str]:
    """What is told once `act` was done, until a path ending in `wanted` is among it."""
    with watching(root) as watched:
        act()
        found = set[str]()
        async with asyncio.timeout(DEADLINE):
            while not any(path.endswith(wanted) for path in found):
                await watched.stirred.wait()
                watched.watch_new()
                found |= watched.take()
    return {path.removeprefix(f"{root}/") for path in found}


@contextlib.contextmanager
def watching(root: Path) -> Iterator[inotify.Inotify]:
    watched = inotify.Inotify([str(root)], lambda path, is_folder: not path.endswith(".tmp"))
    watched.watch_new()
    watched.begin()
    try:
        yield watched
    finally:
        watched.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "tree", TREE)


def test_a_file_that_is_saved_moved_or_removed_is_told(root: Path) -> None:
    def act() -> None:
        write_tree(root, {"a/agents/new.md": "New.", "a/agents/half.tmp": "Saved."})
        (root / "a/agents/half.tmp").rename(root / "a/agents/saved.md")
        (root / "a/agents/old.md").unlink()

    found = asyncio.run(told(root, act, "old.md"))
    assert found == {"a/agents/new.md", "a/agents/saved.md", "a/agents/old.md"}


def test_what_lies_in_a_folder_that_is_ignored_wakes_nobody(root: Path) -> None:
    def act() -> None:
        write_tree(root, {"node_modules/a/y.md": "No.", ".git/HEAD.md": "No.", "last.md": "Yes."})

    assert asyncio.run(told(root, act, "last.md")) == {"last.md"}


@pytest.mark.parametrize("come", ["made", "moved in", "moved within"])
def test_a_new_folder_is_watched_with_all_below_it(root: Path, come: str) -> None:
    outside = write_tree(root.with_name("outside"), {"deep/x.md": "X."})

    def act() -> None:
        if come == "made":
            (root / "new/deep").mkdir(parents=True)
        elif come == "moved in":
            outside.rename(root / "new")
        else:
            (root / "a").rename(root / "new")
            (root / "new/agents").rename(root / "new/deep")

    async def look() -> set[str]:
        with watching(root) as watched:
            act()
            await watched.stirred.wait()
            watched.watch_new()
            write_tree(root, {"new/deep/y.md": "Y."})
            async with asyncio.timeout(DEADLINE):
                while str(root / "new/deep/y.md") not in (found := watched.take()):
                    await watched.stirred.wait()
            return found

    assert str(root / "new/deep/y.md") in asyncio.run(look())


def test_a_folder_that_was_moved_away_is_not_heard_of_any_more(root: Path) -> None:
    def act() -> None:
        (root / "a").rename(root.with_name("away"))

    async def look() -> set[str]:
        with watching(root) as watched:
            act()
            await watched.stirred.wait()
            watched.take()
            write_tree(root.with_name("away"), {"agents/y.md": "Y."})
            write_tree(root, {"last.md": "Last."})
            async with asyncio.timeout(DEADLINE):
                await watched.stirred.wait()
            return watched.take()

    assert asyncio.run(look()) == {str(root / "last.md")}


def test_a_tree_that_is_removed_costs_what_it_holds(root: Path) -> None:
    """For each folder that went all that are watched were gone through: a large tree that was
    removed held the server for minutes."""
    looked: list[int] = []

    class Counted(dict[int, tuple[str, ...]]):
        def items(self) -> Any:
            looked.append(len(self))
            return super().items()

    async def run() -> set[int]:
        for number in range(50):
            (root / f"many/{number}/below").mkdir(parents=True)
        with watching(root) as watched:
            watched._paths = Counted(watched._paths)
            before = set(watched._paths)
            shutil.rmtree(root / "many")
            (root / "a/end.md").write_text("")
            async with asyncio.timeout(DEADLINE):
                found = set[str]()
                while f"{root}/a/end.md" not in found:
                    await watched.stirred.wait()
                    found |= watched.take()
            assert f"{root}/many" in found
            gone = before - set(watched._paths)
            (root / "a").rename(root / "c")
            async with asyncio.timeout(DEADLINE):
                await watched.stirred.wait()
            return gone

    assert len(asyncio.run(run())) == 101 and len(looked) == 1


def test_a_folder_that_may_be_read_again_is_watched(root: Path) -> None:
    """As root one reads it in any case: then nothing is proven but that it is looked at."""
    (root / "a/agents").chmod(0)

    def act() -> None:
        (root / "a/agents").chmod(0o755)

    async def look() -> None:
        with watching(root) as watched:
            act()
            await watched.stirred.wait()
            watched.watch_new()
            write_tree(root, {"a/agents/y.md": "Y."})
            async with asyncio.timeout(DEADLINE):
                while str(root / "a/agents/y.md") not in watched.take():
                    await watched.stirred.wait()

    asyncio.run(look())


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_root_that_goes_is_told(root: Path, how: str) -> None:
    def act() -> None:
        if how == "removed":
            shutil.rmtree(root)
        else:
            root.rename(root.with_name("away"))

    assert str(root) in asyncio.run(told(root, act, str(root)))


def test_more_than_the_system_keeps_is_told_as_all(root: Path) -> None:
    async def look() -> set[str]:
        with watching(root) as watched:
            watched._note(-1, inotify.OVERFLOW, "")
            return watched.take()

    assert asyncio.run(look()) == {str(root)}


def test_no_more_watches_is_an_error_and_a_folder_that_went_is_none(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(number: int) -> None:
        def refuse(name: str, *arguments: object) -> int:
            raise OSError(number, "refused")

        with watching(root) as watched:
            monkeypatch.setattr(watched, "_call", refuse)
            write_tree(root, {f"new-{number}/x.md": "X."})
            await watched.stirred.wait()
            watched.watch_new()

    asyncio.run(look(2))
    with pytest.raises(OSError, match="refused"):
        asyncio.run(look(28))


def test_many_changes_are_told_together_until_the_end(root: Path) -> None:
    """Written as soon as the watch stands, in a folder that is new."""

    async def look() -> list[set[str]]:
        end, told = asyncio.Event(), list[set[str]]()
        watch = inotify.changes([str(root)], end, lambda path, folder: True, 0.05, 0.5)
        first = asyncio.ensure_future(anext(watch))
        while not first.done():  # until it stands
            write_tree(root, {"first.md": "First."})
            await asyncio.sleep(0.02)
        write_tree(root, {f"n/{number}.md": "N." for number in range(20)})
        async for paths in watch:
            told.append(paths)
            if f"{root}/n" in paths:
                end.set()
        return told

    assert f"{root}/n" in asyncio.run(asyncio.wait_for(look(), DEADLINE))[-1]


def test_at_rest_nothing_is_due(root: Path) -> None:
    """No timer, and no thread of its own: nothing wakes the process up."""

    async def look() -> None:
        end, loop = asyncio.Event(), asyncio.get_running_loop()
        watch = inotify.changes([str(root)], end, lambda path, folder: True, 0.05, 5.0)
        first = asyncio.ensure_future(anext(watch))
        while len(asyncio.all_tasks()) < 4:  # both that it waits for
            await asyncio.sleep(0)
        assert not getattr(loop, "_scheduled")  # noqa: B009
        first.cancel()

    threads = threading.active_count()
    asyncio.run(look())
    assert threading.active_count() == threads
