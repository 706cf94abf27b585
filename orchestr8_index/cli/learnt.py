"""learned, patterns, verify, replay, export, import, forget, backup, restore: about outcomes."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import Struct

from ..config import Settings
from ..errors import OperationError
from ..records import KINDS, Entry, Experience, FileReport, Kind
from ..tokens import ESTIMATING
from ..views import EntryRecord, Lessons
from . import show
from .options import common, confirm, emit, project_key, with_roots_of_server, yes_option
from .paint import echo

if TYPE_CHECKING:
    from ..catalog.index import Index, Segment
    from ..serve.replay import Curve

MOST_TOLD = 200  # the most rows that a server answers


@contextlib.contextmanager
def reading(settings: Settings) -> Iterator[Any]:
    """Open the store read-only, also beside a running server; gives its Outcomes. Raises
    OperationError without a database."""
    from ..learn.verify import read_only
    from ..store.database import NAME
    from ..store.store import Store

    if not (settings.data_dir / NAME).exists():
        cure = "Report outcomes with cacheDecision first, or name another --data-dir."
        raise OperationError("Nothing has been learnt yet: there is no database.", cure)
    store = Store(settings.data_dir)
    try:
        store.open_to_read()
        with contextlib.closing(store):
            yield read_only(store, project_key(settings))
    except sqlite3.Error as error:
        cure = "Start the server: it sets a damaged database aside and restores a backup."
        raise OperationError(f"The database cannot be read: {error}.", cure) from None


def experience_of(settings: Settings) -> Experience | None:
    """The experience of this project and its lenders; None when nothing was learnt."""
    from ..learn.experience import together
    from ..learn.verify import read_only
    from ..serve.projectlist import read_projects

    try:
        with reading(settings) as outcomes:
            known = read_projects(settings.data_dir)
            own = known.get(project_key(settings))
            lenders = [known[key] for key in own.learns_from if key in known] if own else []
            lent = [(e.name, read_only(outcomes.store, e.key).experience) for e in lenders]
            experience: Experience = outcomes.experience
            return together(experience, lent) if lent else experience
    except OperationError:
        return None


@click.command()
@click.option("--by", help="The decisions that this key reported, by its name or id.")
@click.option("--unused", "idle", is_flag=True, help="What could go, with what it costs its host.")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON.")
@common
def learned(settings: Settings, by: str | None, idle: bool, as_json: bool) -> None:
    """Show what has been learnt: entries by wins and failures, patterns by use.

    --unused names the entries that never won, whose twin always comes first, or that hide another,
    with the tokens that each costs its host.

    \b
    orchestr8-index learned
    orchestr8-index learned --by ci
    orchestr8-index learned --unused
    """
    if by is not None:
        from ..learn.verify import reported_by

        with reading(settings) as outcomes:
            reported = reported_by(outcomes, by)
        return emit(reported, as_json, lambda: show.reported(reported))
    if idle:
        return _show_unused(settings, as_json)
    learnt, source = _lessons(settings)
    emit(learnt, as_json, lambda: show.lessons(learnt), source)


def _lessons(settings: Settings) -> tuple[Lessons, str]:
    """(lessons, their source): of the running server, or of the store without a server, or when
    there are more rows than it answers at once."""
    from .asking import server_of

    if (server := server_of(settings)) is not None:
        learnt = msgspec.convert(server.ask("getLearned", {}), Lessons)
        if max(len(learnt.entries), len(learnt.patterns), len(learnt.retired)) < MOST_TOLD:
            return learnt, server.name
    from ..learn.verify import lessons
    from .admin import whose

    with reading(settings) as outcomes:
        return lessons(outcomes), server.name if server else whose(settings)


def _show_unused(settings: Settings, as_json: bool) -> None:
    from ..client.embedded import generations_of
    from .asking import index_of

    settings = with_roots_of_server(settings)
    learnt = Lessons(0, [], [], [])
    with contextlib.suppress(OperationError):  # nothing was learnt yet
        learnt, _ = _lessons(settings)
    index, source = index_of(settings)
    files = generations_of(settings).files(index.generation).files
    rows = unused(index, learnt.entries, files)
    emit(rows, as_json, lambda: show.unused(rows, learnt.decisions), source)


@click.command()
@click.option("--retired", is_flag=True, help="Those that are no longer returned.")
@click.option("--json", "as_json", is_flag=True, help="The patterns as JSON.")
@common
def patterns(settings: Settings, retired: bool, as_json: bool) -> None:
    """List the patterns that a question may get, or those that were retired.

    \b
    orchestr8-index patterns --retired
    """
    learnt, source = _lessons(settings)
    listed = learnt.retired if retired else learnt.patterns
    emit(listed, as_json, lambda: show.patterns(listed, retired), source)


@click.command("verify")
@click.option("--json", "as_json", is_flag=True, help="The verdict as JSON.")
@common
def verify_all(settings: Settings, as_json: bool) -> None:
    """Count everything again from the decisions, and check every row's digest.

    \b
    orchestr8-index verify
    """
    from ..learn.verify import verify

    with reading(settings) as outcomes:
        verdict = verify(outcomes)
    emit(verdict, as_json, lambda: show.verdict(verdict))
    if not verdict.sound:
        sys.exit(1)


@click.command()
@click.option("--plot", type=click.Path(dir_okay=False), help="Draw the curve: a PNG or SVG file.")
@click.option("--json", "as_json", is_flag=True, help="The curve as JSON.")
@common
def replay(settings: Settings, plot: str | None, as_json: bool) -> None:
    """Ask every past task again in time order: Hit@1 with experience and without.

    \b
    orchestr8-index replay --plot curve.svg
    """
    from ..learn.verify import in_time_order
    from ..serve.replay import replayed
    from .asking import build_here

    settings = with_roots_of_server(settings)
    with reading(settings) as outcomes:
        curve = replayed(build_here(settings), in_time_order(outcomes))
    if plot:
        _draw(curve, Path(plot))
    emit(curve, as_json, lambda: show.curve(curve))


def _draw(curve: Curve, path: Path) -> None:
    """Write the curve as PNG or SVG, by the file's ending. Raises OperationError."""
    if path.suffix.lower() not in (".png", ".svg"):
        raise OperationError(f"{path.name} is neither a .png nor an .svg file.", "Name one.")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise OperationError("Drawing needs matplotlib.", "Run: pip install matplotlib.") from None
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    tasks = [point.tasks for point in curve.points]
    axes.plot(tasks, [point.with_experience for point in curve.points], label="with experience")
    axes.plot(tasks, [point.without for point in curve.points], label="without")
    axes.set(xlabel="past tasks", ylabel="Hit@1 so far", ylim=(0, 1))
    axes.legend()
    figure.savefig(path)


@click.command("export")
@click.argument("file", type=click.File("w"), default="-")
@common
def export_decisions(settings: Settings, file: Any) -> None:
    """Write all decisions of this folder's project as JSON lines, to FILE or standard output.

    \b
    orchestr8-index export decisions.jsonl
    """
    from ..learn.verify import in_time_order

    count = 0
    with reading(settings) as outcomes:
        for decision in in_time_order(outcomes):
            file.write(msgspec.json.encode(decision).decode() + "\n")
            count += 1
    echo(f"{show.decisions(count)} of this project exported.", err=True)


@click.command("import")
@click.argument("file", type=click.File("r"))
@common
def import_decisions(settings: Settings, file: Any) -> None:
    """Report every line of FILE (as `export` writes them). Known ones change nothing.

    \b
    orchestr8-index import decisions.jsonl
    """
    from .admin import import_lines

    new, known = import_lines(settings, file)
    echo(f"{show.decisions(new)} imported, {known:,} known already.")


@click.command()
@click.option("--task", "task_id", help="The decision of this task_id.")
@click.option("--before", help="All decisions before this moment, as 2026-01-31 or with a time.")
@click.option("--agent", help="All decisions that used this agent, as plugin:name.")
@click.option("--by", help="All decisions that this key reported, by its name or id.")
@yes_option
@common
def forget(settings: Settings, yes: bool, **chosen: str | None) -> None:
    """Remove decisions for good, and everything that was learnt from them.

    \b
    orchestr8-index forget --before 2026-01-01
    """
    from .admin import forget_decisions

    given = {name: value for name, value in chosen.items() if value}
    if len(given) != 1:
        raise click.UsageError("Give one of --task, --before, --agent, --by.")
    [(name, value)] = given.items()
    confirm(f"Forget for good every decision of {name} {value}?", yes)
    echo(f"{show.decisions(forget_decisions(settings, given))} forgotten.")


@click.command()
@common
def backup(settings: Settings) -> None:
    """Copy the database now, also while the server runs. The newest seven are kept.

    \b
    orchestr8-index backup
    """
    from ..store.backup import backup as back_up

    _of_team(settings, "pg_dump -Fc -n orchestr8 -f o8.dump")
    try:
        echo(str(back_up(settings.data_dir)))
    except (sqlite3.Error, OSError) as error:
        cure = "Is there a database, and can its folder be written to?"
        raise OperationError(f"The backup failed: {error}.", cure) from None


def _of_team(settings: Settings, command: str) -> None:
    """For a team, say the PostgreSQL command that this one does not replace."""
    if settings.database_url:
        echo(f'What the team shares is in PostgreSQL: {command} "$MCP_DATABASE_URL"', err=True)


@click.command()
@click.argument("file", required=False)
@common
def restore(settings: Settings, file: str | None) -> None:
    """Put a backup in the database's place: FILE, one of those in the data directory by its name,
    or the newest of what was learnt. The server must be stopped.

    \b
    orchestr8-index restore
    orchestr8-index restore coordinate-2026-01-31T120000.000.db    what agents share
    """
    from ..coordinate import statements
    from ..daemon.supervise import running_port
    from ..store import backup
    from .admin import alone

    data_dir = settings.data_dir
    if running_port(settings) is not None:
        raise OperationError("The server is running.", "Stop it first: `orchestr8-index down`.")
    _of_team(settings, "pg_restore --clean o8.dump -d")
    places = (
        [Path(file), data_dir / backup.FOLDER / file] if file else backup.backups(data_dir)[-1:]
    )
    chosen = next((place for place in places if place.is_file()), None)
    if chosen is None:
        raise OperationError(f"There is no {'such ' if file else ''}backup.", "Name a file.")
    shared = statements.MIGRATIONS
    which = (statements.NAME, shared) if backup.is_good(chosen, shared) else ()
    with alone(settings):
        aside = backup.restore(data_dir, chosen, *which)
    kept = f" The database before is kept as {aside}." if aside else ""
    echo(f"Restored {chosen.name}.{kept}")


TAKES, BEFORE = "hidden: the host takes ", ", which goes before it"


class Unused(Struct, frozen=True):
    """An entry that could be removed; `tokens` is what its line costs in every session."""

    why: str
    kind: Kind
    entry: str
    path: str
    tokens: int


def unused(
    index: Index, records: Sequence[EntryRecord], files: Iterable[FileReport]
) -> list[Unused]:
    """Entries that could be removed, the most costly first."""
    wins = {(record.kind, record.entry): record.wins for record in records}
    rows = list(_hiding(index, files))
    for kind in KINDS:
        segment = index.segments[kind]
        for place in range(segment.size):
            entry = segment.entry(place)
            if not wins.get((kind, entry.qualified)) and (why := _why(segment, place, wins)):
                rows.append(_row(why, entry))
    return sorted(rows, key=lambda each: (-each.tokens, each.entry))


def _row(why: str, entry: Entry) -> Unused:
    return Unused(why, entry.kind, entry.qualified, entry.path, ESTIMATING(entry.line))


def _why(segment: Segment, place: int, wins: dict[tuple[Kind, str], int]) -> str:
    """Why an entry could be removed, or "": of near-clones keep the one that won most."""
    group = [segment.entry(each).qualified for each in sorted({place, *segment.clones(place)})]
    best = max(group, key=lambda name: wins.get((segment.kind, name), 0))
    if best != segment.entry(place).qualified:
        return f"its twin {best} always comes first"
    return "never won" if wins else ""


def _hiding(index: Index, files: Iterable[FileReport]) -> Iterator[Unused]:
    """Entries that hide a file of the same name, which the host would load otherwise."""
    roots = index.manifest.roots
    places = {
        f"{roots[entry.root]}/{entry.path}": entry
        for segment in index.segments.values()
        for entry in map(segment.entry, range(segment.size))
    }
    for file in files:
        if file.reason.startswith(TAKES):
            if entry := places.get(file.reason.removeprefix(TAKES).removesuffix(BEFORE)):
                yield _row(f"hides {file.root}/{file.path}", entry)
