"""Walks one root: its markdown files, links, manifests, and what cannot be read.

Nothing is opened here. Links are noted, not followed; what they lead to is decided in scan.py.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..config import USUAL, ReadLimits
from ..places import ENDINGS, MANIFESTS, is_place
from ..roots import SETTINGS

IGNORED = frozenset(
    {".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", ".tox", ".mypy_cache"}
)
KIND_FOLDERS = frozenset({"agents", "skills", "commands"})
INSTALLED = "installed_plugins.json"
NAMES = frozenset({*(path.rpartition("/")[2] for path in MANIFESTS), INSTALLED, *SETTINGS})
"""File names of manifests and settings."""
MEANT = frozenset(
    "agents agent skills skill commands command prompts recipes rules instructions".split()
)
"""Folders in which texts with other endings than .md are looked at, too."""
WORKTREES = "/.claude/worktrees"
REGISTRIES = (".claude/agent-registry.yml", "agent-registry.yml")


@dataclass(slots=True)
class File:
    """A file of a tree: path below the root, size in bytes, times in nanoseconds."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int = 0
    inode: int = 0


@dataclass(slots=True)
class Tree:
    """One root as found: paths are relative, with `/`; `unread` holds (path, reason)."""

    root: str
    files: list[File] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    manifests: list[File] = field(default_factory=list)
    registries: list[File] = field(default_factory=list)
    kind_folders: bool = False
    named_like_files: list[str] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)
    seen: int = 0


def walk(root: str, limits: ReadLimits = USUAL) -> Tree:
    """All markdown files and folders below a root, without following links, within the limits."""
    tree = Tree(root)
    pending = [("", 0)]
    while pending:
        folder, depth = pending.pop()
        for item in _children(tree, folder):
            tree.seen += 1
            if tree.seen > limits.max_files:
                tree.unread.append((folder, f"the tree has more than {limits.max_files:,} files"))
                return _sorted(tree)
            path = f"{folder}/{item.name}" if folder else item.name
            if _take(tree, item, path):
                if depth < limits.max_folder_depth:
                    pending.append((path, depth + 1))
                else:
                    reason = f"folders nest deeper than {limits.max_folder_depth}"
                    tree.unread.append((path, reason))
    return _sorted(tree)


def _children(tree: Tree, folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(os.path.join(tree.root, folder)) as items:
            yield from items
    except OSError as error:
        tree.unread.append((folder, f"the folder cannot be read: {error.strerror}"))


def _take(tree: Tree, item: os.DirEntry[str], path: str) -> bool:
    """Note one directory item; true if it is a folder to descend into."""
    try:
        if item.is_symlink():
            if _may_matter(item):
                tree.links.append(path)
            return False
        if item.is_dir():
            full = f"{tree.root}/{path}"
            tree.kind_folders |= item.name in KIND_FOLDERS or is_place(full)
            if is_markdown(item.name):
                tree.named_like_files.append(path)
            return not is_passed_over(full)
        if is_markdown(item.name) or is_meant(_below(tree.root, path), item.name):
            _note(tree, tree.files, item, path)
        elif item.name in NAMES and _is_manifest(path):
            _note(tree, tree.manifests, item, path)
        elif path in REGISTRIES:
            _note(tree, tree.registries, item, path)
    except OSError as error:
        tree.unread.append((path, f"the file cannot be read: {error.strerror}"))
    return False


def is_passed_over(folder: str) -> bool:
    """Whether that folder, below a root, is skipped."""
    return folder.rpartition("/")[2] in IGNORED or folder.endswith(WORKTREES)


def _below(root: str, path: str) -> str:
    """The path with the root's own name, for a file at its top or a root that is a host's place."""
    return f"{os.path.basename(root)}/{path}" if "/" not in path or is_place(root) else path


def is_meant(path: str, name: str) -> bool:
    """Whether a path below a root is a text other than `.md`, where hosts keep entries or rules."""
    ending = os.path.splitext(name)[1].lower()
    if ending == ".mdc":
        return True
    return ending in ENDINGS and not MEANT.isdisjoint(path.split("/")[:-1])


def _is_manifest(path: str) -> bool:
    """Whether a path is a manifest, or a host's settings, which may switch plugins off."""
    return f"/{path}".endswith((*(f"/{each}" for each in MANIFESTS), f"/{INSTALLED}")) or (
        path in SETTINGS or path.endswith(tuple(f".claude/{each}" for each in SETTINGS))
    )


def _may_matter(link: os.DirEntry[str]) -> bool:
    """Whether a link leads to a folder, is named as markdown, or cannot be followed."""
    if is_markdown(link.name):
        return True
    try:
        return link.is_dir()
    except OSError:
        return True


def _note(tree: Tree, into: list[File], item: os.DirEntry[str], path: str) -> None:
    status = item.stat(follow_symlinks=False)
    if stat.S_ISREG(status.st_mode):
        into.append(file_of(path, status))
    else:
        tree.unread.append((path, "not a regular file"))


def file_of(path: str, status: os.stat_result) -> File:
    """A file from what `stat` says of it."""
    return File(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def is_markdown(name: str) -> bool:
    """Whether a name ends in `.md`, in whatever case."""
    return name[-3:].lower() == ".md"


def _sorted(tree: Tree) -> Tree:
    for files in (tree.files, tree.manifests, tree.registries):
        files.sort(key=lambda file: file.path)
    tree.links.sort()
    return tree
