"""database, servers, config: a team's database, its servers, and its changeable settings."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from ..changeable import PREFIX, check_name, check_setting
from ..config import Settings
from ..errors import BadSetting, InvalidParams, OperationError
from ..sharing import plain_text
from .asking import RunningServer, sharing_server
from .options import emit, of_database, of_project, of_server
from .paint import echo

if TYPE_CHECKING:
    from ..learn.outcomes import Outcomes


@click.group()
def database() -> None:
    """The PostgreSQL that several servers share (MCP_DATABASE_URL).

    \b
    orchestr8-index database init --database postgresql://o8@db.example/o8
    orchestr8-index database check
    """


@database.command()
@of_database
def check(settings: Settings) -> None:
    """Say whether the database can be used, and what is missing.

    \b
    orchestr8-index database check --database postgresql://o8@db.example/o8
    """
    from ..team.start import SCHEMA
    from ..team.start import check as look

    found = look(_url(settings), SCHEMA)
    echo(f"PostgreSQL {found.version}, database {found.database}, role {found.role}.")
    if found.is_new:
        echo("It has no tables yet: a start makes them, or `orchestr8-index database init`.")
    elif found.steps:
        echo(f"Its tables lack {found.steps} steps: `orchestr8-index database migrate`.")
    if not found.durable:
        echo("It runs with fsync=off: a power cut takes what was acknowledged.")


@database.command()
@of_database
def init(settings: Settings) -> None:
    """Make the tables, in a schema of their own; what is there stays.

    \b
    orchestr8-index database init --database postgresql://o8@db.example/o8
    """
    _make(settings)


@database.command()
@of_database
def migrate(settings: Settings) -> None:
    """Bring the tables to this release; every server of an older one then refuses to write.

    \b
    orchestr8-index database migrate
    """
    _make(settings)


def _make(settings: Settings) -> None:
    from ..team.start import SCHEMA, make_tables

    steps = make_tables(_url(settings), SCHEMA)
    echo(f"{steps} steps were taken." if steps else "The tables are as they should be.")


@database.command()
@click.option("--back", is_flag=True, help="From PostgreSQL into the data directory.")
@of_project
def move(settings: Settings, back: bool) -> None:
    """Carry this folder's project into PostgreSQL, and what it has learnt; or back.

    Its server must be stopped. What the other side has already is never written over; after a kill
    say it again.

    \b
    orchestr8-index database move
    orchestr8-index database move --back
    """
    from ..daemon.supervise import running_port
    from ..team import move as moving
    from ..team.learning import LearntEntry, apply_entry
    from ..team.project import learning_project, team_project
    from ..team.start import SCHEMA
    from .admin import as_writer, entries_of

    if running_port(settings) is not None:
        raise OperationError("The server is running.", "Stop it first: `orchestr8-index down`.")
    place, folder = (_url(settings), SCHEMA), settings.data_dir
    names = settings.repository_key, team_project(settings)
    learns = learning_project(settings)

    async def carry(outcomes: Outcomes) -> tuple[moving.Digests, int]:
        if not back:
            moved = moving.to_team(*place, folder, names)
            return moved, moving.append_learnt(*place, learns, entries_of(outcomes))
        moved = moving.from_team(*place, folder, names)
        entries: list[LearntEntry] = moving.read_learnt(*place, learns)
        for entry in entries:
            with contextlib.suppress(InvalidParams):  # it was refused before, too
                await apply_entry(outcomes, entry)
        return moved, len(entries)

    moved, learnt = as_writer(settings, carry)
    for table, (count, digest) in moved.items():
        echo(f"{table}: {count:,} rows on both sides, {digest[:16]}")
    echo(f"what was learnt: {learnt:,} entries")


@click.group()
def config() -> None:
    """Settings that change while servers run: all servers of the project follow.

    \b
    orchestr8-index config set rate 20
    orchestr8-index config undo rate
    """


@config.command("get")
@click.argument("name", default="")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@of_server
def get_config(settings: Settings, name: str, as_json: bool) -> None:
    """Print what was changed, by whom and when."""
    prefix = PREFIX + name
    rows = sharing_server(settings).ask("readShared", {"prefix": prefix})["items"]
    emit(rows, as_json, lambda: _changes(rows) or "No setting was changed.")


@config.command("set")
@click.argument("name")
@click.argument("value")
@of_server
def set_config(settings: Settings, name: str, value: str) -> None:
    """Change NAME on all servers of the project; see docs/settings.md for what it may be."""
    op = {"key": PREFIX + name, "value": check_setting(name, value)}
    sharing_server(settings).ask("writeShared", {"ops": [op]})
    echo(f"{name} is {op['value']}.")


@config.command("history")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@of_server
def config_history(settings: Settings, name: str, as_json: bool) -> None:
    """Show what NAME was, the newest first; null is the server's own setting."""
    rows = _history(sharing_server(settings), name, 100)
    emit(rows, as_json, lambda: _changes(rows) or f"{name} was never changed.")


@config.command("undo")
@click.argument("name")
@of_server
def undo_config(settings: Settings, name: str) -> None:
    """Make NAME what it was before the last change."""
    server = sharing_server(settings)
    rows = _history(server, name, 2)
    if not rows:
        raise OperationError(f"{name} was never changed.", "There is nothing to undo.")
    before = rows[1]["value"] if len(rows) > 1 else None
    op = {"key": PREFIX + name, "value": before}
    server.ask("writeShared", {"ops": [op]})
    echo(f"{name} is {'as each server is set' if before is None else before}.")


def _history(server: RunningServer, name: str, most: int) -> list[dict[str, Any]]:
    check_name(name)
    asked = {"keys": [PREFIX + name], "history": True, "limit": most}
    rows: list[dict[str, Any]] = server.ask("readShared", asked)["items"]
    return rows


def _changes(rows: list[dict[str, Any]]) -> str:
    return "\n".join(
        f"{row['key'].removeprefix(PREFIX)}  {plain_text(row['value'])}  {row['by']}  {row['at']}"
        for row in rows
    )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@of_database
def servers(settings: Settings, as_json: bool) -> None:
    """List the servers of the team: version, generation, lag, waiters.

    \b
    orchestr8-index servers --database postgresql://o8@db.example/o8
    """
    from ..team.start import require_psycopg

    url = _url(settings)
    require_psycopg()
    from ..team.registry import read_servers

    found = read_servers(url)
    emit(found, as_json, lambda: "\n".join(map(_line, found)) or "There is none.")


def _line(row: dict[str, Any]) -> str:
    state = "" if row["here"] else f"  silent for {row['silent_ms'] // 1000} s"
    shown = ("generation", "lag_ms", "waiters", "project")
    facts = "  ".join(f"{name} {row[name]}" for name in shown if name in row)
    return f"{row['server']}  {row['version']}  {facts}{state}"


def _url(settings: Settings) -> str:
    if not settings.database_url:
        raise BadSetting("No database is named.", "Set MCP_DATABASE_URL, or say --database.")
    return settings.database_url
