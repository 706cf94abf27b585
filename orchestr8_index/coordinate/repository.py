"""What git knows of a repository: its working trees, its stash, changed files and pathspecs."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

from ..environment import inherited_environment, whole_number
from ..opening import read_regular
from .resources import is_below

GIT_SECONDS = 1.0
MOST_PATH, MOST_SETTINGS, MOST_STASHED = 8_192, 1_000_000, 4_000_000  # bytes
MOST_FILTERS = 100
_PLAIN = ("-z", "--no-renames")


def tree_of(folder: str) -> str:
    """The working tree that contains a folder, without links; else the folder itself."""
    folder = os.path.realpath(folder) if os.path.isabs(folder) else ""
    place = folder
    while place and not os.path.lexists(os.path.join(place, ".git")):
        parent = os.path.dirname(place)
        if parent == place:
            return folder
        place = parent
    return place


def common_folder(tree: str) -> Path | None:
    """The git folder that all worktrees of a repository share; None outside a repository."""
    dot = Path(tree, ".git")
    if dot.is_dir():
        return dot
    try:
        own = Path(tree, _path_in(dot).removeprefix("gitdir:").strip())
        return Path(own, _path_in(own / "commondir")).resolve()
    except (OSError, ValueError):
        return None


def worktrees(tree: str) -> list[str]:
    """All working trees of the repository; the tree alone outside a repository."""
    common = common_folder(tree)
    if common is None:
        return [tree]
    found = {str(common.parent)}
    for link in common.glob("worktrees/*/gitdir"):
        try:
            found.add(str(Path(_path_in(link)).parent))
        except (OSError, ValueError):
            continue
    return sorted(found)


def _path_in(path: Path) -> str:
    """The path that a file of git contains. Raises OSError and ValueError."""
    return read_regular(path, MOST_PATH).decode().strip()


def stash_entries(tree: str) -> list[str]:
    """The commits in the repository's stash, newest first, so that stash@{0} is the first."""
    common = common_folder(tree)
    try:
        log = (common or Path(tree)).joinpath("logs/refs/stash")
        lines = read_regular(log, MOST_STASHED).splitlines()
    except OSError:
        return []
    found = (line.split() for line in reversed(lines))
    return [fields[1].decode("ascii", "replace") for fields in found if len(fields) > 1]


async def changed_files(tree: str, *paths: str) -> dict[str, str] | None:
    """git's two status letters of each changed file, of all or of `paths`, by absolute path; None
    where git does not answer in time."""
    named = [f":(top,literal){os.path.relpath(path, tree)}" for path in paths]
    kept = ("--ignore-submodules=dirty",)  # each has settings of its own, with programs in them
    rows = await _git(tree, "status", "--porcelain", "-uall", *kept, *_PLAIN, "--", *named)
    return None if rows is None else {os.path.join(tree, row[3:]): row[:2] for row in rows}


async def staged_files(tree: str) -> list[str] | None:
    """The staged files, as absolute paths; None where git does not answer in time."""
    rows = await _git(tree, "diff", "--cached", "--name-only", "--no-ext-diff", *_PLAIN)
    return None if rows is None else [os.path.join(tree, row) for row in rows]


async def _git(tree: str, *asked: str) -> list[str] | None:
    """The rows of git's answer; no program that the tree's own settings name is run."""
    if not os.path.lexists(
        os.path.join(tree, ".git")
    ):  # a bare repository among the files is no tree
        return None
    filters = await _filters(tree)
    silent = {
        f"filter.{name}.{what}": "" for name in filters or () for what in ("clean", "process")
    }
    silent |= {f"filter.{name}.required": "false" for name in filters or ()}
    return None if filters is None else await _run(tree, git_environment(silent), *asked)


async def _filters(tree: str) -> set[str] | None:
    """The filters in the tree's own settings, each of which runs a program; None if unknown."""
    common, own = common_folder(tree), b""
    with contextlib.suppress(OSError):
        own = read_regular(common / "config", MOST_SETTINGS).lower() if common else b""
    is_known = 0 < len(own) < MOST_SETTINGS
    if is_known and not any(word in own for word in (b"filter", b"include", b"worktreeconfig")):
        return set()
    how = ("--includes", "--show-scope", "--name-only", "--get-regexp", r"^filter\.")
    rows = await _run(tree, git_environment(), "config", "-z", *how, fails=1)
    named = zip(rows[::2], rows[1::2], strict=False) if rows is not None else ()
    found = {key[7:].rpartition(".")[0] for scope, key in named if scope in ("local", "worktree")}
    return None if rows is None or len(found) > MOST_FILTERS else found


def git_environment(settings: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """For a git that fetches nothing, as a repository may name the program that fetches."""
    env = inherited_environment() | {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
    first = max(0, whole_number(env.get("GIT_CONFIG_COUNT", "")))
    for number, (key, value) in enumerate(settings.items(), first):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env | {"GIT_CONFIG_COUNT": str(first + len(settings))}


async def _run(tree: str, env: Mapping[str, str], *asked: str, fails: int = 0) -> list[str] | None:
    """The rows that git prints; None if it is late or fails with another status than `fails`."""
    safe = ["--no-optional-locks", "-c", "core.fsmonitor=false"]  # no lock, no program of the tree
    safe += ["-c", "safe.bareRepository=explicit"]
    pipe, quiet = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    command = ("git", *safe, "-C", tree, *asked)
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=pipe, stderr=quiet, stdin=quiet, env=env
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
    if process.returncode not in (0, fails):
        return None
    return [row for row in output.decode("utf-8", "surrogateescape").split("\0") if row]


def resolve_pathspec(spec: str, folder: str, tree: str) -> str:
    """A pathspec as an absolute path; `:/` is from the top of the tree. A pattern stays one."""
    top = spec.startswith((":/", ":(top)"))
    plain = spec.removeprefix(":(top)").lstrip(":!^/") if spec.startswith(":") else spec
    place = os.path.normpath(os.path.join(tree if top else folder, plain))
    return os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))


def is_pattern(place: str) -> bool:
    """Whether a path has wildcards."""
    return any(sign in place for sign in "*?[")


def matches(path: str, place: str) -> bool:
    """Whether a file, a folder or a pattern matches the path."""
    if is_below(path, place):
        return True
    return is_pattern(place) and any(fnmatchcase(path, place + end) for end in ("", "/*"))
