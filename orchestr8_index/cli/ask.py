"""query, context, entry, roles, doctor, explain, eval: questions, with or without a server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from .. import queries as params
from ..client.embedded import generations_of
from ..config import Settings
from ..errors import OperationError
from ..places import TITLES, call_of, hosts_of
from ..records import KINDS, PLURAL, Finding, Kind
from ..text import as_utf8
from ..validate import describe_error
from . import show
from .asking import index_of, source_of
from .options import common, emit, with_roots_of_server
from .paint import echo

if TYPE_CHECKING:
    from ..catalog.index import Index

QUERIES: dict[Kind, tuple[str, str, type[params.Choice]]] = {
    "agent": ("queryAgents", "context", params.AgentQuery),
    "skill": ("querySkills", "context", params.SkillQuery),
    "workflow": ("queryWorkflows", "goal", params.WorkflowQuery),
}
SHORT_LIST = 3
OWN_WORDS = "Put each as you would ask it: in the entries' own words a good score proves little."
NO_TEXT = "TEXT cannot be asked: it {why}. Say in 500 characters at most what is wanted."
CANNOT = "That cannot be asked: {field} {why}."


@click.command()
@click.argument("text")
@click.option("--kind", type=click.Choice(KINDS), help="Ask one kind only.")
@click.option("--limit", type=click.IntRange(1, 20), help="How many [3 of each kind, or 5 of one].")
@click.option("--json", "as_json", is_flag=True, help="The results as JSON.")
@common
def query(
    settings: Settings, text: str, kind: Kind | None, limit: int | None, as_json: bool
) -> None:
    """Ask who can do TEXT: the best agents, skills and workflows.

    \b
    orchestr8-index query "our nightly job got slow since the last release"
    orchestr8-index query "write release notes" --kind skill --json
    """
    kinds = KINDS if kind is None else (kind,)
    most = limit or (5 if kind else SHORT_LIST)
    given = {each: {QUERIES[each][1]: as_utf8(text), "limit": most} for each in kinds}
    queries = {each: _checked(given[each], QUERIES[each][2], NO_TEXT) for each in kinds}
    source = source_of(settings)
    results = {PLURAL[each]: source.ask(QUERIES[each][0], queries[each]) for each in kinds}
    shown = (show.answer(each, results[PLURAL[each]]) for each in kinds)
    emit(results, as_json, lambda: "\n".join(shown), source.name)


def _checked(given: dict[str, Any], kind: Any, sentence: str) -> Any:
    """`given` as params of that kind. Raises UsageError with `sentence`, filled with the {field}
    and {why} of the first fault."""
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        field, _, why = describe_error(error).partition(" ")
        raise click.UsageError(sentence.format(field=field, why=why)) from None


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
    """Say what TASK needs, within a budget: agents, skills, a workflow, the past, passages.

    \b
    orchestr8-index context "make the nightly export faster" --max-tokens 800
    """
    asked = {"task": as_utf8(task), "max_tokens": max_tokens, "kinds": list(kinds or KINDS)}
    query = _checked(asked, params.ContextQuery, CANNOT)
    source = source_of(settings)
    context = source.ask("getContext", query)
    emit(context, as_json, lambda: show.context(context), source.name)


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
    plugin, colon, bare = as_utf8(name).partition(":")
    if not colon or not plugin or not bare:
        sentence = f"{name} is not of the form PLUGIN:NAME."
        raise OperationError(sentence, f"`orchestr8-index query {name}` shows both.")
    asked = {"kind": kind, "plugin": plugin, "name": bare, "max_tokens": max_tokens}
    query = _checked(asked, params.EntryQuery, CANNOT)
    source = source_of(settings)
    entry = source.ask("getEntry", query)
    emit(entry, as_json, lambda: entry["text"], source.name)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The roles as JSON.")
@common
def roles(settings: Settings, as_json: bool) -> None:
    """List the registry's roles, and the agents that exist for them.

    \b
    orchestr8-index roles
    """
    index, source = index_of(with_roots_of_server(settings))
    segment = index.segments["agent"]
    listed = [
        {
            "role": resolved.role.name,
            "agents": [segment.entry(place).qualified for place in resolved.agents],
            "missing": list(resolved.missing),
            "capabilities": list(resolved.role.capabilities),
            "model": resolved.role.model,
            "use_when": resolved.role.use_when,
        }
        for resolved in index.manifest.roles
    ]
    emit({"roles": listed}, as_json, lambda: show.roles(listed), source)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Files, findings and counts as JSON.")
@click.option("--all", "every", is_flag=True, help="List files that are simply not entries too.")
@common
def doctor(settings: Settings, as_json: bool, every: bool) -> None:
    """Say how every file ended (indexed, repaired, or skipped and why), and what each host loads.

    \b
    orchestr8-index doctor --root ~/my-plugins
    orchestr8-index doctor --json --all
    """
    from ..catalog.skill_files import held_back

    settings = with_roots_of_server(settings)
    index, source = index_of(settings)
    report = generations_of(settings).files(index.generation)
    findings = [*report.findings, *held_back(index), *_lexicon(settings)]
    counts = {**index.manifest.files, "findings": len(findings)}
    files = [file for file in report.files if every or file.is_entry]
    rows = [show.file_row(file) for file in files]
    hosts = _loaded_by_host(index)
    result = {"files": rows, "findings": findings, "counts": counts, "hosts": hosts}
    text = [show.doctor(files, findings, counts, every), *show.hosts(hosts)]
    emit(result, as_json, lambda: "\n".join(text), source)


def _loaded_by_host(index: Index) -> dict[str, dict[str, list[str]]]:
    """By host and kind, the names by which the host calls the entries that it would load; without
    hosts that load nothing. Entries in no host's folder are loaded by none."""
    names_by_host: dict[str, dict[str, list[str]]] = {}
    for kind, segment in index.segments.items():
        for entry in map(segment.entry, range(segment.size)):
            for host in hosts_of(entry):
                of_host = names_by_host.setdefault(host, {PLURAL[each]: [] for each in KINDS})
                of_host[PLURAL[kind]].append(call_of(entry, host))
    return {host: names_by_host[host] for host in TITLES if host in names_by_host}


def _lexicon(settings: Settings) -> list[Finding]:
    """Findings for the invalid lines of the user's lexicon."""
    from ..lexicon.tables import USER_FILE, faults

    folder = str(settings.data_dir)
    cure = "Correct the line: keys, a tab, words, as `k8s<tab>kubernetes` (docs/lexicon.md)."
    return [
        Finding("lexicon", "warning", "", bad.path.name, bad.number or None, bad.why, cure, folder)
        for bad in faults(settings.data_dir / USER_FILE)
    ]


def _golden_of(roots: Sequence[str]) -> Path:
    """The golden.jsonl of the first root that has one, else the path in the first root."""
    places = [Path(root, "golden.jsonl") for root in roots]
    return next((place for place in places if place.exists()), places[0])


@click.command("explain")
@click.argument("text")
@click.argument("name", required=False, default="")
@click.option("--kind", type=click.Choice(KINDS), default="agent", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The standing as JSON.")
@common
def explain_place(settings: Settings, text: str, name: str, kind: Kind, as_json: bool) -> None:
    """Say why NAME [the first hit] has its rank for TEXT, and which words would raise it.

    \b
    orchestr8-index explain "our nightly import takes four hours"
    orchestr8-index explain "our nightly import takes four hours" pipeline-builder
    """
    from .learnt import experience_of

    asked = {"task": as_utf8(text), "kind": kind, "name": as_utf8(name)}
    query = _checked(asked, params.StandingQuery, CANNOT)
    source = source_of(settings, experience_of)
    standing = source.ask("explainStanding", query)
    emit(standing, as_json, lambda: show.standing(standing, kind), source.name)


@click.command("eval")
@click.argument("golden", type=click.Path(dir_okay=False), required=False)
@click.option("--min-hit1", type=click.FloatRange(0, 1), help="Exit status 1 below this share.")
@click.option("--suggest", is_flag=True, help="Print 20 candidate questions to edit, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Score, change and misses as JSON.")
@common
def evaluate(
    settings: Settings, golden: str | None, min_hit1: float | None, suggest: bool, as_json: bool
) -> None:
    """Ask your own golden questions (golden.jsonl of the first root) and score the answers.

    \b
    orchestr8-index eval --suggest > golden.jsonl
    orchestr8-index eval golden.jsonl --min-hit1 0.9
    """
    from . import golden as gold

    settings = with_roots_of_server(settings)
    index, source = index_of(settings)
    if suggest:
        for line in (lines := list(gold.suggest(index))):
            echo(line)
        echo(OWN_WORDS if lines else f"No entry has an example of a request. {gold.LINE}", err=True)
        return
    path = Path(golden) if golden else _golden_of(settings.roots)
    score = gold.evaluate(index, gold.read_questions(path))
    score = msgspec.structs.replace(score, file=os.path.realpath(path))
    last = settings.data_dir / gold.LAST_RUN
    change = gold.compare(score, last)
    gold.save(score, last)
    result = {"score": score, "change": change}
    emit(result, as_json, lambda: show.score(score, change), source)
    if min_hit1 is not None and score.hit1 < min_hit1:
        sentence = f"Hit@1 is {score.hit1:.3f}, below the wanted {min_hit1:g}."
        raise OperationError(sentence, "Each miss above names a description to change.")
