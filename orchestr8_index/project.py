"""Which project does a folder belong to? Found as the hosts find it: upward, by their marks.

A worktree of git is one tree of its repository's project.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .errors import BadSetting
from .opening import read_regular
from .places import HOST_FOLDERS, MANIFESTS
from .private import read_private
from .validate import UNDECODABLE

MARKS = (".git", *dict.fromkeys((*HOST_FOLDERS, *(path.split("/")[0] for path in MANIFESTS))))
ROOTS = "roots:"  # stands before roots that are named as a project
NAMES = "names.json"  # of the data directory
_MOST = 4096  # bytes of a file that names another folder


class Project(NamedTuple):
    """`folder` is what it is known by, `tree` where its files lie: these differ in a worktree.

    `repository` is the whole repository of which it may be a part; all trees of one meet there.
    `name` is the one that somebody has given it, if any.
    """

    folder: str
    tree: str
    repository: str
    name: str = ""

    @property
    def key(self) -> str:
        return digest_of_roots([self.folder])

    @property
    def meeting_key(self) -> str:
        return digest_of_roots([self.repository])

    def shared(self, roots: Sequence[str]) -> tuple[str, ...]:
        """The roots that do not lie in its own tree: the user's level and plugins; () where these
        are all, or none are."""
        part = tuple(root for root in roots if not f"{root}/".startswith(f"{self.tree}/"))
        return part if len(part) < len(roots) else ()


class NamedProject(msgspec.Struct, frozen=True):
    """Folders, each with its repository, that are one project of that name, known by the first."""

    name: str
    places: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        return digest_of_roots([self.places[0][0]])

    def covers(self, project: Project) -> str:
        """Which of its folders the project is, or is a part of; "" for none. Another repository
        that lies below one of them is no part of it."""
        folders = [folder for folder, of in self.places if project.repository == of]
        return max((each for each in folders if is_within(project.folder, each)), default="")


def is_within(path: str, folder: str) -> bool:
    """Whether it is that folder, or lies below it."""
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def read_names(data_dir: Path) -> tuple[NamedProject, ...]:
    """The names that were given to projects. Raises BadSetting where these cannot be read."""
    try:
        data = read_private(data_dir / NAMES)
        found = msgspec.json.decode(data, type=tuple[NamedProject, ...])
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, *UNDECODABLE):
        cure = f"Mend or remove {data_dir / NAMES}; without it no project has a name."
        raise BadSetting("The names of the projects cannot be read.", cure) from None
    return tuple(each for each in found if each.places)


def _as_named(project: Project, names: Iterable[NamedProject]) -> Project:
    """The project, under the first folder of its name, which also is its repository."""
    for each in names:
        if covered := each.covers(project):
            first, within = each.places[0][0], os.path.relpath(project.folder, covered)
            folder = os.path.normpath(os.path.join(first, within))
            return Project(folder, project.tree, first, each.name)
    return project


def named_by_roots(roots: Sequence[str], names: Iterable[NamedProject]) -> Project | None:
    """The named project in whose folders all these roots lie, if there is one."""
    for each in names:
        folders = [folder for folder, _ in each.places]
        if roots and all(any(is_within(root, folder) for folder in folders) for root in roots):
            return Project(folders[0], folders[0], folders[0], each.name)
    return None


def digest_of_roots(roots: Iterable[str]) -> str:
    """16 hex digits that stand for these folders, in this order."""
    return _digest(tuple(roots))


@lru_cache(64)  # each call of a method asks for its project's
def _digest(roots: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join(roots).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def project_of(
    folder: str, home: str, roots: Iterable[str], names: Iterable[NamedProject] = ()
) -> Project:
    """The project of a folder, for which these roots were found, under its name if it has any.

    An unmarked folder with roots of its own is one, too; all others share the user's own level,
    which is known by the home folder.
    """
    place, user = os.path.realpath(folder), os.path.realpath(home)
    is_one = place != user and any(root.startswith(f"{place}/") for root in roots)
    found = find_project(folder, home) or Project(*[place if is_one else user] * 3)
    return _as_named(found, names)


def find_project(folder: str, home: str) -> Project | None:
    """The project of the nearest marked folder, `folder` itself or one above; None without any.

    The home folder is none, whatever lies there; a folder that is gone belongs where it was.
    """
    above = list(_upward(folder, home))[:100]  # bounded, as each is searched for all marks
    tree = next((place for place in above if _is_marked(place)), None)
    if tree is None:
        return None
    top = next((place for place in above if os.path.lexists(f"{place}/.git")), "")
    if not f"{tree}/".startswith(f"{top}/"):  # the repository lies within the project
        top = ""
    main = _main_tree(top) if top else tree
    within = os.path.relpath(tree, top) if top else "."
    return Project(os.path.normpath(os.path.join(main, within)), tree, main)


def roots_in(facts: Mapping[str, Any]) -> list[str]:
    """The roots that a server wrote into its mcp.pid."""
    listed = facts.get("roots")
    return [root for root in listed if isinstance(root, str)] if isinstance(listed, list) else []


def heir_of(last: Mapping[str, Any], project: Project | None, home: str) -> str:
    """The key of the project that inherits what was learnt before there were projects: that of the
    last server's roots, by its facts; "" if that is unknown.

    Roots that were found have the user's own among them; else they were named, and are a project.
    """
    if isinstance(named := last.get("project"), str):
        return named
    roots, user = roots_in(last), os.path.realpath(home)
    tree = project.tree if project else ""
    if not roots or (tree not in ("", user) and any(r.startswith(f"{tree}/") for r in roots)):
        return project.key if project else ""
    others = [root for root in roots if not root.startswith(f"{user}/.claude/")]
    if len(others) == len(roots):
        return digest_of_roots(roots)
    found = next(filter(None, (find_project(root, home) for root in others)), None)
    return found.key if found else digest_of_roots([user])


def _upward(folder: str, home: str) -> Iterator[str]:
    place, end = os.path.realpath(folder), os.path.realpath(home)
    while place != end and place != (parent := os.path.dirname(place)):
        yield place
        place = parent


def _is_marked(place: str) -> bool:
    return any(os.path.lexists(f"{place}/{mark}") for mark in MARKS)


def _main_tree(top: str) -> str:
    """The folder that a worktree's repository is known by; `top` itself for any other."""
    named = _first_line(f"{top}/.git")
    if not named.startswith("gitdir:"):
        return top
    inner = os.path.join(top, named.removeprefix("gitdir:").strip())
    common = _first_line(f"{inner}/commondir")
    if not common:  # a submodule
        return top
    shared = os.path.realpath(os.path.join(inner, common))
    return os.path.dirname(shared) if os.path.basename(shared) == ".git" else shared


def _first_line(path: str) -> str:
    """The first line of a file's first _MOST bytes; "" if it cannot be read."""
    try:
        line = read_regular(path, _MOST).partition(b"\n")[0]
        return line.decode("utf-8", "surrogateescape")
    except (OSError, ValueError):
        return ""
