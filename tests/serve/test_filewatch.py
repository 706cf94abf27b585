"""Does a saved file reach the next answer by itself?"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from orchestr8_index.catalog.generations import Refresh
from orchestr8_index.catalog.worker import Builder
from orchestr8_index.config import REPOSITORY, read_settings
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


@pytest.mark.parametrize("changes", [filewatch.changes, filewatch._changes_by_watchfiles])
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


NEW_TEXT = "---\nname: new\n---\nNew."
NEW = {"plugins/a/agents/new.md": NEW_TEXT}
FIRST = {"plugins/a/agents/first.md": "---\nname: first\n---\nFirst."}
LAST = {"plugins/a/agents/last.md": "---\nname: last\n---\nLast."}


def led_elsewhere(link: Path) -> None:
    """At once, as releases are switched."""
    write_tree(link.with_name("release-2"), NEW)
    link.with_name("next").symlink_to("release-2")
    link.with_name("next").rename(link)


def led_elsewhere_above(root: Path) -> None:
    write_tree(root.parent.with_name("release-2") / root.name, NEW)
    root.parent.with_name("next").symlink_to("release-2")
    root.parent.with_name("next").rename(root.parent)


def a_link(root: Path) -> None:
    root.rename(root.with_name("release-1"))
    root.symlink_to("release-1")


def below_a_link(root: Path) -> None:
    root.parent.rename(root.parent.with_name("release-1"))
    root.parent.symlink_to("release-1")


def as_it_is(root: Path) -> None:
    """A folder."""


@pytest.mark.parametrize(
    ("made", "replace"),
    [
        (as_it_is, gone_and_back),
        (as_it_is, renamed_over),
        (as_it_is, below_renamed_over),
        (a_link, led_elsewhere),
        (below_a_link, led_elsewhere_above),
    ],
)
def test_a_root_that_was_replaced_is_watched_again(
    tmp_path: Path, made: Callable[[Path], None], replace: Callable[[Path], None]
) -> None:
    """It may lie in a folder that is ignored below a root."""
    root = write_tree(tmp_path / ".venv/node_modules/tree", OLD)
    made(root)
    asyncio.run(replaced(root, tmp_path / "data", replace))


def bind(tree: Path, over: Path) -> None:
    subprocess.run(["mount", "--bind", tree, over], check=True)


def mount_over(root: Path) -> None:
    bind(write_tree(root.with_name("volume"), NEW), root)


def mount_below(root: Path) -> None:
    """Inotify tells nothing of it."""
    bind(write_tree(root.with_name("volume"), {"agents/new.md": NEW_TEXT}), root / "plugins/a")


@pytest.mark.parametrize("mount", [mount_over, mount_below])
def test_what_is_mounted_later_is_seen(tmp_path: Path, mount: Callable[[Path], None]) -> None:
    """In a namespace of its own, where this system lets one have it."""
    own = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run(
        [*own, "mount", "--bind", tmp_path, tmp_path], capture_output=True
    ).returncode:
        pytest.skip("nothing can be mounted here")
    root = write_tree(tmp_path / "tree", OLD)
    code = (
        "import asyncio; from pathlib import Path; from tests.serve import test_filewatch as it; "
        f"asyncio.run(it.replaced(Path({str(root)!r}), Path({str(tmp_path / 'data')!r}), "
        f"it.{mount.__name__}))"
    )
    done = subprocess.run(
        [*own, sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


async def replaced(root: Path, data: Path, replace: Callable[[Path], None]) -> None:
    async with watched(root, data) as (watch, comes):
        watch.poll()
        replace(root)
        await comes({"a:new"})
        while watch._doubtful:
            watch.poll()
            await asyncio.sleep(0.1)
        write_tree(root, LAST)  # told by the new watch: nothing looks at files any more
        await comes({"a:new", "a:last"})


Comes = Callable[[set[str]], Awaitable[None]]


@contextlib.asynccontextmanager
async def watched(root: Path, data: Path) -> AsyncIterator[tuple[FileWatch, Comes]]:
    """A watch that stands, and what waits until these agents, and no others, are indexed."""
    settings = read_settings((str(root),), 0, str(data))
    refresh = Refresh(settings, Here(settings))
    await refresh.wake()
    watch = FileWatch(refresh)
    watch.begin()

    async def comes(names: set[str]) -> None:
        while agents(refresh) != names:
            watch.poll()
            await asyncio.sleep(0.02)

    try:
        async with asyncio.timeout(DEADLINE):
            while "a:first" not in agents(refresh):
                write_tree(root, FIRST)
                await asyncio.sleep(0.05)
            yield watch, comes
    finally:
        await watch.stop()
        await refresh.stop()


def test_what_it_opened_is_closed_though_a_look_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*given: object) -> None:
        raise RuntimeError("a fault of ours")

    async def look() -> None:
        before = len(os.listdir("/proc/self/fd"))
        settings = read_settings((str(tree(tmp_path)),), 0, str(tmp_path / "data"))
        watch = FileWatch(Refresh(settings, Here(settings)))
        watch.poll()
        assert len(os.listdir("/proc/self/fd")) == before  # nobody would stop it
        watch.begin()
        monkeypatch.setattr(watch, "_check_those", fail)
        watch.poll()
        (tmp_path / "tree").rename(tmp_path / "other")
        watch.poll()
        await watch.stop()
        assert len(os.listdir("/proc/self/fd")) == before

    if os.path.isdir("/proc/self/fd"):
        asyncio.run(look())


def test_a_name_that_changes_its_case_alone_is_another(tmp_path: Path) -> None:
    """Of a file, and of a folder."""
    root = write_tree(tmp_path / "tree", {"plugins/a/agents/Old.md": "Old."})

    async def look() -> None:
        async with watched(root, tmp_path / "data") as (_, comes):
            await comes({"a:Old", "a:first"})
            (root / "plugins/a/agents/Old.md").rename(root / "plugins/a/agents/old.md")
            await comes({"a:old", "a:first"})
            (root / "plugins/a").rename(root / "plugins/A")
            await comes({"A:old", "A:first"})

    asyncio.run(look())


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
