"""The list of projects, in a file of the data directory."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from ..config import Settings
from ..private import read_private, write_private
from ..project import NamedProject
from ..validate import UNDECODABLE

NAME, MOST = "projects.json", 64
USER = "user"  # the name of the level that all folders without a project share
_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]+")


class KnownProject(Struct):
    """A row of the list. `folder` identifies the project, or `roots` where these were given;
    `asked_at` is Unix seconds; `digest` is that of its last roots; `entries` are counts by kind.
    `learns_from` are the keys of projects whose experience it uses after its own."""

    name: str
    key: str
    folder: str = ""
    roots: tuple[str, ...] = ()
    asked_at: float = 0.0
    entries: dict[str, int] = {}
    digest: str = ""
    learns_from: tuple[str, ...] = ()


def read_projects(data_dir: Path) -> dict[str, KnownProject]:
    """The projects of a data directory by their keys; none if there is no list."""
    try:
        rows = msgspec.json.decode(read_private(data_dir / NAME), type=list[KnownProject])
    except (OSError, *UNDECODABLE):
        return {}
    return {project.key: project for project in rows[:MOST]}


def size_of(data_dir: Path, project: KnownProject) -> int:
    """The bytes of the project's generations on the disk, without those of shared parts."""
    folder = data_dir / "snapshots" / project.digest if project.digest else None
    files = folder.rglob("*") if folder else ()
    return sum(path.stat().st_size for path in files if path.suffix != ".shared" and path.is_file())


def write_projects(data_dir: Path, projects: Iterable[KnownProject]) -> None:
    """Raises OSError."""
    write_private(data_dir / NAME, msgspec.json.encode(list(projects)))


def give_names(known: Mapping[str, KnownProject], names: Sequence[NamedProject]) -> None:
    """Apply the given names; another project with such a name gets a new one."""
    given = {each.name: each.key for each in names}
    for project in known.values():
        if given.get(project.name, project.key) != project.key:
            taken = {*given, *(each.name for each in known.values())}
            project.name = free_name(project.name, taken)
    for name, key in given.items():
        if key in known:
            known[key].name = name


def free_name(wanted: str, taken: Collection[str]) -> str:
    """The wanted name, with a number if it is taken."""
    names = (f"{wanted}-{n}" if n > 1 else wanted for n in itertools.count(1))
    return next(name for name in names if name not in taken)


def plain_name(settings: Settings) -> str:
    """The name that was given to the project, or that of its folder."""
    if (known := settings.known_as) and known.name:
        return known.name
    if settings.project is None:
        folder, name = os.path.split(settings.roots[0] if settings.roots else "")
        name = os.path.basename(folder) if name.startswith(".") else name
    elif settings.project.folder == os.path.realpath(settings.home):
        name = USER
    else:
        name = os.path.basename(settings.project.folder)
    return _UNUSUAL.sub("-", name).strip("-.") or "project"
