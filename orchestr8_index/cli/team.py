"""database, servers: what several servers share, from the command line."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from ..config import Settings
from ..errors import BadSetting, InvalidParams, OperationError
from .options import emit, listening
from .paint import echo

if TYPE_CHECKING:
    from ..learn.outcomes import Outcomes


@click.group()
def database() -> None:
    """The PostgreSQL that several servers share (MCP_DATABASE_URL)."""


@database.command()
@listening
def check(settings: Settings) -> None:
    """Say whether it can be used, and what is missing.

    \b
    orchestr8-index database check --database postgresql://o8@db.example/o8
    """
    from ..team.start import SCHEMA
    from ..team.start import check as look

    found = look(_url(settings), SCHEMA)
    echo(f"PostgreSQL {found.version}, database {found.database}, role {found.role}.")
    if found.steps:
        echo(f"Its tables lack {found.steps} steps: `orchestr8-index database migrate`.")
    if not found.durable:
        echo("It runs with fsync=off: a power cut takes what was acknowledged.")


@database.command()
@listening
def init(settings: Settings) -> None:
    """Make the tables, in a schema of their own; what is there stays."""
    _make(settings)


@database.command()
@listening
def migrate(settings: Settings) -> None:
    """Bring the tables to this release; every server of an older one then refuses to write."""
    _make(settings)


def _make(settings: Settings) -> None:
    from ..team.start import SCHEMA, make_tables

    steps = make_tables(_url(settings), SCHEMA)
    echo(f"{steps} steps were taken." if steps else "The tables are as they should be.")


@database.command()
@click.option("--back", is_flag=True, help="From PostgreSQL into the data directory.")
@listening
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
    from ..team.learning import LearntEntry, perform
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
            return moved, moving.tell_learnt(*place, learns, entries_of(outcomes))
        moved = moving.from_team(*place, folder, names)
        told: list[LearntEntry] = moving.learnt(*place, learns)
        for entry in told:
            with contextlib.suppress(InvalidParams):  # refused then, and now
                await perform(outcomes, entry)
        return moved, len(told)

    moved, told = as_writer(settings, carry)
    for table, (count, digest) in moved.items():
        echo(f"{table}: {count:,} rows on both sides, {digest[:16]}")
    echo(f"what was learnt: {told:,} entries")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@listening
def servers(settings: Settings, as_json: bool) -> None:
    """List the servers of the team: version, generation, lag, waiters."""
    from ..team.start import require_psycopg

    url = _url(settings)
    require_psycopg()
    from ..team.registry import look_at_servers

    found = look_at_servers(url)
    emit(found, as_json, lambda: "\n".join(map(_line, found)) or "There is none.")


def _line(row: dict[str, Any]) -> str:
    state = "" if row["here"] else f"  silent for {row['silent_ms'] // 1000} s"
    told = ("generation", "lag_ms", "waiters", "project")
    facts = "  ".join(f"{name} {row[name]}" for name in told if name in row)
    return f"{row['server']}  {row['version']}  {facts}{state}"


def _url(settings: Settings) -> str:
    if not settings.database_url:
        raise BadSetting("No database is named.", "Set MCP_DATABASE_URL, or say --database.")
    return settings.database_url
