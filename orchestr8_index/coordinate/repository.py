"""A repository of git: its working trees, what is changed, and whose entries the stash has."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from .resources import is_below

MOST_KEPT = 500
GIT_SECONDS = 1.0


def tree_of(folder: str) -> str:
    """The working tree that a folder lies in, without links; the folder itself outside of one."""
    folder = os.path.realpath(folder) if os.path.isabs(folder) else ""
    place = folder
    while place and not os.path.lexists(os.path.join(place, ".git")):
        parent = os.path.dirname(place)
        if parent == place:
            return folder
        place = parent
    return place


def common_folder(tree: str) -> Path | None:
    """The folder of git that all worktrees of a repository share; None outside one."""
    dot = Path(tree, ".git")
    if dot.is_dir():
        return dot
    try:
        told = dot.read_text("utf-8").removeprefix("gitdir:").strip()
        own = Path(tree, told)
        return Path(own, (own / "commondir").read_text("utf-8").strip()).resolve()
    except (OSError, UnicodeDecodeError):
        return None


def worktrees(tree: str) -> list[str]:
    """All working trees of the repository, by git's own notes; the tree alone outside one."""
    common = common_folder(tree)
    if common is None:
        return [tree]
    found = {str(common.parent)}
    for note in common.glob("worktrees/*/gitdir"):
        try:
            found.add(str(Path(note.read_text("utf-8").strip()).parent))
        except (OSError, UnicodeDecodeError):
            continue
    return sorted(found)


def stash_entries(tree: str) -> list[str]:
    """The commits of the stash of the repository, the oldest first."""
    common = common_folder(tree)
    try:
        lines = (common or Path(tree)).joinpath("logs/refs/stash").read_bytes().splitlines()
    except OSError:
        return []
    return [
        fields[1].decode("ascii", "replace") for line in lines if len(fields := line.split()) > 1
    ]


async def changed_files(tree: str, *paths: str) -> dict[str, str] | None:
    """What git does not have as it is, of all or of some: its two letters by absolute path; None
    where git cannot tell in time."""
    safe = ("--no-optional-locks", "-c", "core.fsmonitor=false")  # no lock, no program of the tree
    asked = ("git", *safe, "-C", tree, "status", "--porcelain", "-z", "-uall", "--no-renames")
    named = (f":(top,literal){os.path.relpath(path, tree)}" for path in paths)
    try:
        process = await asyncio.create_subprocess_exec(
            *asked, "--", *named, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return None
    try:
        output, _ = await asyncio.wait_for(process.communicate(), GIT_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return None
    if process.returncode:
        return None
    rows = output.decode("utf-8", "surrogateescape").split("\0")
    return {os.path.join(tree, row[3:]): row[:2] for row in rows if len(row) > 3}


def meaning(spec: str, folder: str, tree: str) -> Callable[[str], bool]:
    """Which paths git means by `spec`: a file, a folder, a pattern, `:/` from the top."""
    top = spec.startswith((":/", ":(top)"))
    plain = spec.removeprefix(":(top)").lstrip(":!^/") if spec.startswith(":") else spec
    place = os.path.normpath(os.path.join(tree if top else folder, plain))
    place = os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))
    if not any(sign in place for sign in "*?["):
        return lambda path: is_below(path, place)
    ends = ("", "/*")
    return lambda path: is_below(path, place) or any(fnmatchcase(path, place + end) for end in ends)


class StashOwners:
    """Which session made which entry of the stash: one stack for all worktrees."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}  # session by commit
        self._begun: dict[str, tuple[str, set[str]]] = {}  # tree and entries before, by session

    def begins(self, session: str, tree: str) -> None:
        """The session is about to stash there."""
        self.settle(session)
        self._begun[session] = tree, set(stash_entries(tree))
        while len(self._begun) > MOST_KEPT:
            del self._begun[next(iter(self._begun))]

    def settle(self, session: str) -> None:
        """What is there since then is its own."""
        tree, before = self._begun.pop(session, ("", set[str]()))
        for made in stash_entries(tree) if tree else ():
            if made not in before:
                self._owners.setdefault(made, session)
        while len(self._owners) > MOST_KEPT:
            del self._owners[next(iter(self._owners))]

    def is_foreign(self, session: str, tree: str, entry: Sequence[str]) -> bool:
        """Whether what `git stash ENTRY` takes is, or may be, another's."""
        self.settle(session)
        entries = stash_entries(tree)[::-1]
        verb, *more = entry
        number = re.fullmatch(r"(?:(?:refs/)?stash@\{)?(\d+)\}?", (more or ["0"])[-1])
        if number and verb in ("pop", "apply", "drop"):
            entries = entries[int(number[1]) :][:1]
        elif verb == "branch" and len(more) == 1:
            entries = entries[:1]
        return any(self._owners.get(each) != session for each in entries)

    def sessions(self, tree: str) -> set[str]:
        """Those whose files in a tree may lie in the stash."""
        begun = {session for session, (place, _) in self._begun.items() if place == tree}
        return begun | {self._owners.get(each, "") for each in stash_entries(tree)}

    def own_entry(self, session: str, tree: str) -> str:
        """The session's newest, as git names it; "" without one."""
        entries = stash_entries(tree)[::-1]
        own = (n for n, entry in enumerate(entries) if self._owners.get(entry) == session)
        return next((f"stash@{{{n}}}" for n in own), "")
