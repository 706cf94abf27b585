"""Which projects are known? A list in the data directory, kept over a restart."""

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
    """What is kept of a project. `folder` is what it is known by, "" for `roots` that were named;
    `asked_at` is in seconds since 1970; `digest` is that of the roots which it had last.
    `learns_from` are keys of projects whose past it may use after its own."""

    name: str
    key: str
    folder: str = ""
    roots: tuple[str, ...] = ()
    asked_at: float = 0.0
    entries: dict[str, int] = {}
    digest: str = ""
    learns_from: tuple[str, ...] = ()


def read_projects(data_dir: Path) -> dict[str, KnownProject]:
    """The projects of a data directory by their keys; none where there is no such list."""
    try:
        rows = msgspec.json.decode(read_private(data_dir / NAME), type=list[KnownProject])
    except (OSError, *UNDECODABLE):
        return {}
    return {project.key: project for project in rows[:MOST]}


def size_of(data_dir: Path, project: KnownProject) -> int:
    """Bytes of the project's generations on the disk, without what they share."""
    folder = data_dir / "snapshots" / project.digest if project.digest else None
    files = folder.rglob("*") if folder else ()
    return sum(path.stat().st_size for path in files if path.suffix != ".shared" and path.is_file())


def write_projects(data_dir: Path, projects: Iterable[KnownProject]) -> None:
    """Raises OSError."""
    write_private(data_dir / NAME, msgspec.json.encode(list(projects)))


def give_names(known: Mapping[str, KnownProject], names: Sequence[NamedProject]) -> None:
    """A name that somebody gave is the project's own; what was called so before gets another."""
    given = {each.name: each.key for each in names}
    for project in known.values():
        if given.get(project.name, project.key) != project.key:
            taken = {*given, *(each.name for each in known.values())}
            project.name = free_name(project.name, taken)
    for name, key in given.items():
        if key in known:
            known[key].name = name


def free_name(wanted: str, taken: Collection[str]) -> str:
    """That name, with a number where another has it."""
    names = (f"{wanted}-{n}" if n > 1 else wanted for n in itertools.count(1))
    return next(name for name in names if name not in taken)


def plain_name(settings: Settings) -> str:
    """What a person would call the project: by the name that was given to it, or its folder's."""
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
