"""context and entry: what one task needs, and what one entry says, within a budget of tokens."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ..config import Settings
from ..errors import OperationError
from ..queries import ContextQuery, EntryQuery
from ..records import KINDS, Kind
from ..validate import describe_error
from . import show
from .asking import source_of
from .options import common, readable


@click.command("context")
@click.argument("task")
@click.option(
    "--max-tokens",
    type=click.IntRange(100, 100_000),
    default=2000,
    show_default=True,
    help="The budget of the whole answer.",
)
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Repeatable [all].")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON, as a caller gets it.")
@common
def read_context(
    settings: Settings, task: str, max_tokens: int, kinds: tuple[Kind, ...], as_json: bool
) -> None:
    """Say what TASK needs, within a budget: agents, skills, a workflow, the past, one section.

    \b
    orchestr8-index context "make the nightly export faster" --max-tokens 800
    """
    asked = {"task": readable(task), "max_tokens": max_tokens, "kinds": list(kinds or KINDS)}
    query = _checked(asked, ContextQuery)
    source = source_of(settings)
    told = source.ask("getContext", query)
    _print(told, source.name, as_json, show.context)


@click.command("entry")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="agent", show_default=True)
@click.option("--max-tokens", type=click.IntRange(1, 1_000_000), help="Cut to this many [all].")
@click.option("--json", "as_json", is_flag=True, help="The entry as JSON.")
@common
def read_entry(
    settings: Settings, name: str, kind: Kind, max_tokens: int | None, as_json: bool
) -> None:
    """Print the text of the entry NAME, given as PLUGIN:NAME.

    \b
    orchestr8-index entry build-and-ship:postgres-tuner --max-tokens 800
    orchestr8-index entry studio:release-notes --kind skill
    """
    plugin, colon, bare = readable(name).partition(":")
    if not colon or not plugin or not bare:
        sentence = f"{name} is not of the form PLUGIN:NAME."
        raise OperationError(sentence, f"`orchestr8-index query {name}` shows both.")
    asked = {"kind": kind, "plugin": plugin, "name": bare, "max_tokens": max_tokens}
    query = _checked(asked, EntryQuery)
    source = source_of(settings)
    told = source.ask("getEntry", query)
    _print(told, source.name, as_json, lambda entry: entry["text"])


def _checked(given: dict[str, Any], kind: Any) -> Any:
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise click.UsageError(f"That cannot be asked: {describe_error(error)}.") from None


def _print(told: Any, source: str, as_json: bool, text: Any) -> None:
    if as_json:
        click.echo(msgspec.json.encode(told).decode())
        return
    click.echo(f"({source})", err=True)
    click.echo(text(told))
