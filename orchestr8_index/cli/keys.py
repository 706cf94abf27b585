"""key add|list|revoke, audit, usage: API keys, and the calls that were made with them."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import Any

import click
import msgspec

from ..config import Settings
from ..errors import OperationError
from ..serve.keys import KeyFile
from ..serve.projectlist import read_projects
from ..store.database import NAME, connect
from ..store.ledger import name_of_project
from ..store.notes import read_audit, saved_by_day
from ..store.usage import read_usage, summed
from ..table import error_name
from .options import emit, of_project, of_store, project_key
from .paint import echo

SCOPES = ("read", "report", "admin")
NOTHING_NOTED = (
    "Nothing has been noted yet: a server notes who changes something, and with keys who asks. "
    "Another server's events are shown with its --data-dir."
)


@click.group()
def key() -> None:
    """API keys, for a server beyond loopback or with --require-keys.

    \b
    orchestr8-index key add build-machine --scope report
    orchestr8-index key list
    orchestr8-index key revoke build-machine
    """


@key.command("add")
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(SCOPES),
    default="read",
    show_default=True,
    help="read: ask. report: also report outcomes. admin: also reindex, forget, backup.",
)
@click.option("--write", multiple=True, metavar="KEY", help="The shared keys it may write: task/*")
@click.option(
    "--project", "projects", multiple=True, metavar="PROJECT", help="Only for that one; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="The key as JSON.")
@of_store
def add(
    settings: Settings,
    name: str,
    scope: str,
    write: tuple[str, ...],
    projects: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a key and show it, this once. A running server knows it within a second.

    \b
    orchestr8-index key add build-machine --scope report
    orchestr8-index key add tester --scope report --write "task/*" --write "report/*"
    orchestr8-index key add partner --project shop
    """
    limits = write, dict(_project(settings, each) for each in projects)
    token = KeyFile(settings.data_dir).add(name, scope, *limits)  # type: ignore[arg-type]
    emit({"name": name, "scope": scope, "key": token}, as_json, lambda: token)
    if not as_json:
        echo("Keep it: it cannot be shown again. Send it as `Authorization: Bearer …`.", err=True)


def _project(settings: Settings, wanted: str) -> tuple[str, str]:
    """(name, key in the store) of a project by name or folder. Raises OperationError."""
    folder = os.path.realpath(wanted) if os.sep in wanted or wanted in (".", "..") else wanted
    named = [(each.name, each.key, each.places[0][0]) for each in settings.names]
    known = read_projects(settings.data_dir).values()
    for name, ident, place in (*named, *((each.name, each.key, each.folder) for each in known)):
        if folder in (name, place):
            return name, ident
    cure = "`orchestr8-index projects` lists those that were asked; `project add` names another."
    raise OperationError(f"There is no project {wanted!a} here.", cure)


@key.command("list")
@click.option("--json", "as_json", is_flag=True, help="The keys as JSON.")
@of_store
def list_keys(settings: Settings, as_json: bool) -> None:
    """The names of the keys, their scopes, and when they were made.

    \b
    orchestr8-index key list --json
    """
    keys = KeyFile(settings.data_dir).read()
    names = ("name", "scope", "created_at", "write")
    rows = [{n: getattr(key, n) for n in names} | {"projects": list(key.projects)} for key in keys]
    if as_json:
        echo(msgspec.json.encode(rows).decode())
        return
    for row in rows:
        writes = " ".join(("", "writes", *row["write"])) if row["write"] else ""
        of = " ".join(("", "for", *row["projects"])) if row["projects"] else ""
        echo(f"{row['name']:32} {row['scope']:7} {row['created_at']}{writes}{of}")
    if not rows:
        echo("There is no key; `orchestr8-index key add NAME` makes one.", err=True)


@key.command("revoke")
@click.argument("name")
@of_store
def revoke(settings: Settings, name: str) -> None:
    """End a key. A running server refuses it within a second.

    \b
    orchestr8-index key revoke build-machine
    """
    KeyFile(settings.data_dir).revoke(name)
    echo(f"Revoked {name}.")


@click.command()
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Newest rows.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line; none for no event.")
@of_store
def audit(settings: Settings, limit: int, as_json: bool) -> None:
    """Who did what, when, and how it ended: the newest events, without contents.

    \b
    orchestr8-index audit --limit 20
    orchestr8-index audit --json | jq .who
    """
    events = _events(settings, limit)
    if not events:
        echo(NOTHING_NOTED, err=True)
    for moment, who, what, outcome, times in events:
        if as_json:
            row = {"timestamp": moment, "who": who, "what": what, "outcome": outcome}
            echo(msgspec.json.encode({**row, "times": times}).decode())
        else:
            often = f" x {times}" if times > 1 else ""
            echo(f"{moment}  {who:20} {what:24} {error_name(outcome)}{often}")


def _events(settings: Settings, limit: int) -> list[tuple[str, str, str, str, int]]:
    """The newest audit rows, of all servers of a team; [] without a database or audit table."""
    if settings.database_url:
        from ..team.start import require_psycopg

        require_psycopg()
        from ..team.registry import read_team_audit

        return read_team_audit(settings.database_url, limit)
    if not (settings.data_dir / NAME).exists():
        return []
    try:
        with contextlib.closing(connect(settings.data_dir / NAME, read_only=True)) as reading:
            return read_audit(reading, limit)
    except sqlite3.Error as error:
        if "no such table" in str(error):
            return []
        raise OperationError(f"The store cannot be read: {error}.") from None


@click.command()
@click.option("--days", type=click.IntRange(1, 90), default=30, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
@of_project
def usage(settings: Settings, days: int, as_json: bool) -> None:
    """How much was asked, of which tools, by whom, what failed, and the tokens saved by day.

    Of all servers of a team; a server writes what it counted every ten seconds.

    \b
    orchestr8-index usage --days 7
    """
    answer = summed(*_counted(settings, days))
    emit(answer, as_json, lambda: _usage(answer))


def _usage(found: dict[str, list[dict[str, Any]]]) -> str:
    lines: list[str] = []
    for title in ("tools", "callers", "days"):
        rows = found[title]
        width = max([len(title), *(len(row["name"]) for row in rows)])
        saved = f"{'tokens saved':>14}" if title == "days" else ""
        lines += ["", f"{title:{width}}{'calls':>10}{'errors':>9}{saved}"] if rows else []
        for row in rows:
            tokens = f"{row['tokens']:>14,}" if saved else ""
            lines.append(f"{row['name']:{width}}{row['calls']:>10,}{row['errors']:>9,}{tokens}")
    if found["errors"]:
        lines += ["", "errors", *(f"{row['name']}  {row['times']:,}" for row in found["errors"])]
    return "\n".join(lines[1:]) or "Nothing was asked in these days."


def _counted(
    settings: Settings, days: int
) -> tuple[list[tuple[str, str, str, str, int]], list[tuple[str, int, int]]]:
    """(usage rows, tokens that this folder's project has saved by day)."""
    rows, saved = [], []
    with contextlib.suppress(sqlite3.OperationalError):  # nothing was ever counted or reported
        with contextlib.closing(connect(settings.data_dir / NAME, read_only=True)) as reading:
            saved = saved_by_day(reading, days, name_of_project(reading, project_key(settings)))
            rows = [] if settings.database_url else read_usage(reading, days)
    if settings.database_url:
        from ..team.start import require_psycopg

        require_psycopg()
        from ..team.registry import read_team_usage

        rows = read_team_usage(settings.database_url, days)
    return rows, saved
