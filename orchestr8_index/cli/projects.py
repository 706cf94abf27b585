"""projects, project: list the server's projects, and name projects of several folders."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable

import click
import msgspec

from ..config import Settings
from ..daemon.pidfile import changing
from ..daemon.supervise import running_port
from ..errors import OperationError, ServerAway
from ..private import write_private
from ..project import NAMES, ROOTS, NamedProject, find_project, read_names
from . import show
from .asking import RunningServer, health_of, located
from .options import common, emit, of_store
from .paint import echo

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

learns_from = click.option(
    "--learns-from",
    "lenders",
    multiple=True,
    metavar="PROJECT",
    help="Use what that project (a name, or its folder) has learnt, after one's own; repeatable.",
)


def learn_from(settings: Settings, lenders: Iterable[str]) -> None:
    """Set the projects from which this folder's project learns. Raises ServerAway."""
    where = located(settings)
    if where is None or health_of(where) is None:
        raise ServerAway("No server answers, and it keeps who learns from whom.")
    if settings.explicit_roots:
        where = where._replace(project=ROOTS + os.pathsep.join(settings.roots))
    names = [os.path.realpath(n) if os.sep in n or n in (".", "..") else n for n in lenders]
    RunningServer(where).ask("learnFrom", {"projects": names})


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The projects as JSON.")
@learns_from
@click.option("--learns-alone", is_flag=True, help="Take back every --learns-from.")
@common
def projects(
    settings: Settings, as_json: bool, lenders: tuple[str, ...], learns_alone: bool
) -> None:
    """List the projects that the server knows: entries, size on the disk, when they were asked.

    \b
    orchestr8-index projects
    orchestr8-index projects --learns-from shop     what worked in shop helps this folder's project
    """
    from ..serve.projectlist import read_projects, size_of

    if lenders or learns_alone:
        learn_from(settings, () if learns_alone else lenders)
    by_key = read_projects(settings.data_dir)
    known = sorted(by_key.values(), key=lambda each: -each.asked_at)
    rows = [{**msgspec.to_builtins(k), "size": size_of(settings.data_dir, k)} for k in known]
    for row in rows:
        row["learns_from"] = [by_key[key].name for key in row["learns_from"] if key in by_key]
    emit({"projects": rows}, as_json, lambda: show.projects(rows))


@click.group()
def project() -> None:
    """Names for projects: the folders of one name are one project, on each machine of a team.

    \b
    orchestr8-index project add shop --root ~/work/shop --root ~/work/shop-second-clone
    """


@project.command("add")
@click.argument("name")
@click.option("--root", "folders", multiple=True, metavar="DIR", help="A folder of it [this one].")
@of_store
def add_project(settings: Settings, name: str, folders: tuple[str, ...]) -> None:
    """Call the project of DIR so. All folders of one name learn as one, and their agents meet.

    It keeps what was learnt in the first of them. In a team the name goes before the first commit:
    say it on each machine.

    \b
    orchestr8-index project add shop --root ~/work/shop
    """
    if not _NAME.fullmatch(name):
        cure = "Use up to 64 letters, digits and . _ -, the first a letter or digit."
        raise OperationError(f"{name!a} is no name for a project.", cure)
    places = [_place(folder, settings.home) for folder in folders or (os.getcwd(),)]

    def add(names: dict[str, NamedProject]) -> None:
        for each in names.values():
            if each.name != name and (twice := set(each.places).intersection(places)):
                cure = f"`orchestr8-index project remove {each.name}` takes that name away."
                raise OperationError(f"{min(twice)[0]} is {each.name} already.", cure)
        known = names[name].places if name in names else ()
        names[name] = NamedProject(name, tuple(dict.fromkeys((*known, *places))))

    named = _change(settings, add)[name]
    echo(f"{name} is {', '.join(folder for folder, _ in named.places)}.")


@project.command("remove")
@click.argument("name")
@of_store
def remove_project(settings: Settings, name: str) -> None:
    """Take a name away: each folder is a project of its own again, as it was before.

    \b
    orchestr8-index project remove shop
    """

    def remove(names: dict[str, NamedProject]) -> None:
        if names.pop(name, None) is None:
            cure = f"Those that were given: {', '.join(names) or 'none'}."
            raise OperationError(f"No project was given the name {name}.", cure)

    _change(settings, remove)
    echo(f"{name} is no project's name any more.")


def _place(folder: str, home: str) -> tuple[str, str]:
    """(folder, repository) of a folder's project. Raises OperationError."""
    path = os.path.realpath(os.path.expanduser(folder))
    if not os.path.isdir(path):
        raise OperationError(f"{folder} is no folder.", "Name one that is there.")
    found = find_project(path, home)
    return (found.folder, found.repository) if found else (path, path)


def _change(
    settings: Settings, change: Callable[[dict[str, NamedProject]], None]
) -> dict[str, NamedProject]:
    """Change the file of names; gives the names. A server reads them at its start."""
    path = settings.data_dir / NAMES
    with changing(path, "The names of the projects"):
        names = {each.name: each for each in read_names(settings.data_dir)}
        change(names)
        write_private(path, msgspec.json.encode(list(names.values())), synced=True)
    if running_port(settings) is not None:
        echo("The server goes by it from its next start on: say `down` and `up`.", err=True)
    return names
