"""The common options of commands, the Settings made of them, and the printing of results."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from .. import config
from ..config import SHARED, Door, Settings
from ..daemon.pidfile import SERVER_NAME, PidFile
from ..errors import BadSetting
from ..project import roots_in
from ..variables import variables
from .paint import echo, echo_json, painted

PLACES = {"roots": (), "port": None, "data_dir": None}
OPTIONS = {
    "roots": click.option(
        "--root", "roots", multiple=True, metavar="DIR", help="A tree to index; repeatable."
    ),
    "port": click.option("--port", type=click.IntRange(0, 65535), help="The server's port [3700]."),
    "data_dir": click.option("--data-dir", metavar="DIR", help="Where snapshots and logs lie."),
    "database": click.option(
        "--database", metavar="URL", help="The team's PostgreSQL; no password in it."
    ),
    "index": click.option(
        "--index",
        type=click.Choice(["own", SHARED]),
        help="shared: no trees here, but what another server of the team serves.",
    ),
}
Command = Callable[..., Any]
PASSWORD = re.compile(r"://[^/@]*:[^/@]*@|\bpassword\s*=", re.IGNORECASE)


def _taking(*names: str) -> Callable[[Command], Command]:
    """A decorator that adds these OPTIONS; the function gets `settings` instead of their values."""

    def added(function: Command) -> Command:
        @functools.wraps(function)
        def command(**given: Any) -> Any:
            return function(settings=_with_server_limits(_settings(given)), **given)

        return _with(names, command)

    return added


def _with(names: Sequence[str], command: Command) -> Command:
    for name in reversed(names):
        command = OPTIONS[name](command)
    return command


common, of_server, of_store = _taking(*PLACES), _taking("port", "data_dir"), _taking("data_dir")
of_database = _taking("database", "data_dir")
of_project = _taking("database", "roots", "data_dir")
"""Decorators by what a command needs: an index, a running server, the data directory, the team's
database, or a project's part of that."""


def listening(function: Command) -> Command:
    """Like `common`, with the options for listening beyond loopback."""

    @_with_door
    @functools.wraps(function)
    def command(**given: Any) -> Any:
        door = {name: given.pop(name) for name in Door.__struct_fields__}
        return function(settings=_settings(given, door=door), **given)

    return _with(tuple(OPTIONS), command)


def _settings(given: dict[str, Any], **more: Any) -> Settings:
    """The Settings of the given OPTIONS, which are removed from `given`."""
    places = (given.pop(name, else_) for name, else_ in PLACES.items())
    settings = _of_team(config.read_settings(*places, **more), given.pop("database", None))
    if given.pop("index", None) == SHARED:
        return config.without_trees(settings)
    return settings if settings.index == SHARED else _remembered(settings)


def _of_team(settings: Settings, address: str | None) -> Settings:
    """The settings with this database URL. Raises BadSetting for one with a password, which other
    users could see in the list of processes."""
    if not address:
        return settings
    if PASSWORD.search(address):
        sentence = "--database names a password, which every user of this machine could read."
        raise BadSetting(sentence, "Set MCP_DATABASE_URL, PGPASSWORD or ~/.pgpass instead.")
    return msgspec.structs.replace(settings, database_url=address, database_is_named=True)


def _with_door(command: Callable[..., Any]) -> Callable[..., Any]:
    for each in reversed(variables(Door)):
        default = f" [{each.default}]" if each.default else ""
        text = f"{each.description[0].upper()}{each.description[1:]}{default}."
        named = (each.option, each.field)
        if each.kind is bool:
            command = click.option(*named, is_flag=True, help=text)(command)
        else:
            many = each.kind is tuple
            options = {"metavar": each.form or "TEXT", "multiple": many}
            command = click.option(*named, help=text, **options)(command)  # type: ignore[arg-type]
    return command


def _remembered(settings: Settings) -> Settings:
    """The settings, with the last server's roots instead of the shipped example's."""
    if settings.roots_from != config.SHIPPED or Path.cwd() == config.REPOSITORY:
        return settings
    return with_roots_of_server(settings)


def with_roots_of_server(settings: Settings) -> Settings:
    """The settings, without explicit roots with those of the data directory's running or last
    server."""
    if settings.explicit_roots:
        return settings
    file = _server_file(settings)
    owner = file.owner()
    whose = "the roots of the running server" if owner else "the roots of the last server"
    last = file.last() if owner is None else owner
    roots = tuple(filter(os.path.isdir, roots_in(last)))
    if not roots or last.get("explicit") is False:
        return settings
    return msgspec.structs.replace(settings, roots=roots, roots_from=whose, project=None)


def _server_file(settings: Settings) -> PidFile:
    return PidFile(settings.data_dir / SERVER_NAME)


def project_key(settings: Settings) -> str:
    """The project's key in the store: that of the folder, or, if the data directory's server has
    explicit roots, that server's only project."""
    file = _server_file(settings)
    served = file.owner() or file.last()
    only = not settings.explicit_roots and served.get("explicit")
    named = served.get("project")
    return named if only and isinstance(named, str) else settings.project_key


def _with_server_limits(settings: Settings) -> Settings:
    """The settings with the running server's read limits: with others, the command and the server
    would invalidate each other's snapshots."""
    owner = _server_file(settings).owner()
    if owner is None:
        return settings
    try:
        reading = msgspec.convert(owner.get("reading", {}), config.ReadLimits)
    except msgspec.ValidationError:
        return settings
    return msgspec.structs.replace(settings, reading=reading)


def emit(result: Any, as_json: bool, text: Callable[[], str], source: str = "") -> None:
    """Print a result as JSON, or as text with its source on standard error."""
    if as_json:
        echo_json(msgspec.json.encode(result).decode())
        return
    if source:
        echo(f"({source})", err=True)
    echo(text())


yes_option = click.option("--yes", is_flag=True, help="Without asking.")


def confirm(question: str, yes: bool) -> None:
    """Ask before something is deleted for good. Raises UsageError without a terminal."""
    if not yes and not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody can answer here: say --yes.")
    if not yes:
        click.confirm(painted(question), abort=True, err=True)
