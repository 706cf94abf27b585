"""A repository of git: its working trees, its stash, what is changed, and which paths are meant."""

from __future__ import annotations

import asyncio
import contextlib
import os
from fnmatch import fnmatchcase
from pathlib import Path

from ..opening import read_regular
from .resources import is_below

GIT_SECONDS = 1.0
MOST_NOTE, MOST_STASHED = 8_192, 4_000_000  # bytes
_PLAIN = ("-z", "--no-renames")


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
        own = Path(tree, _note(dot).removeprefix("gitdir:").strip())
        return Path(own, _note(own / "commondir")).resolve()
    except (OSError, ValueError):
        return None


def worktrees(tree: str) -> list[str]:
    """All working trees of the repository, by git's own notes; the tree alone outside one."""
    common = common_folder(tree)
    if common is None:
        return [tree]
    found = {str(common.parent)}
    for note in common.glob("worktrees/*/gitdir"):
        try:
            found.add(str(Path(_note(note)).parent))
        except (OSError, ValueError):
            continue
    return sorted(found)


def _note(path: Path) -> str:
    """What git notes in a file, a path. Raises OSError and ValueError."""
    return read_regular(path, MOST_NOTE).decode().strip()


def stash_entries(tree: str) -> list[str]:
    """The commits of the stash of the repository, the newest first, as git counts them."""
    common = common_folder(tree)
    try:
        log = (common or Path(tree)).joinpath("logs/refs/stash")
        lines = read_regular(log, MOST_STASHED).splitlines()
    except OSError:
        return []
    found = (line.split() for line in reversed(lines))
    return [fields[1].decode("ascii", "replace") for fields in found if len(fields) > 1]


async def changed_files(tree: str, *paths: str) -> dict[str, str] | None:
    """What git does not have as it is, of all or of some: its two letters by absolute path; None
    where git cannot tell in time."""
    named = [f":(top,literal){os.path.relpath(path, tree)}" for path in paths]
    rows = await _git(tree, "status", "--porcelain", "-uall", *_PLAIN, "--", *named)
    return None if rows is None else {os.path.join(tree, row[3:]): row[:2] for row in rows}


async def staged_files(tree: str) -> list[str] | None:
    """What a plain commit would take, as absolute paths; None where git cannot tell in time."""
    rows = await _git(tree, "diff", "--cached", "--name-only", "--no-ext-diff", *_PLAIN)
    return None if rows is None else [os.path.join(tree, row) for row in rows]


async def _git(tree: str, *asked: str) -> list[str] | None:
    if not os.path.lexists(os.path.join(tree, ".git")):  # git takes lying about for a repository
        return None
    safe = ["--no-optional-locks", "-c", "core.fsmonitor=false"]  # no lock, no program of the tree
    safe += ["-c", "safe.bareRepository=explicit"]
    pipe, quiet = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    command = ("git", *safe, "-C", tree, *asked)
    try:
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=quiet)
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
    return [row for row in output.decode("utf-8", "surrogateescape").split("\0") if row]


def place_of(spec: str, folder: str, tree: str) -> str:
    """What git means by `spec`, as an absolute path; `:/` is from the top. A pattern stays one."""
    top = spec.startswith((":/", ":(top)"))
    plain = spec.removeprefix(":(top)").lstrip(":!^/") if spec.startswith(":") else spec
    place = os.path.normpath(os.path.join(tree if top else folder, plain))
    return os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))


def is_pattern(place: str) -> bool:
    """Whether a path has signs that git reads as others."""
    return any(sign in place for sign in "*?[")


def is_meant(path: str, place: str) -> bool:
    """Whether a file, a folder or a pattern means the path."""
    if is_below(path, place):
        return True
    return is_pattern(place) and any(fnmatchcase(path, place + end) for end in ("", "/*"))
