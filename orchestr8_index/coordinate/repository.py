"""A repository of git as its own files tell it: working trees, and whose entries the stash has."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

from .resources import is_below


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


def is_meant(path: str, spec: str, folder: str, tree: str) -> bool:
    """Whether git means a path by `spec`: a file, a folder, a pattern, `:/` from the top."""
    top = spec.startswith((":/", ":(top)"))
    plain = spec.removeprefix(":(top)").lstrip(":!^/") if spec.startswith(":") else spec
    place = os.path.normpath(os.path.join(tree if top else folder, plain))
    place = os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))
    return is_below(path, place) or any(fnmatchcase(path, place + end) for end in ("", "/*"))
