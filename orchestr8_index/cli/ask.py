"""query, roles, doctor: questions from the command line, with a server or without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from ..config import Settings
from ..errors import OperationError
from ..plain import plain
from ..records import (
    KINDS,
    PLURAL,
    AgentQuery,
    Choice,
    Finding,
    Kind,
    SkillQuery,
    WorkflowQuery,
)
from . import show
from .asking import index_of, source_of
from .options import common, readable, with_roots_of_server

QUERIES: dict[Kind, tuple[str, str, type[Choice]]] = {
    "agent": ("queryAgents", "context", AgentQuery),
    "skill": ("querySkills", "context", SkillQuery),
    "workflow": ("queryWorkflows", "goal", WorkflowQuery),
}
SHORT_LIST = 3


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
    params = {each: {QUERIES[each][1]: readable(text), "limit": most} for each in kinds}
    queries = _checked(params)
    source = source_of(settings)
    results = {each: source.ask(QUERIES[each][0], queries[each]) for each in kinds}
    if as_json:
        click.echo(msgspec.json.encode({PLURAL[k]: results[k] for k in kinds}).decode())
        return
    click.echo(f"({source.told})", err=True)
    for each in kinds:
        click.echo(show.answer(each, results[each]))


def _checked(params: dict[Kind, dict[str, Any]]) -> dict[Kind, Choice]:
    try:
        return {kind: msgspec.convert(given, QUERIES[kind][2]) for kind, given in params.items()}
    except msgspec.ValidationError as error:
        why = plain(error).partition(" ")[2]  # the field is no word of the command line
        cure = "Say in 500 characters at most what is wanted."
        raise click.UsageError(f"TEXT cannot be asked: it {why}. {cure}") from None


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
    found = [
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
    if as_json:
        click.echo(msgspec.json.encode({"roles": found}).decode())
        return
    click.echo(f"({source})", err=True)
    click.echo(show.roles(found))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Files, findings and counts as JSON.")
@click.option("--all", "every", is_flag=True, help="List files that are simply not entries too.")
@common
def doctor(settings: Settings, as_json: bool, every: bool) -> None:
    """Say how every markdown file ended: indexed, repaired, or skipped and why.

    \b
    orchestr8-index doctor --root ~/my-plugins
    orchestr8-index doctor --json --all
    """
    from .local import generations_of

    settings = with_roots_of_server(settings)
    index, source = index_of(settings)
    told = generations_of(settings).files(index.generation)
    findings = [*told.findings, *_lexicon(settings)]
    counts = {**index.manifest.files, "findings": len(findings)}
    files = [file for file in told.files if every or file.is_entry]
    if as_json:
        rows = [show.file_row(file) for file in files]
        body = {"files": rows, "findings": findings, "counts": counts}
        click.echo(msgspec.json.encode(body).decode())
        return
    click.echo(f"({source})", err=True)
    click.echo(show.doctor(files, findings, counts, every))


def _lexicon(settings: Settings) -> list[Finding]:
    """The lines of the user's lexicon that say nothing."""
    from ..lexicon.tables import USER_FILE, faults

    cure = "Mend the line: keys, a tab, words; docs/lexicon.md has the form."
    return [
        Finding("lexicon", "warning", "", str(bad.path), bad.number or None, bad.why, cure)
        for bad in faults(settings.data_dir / USER_FILE)
    ]


@click.command("explain")
@click.argument("text")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="agent", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The standing as JSON.")
@common
def explain_place(settings: Settings, text: str, name: str, kind: Kind, as_json: bool) -> None:
    """Say why NAME stands where it stands for TEXT, and which words would bring it up.

    \b
    orchestr8-index explain "rotate the TLS certs" network-engineer
    """
    from . import golden as gold

    index, source = index_of(with_roots_of_server(settings))
    told = gold.standing(index, kind, text, name)
    if as_json:
        click.echo(msgspec.json.encode(told).decode())
        return
    click.echo(f"({source})", err=True)
    click.echo(show.standing(told))


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
        for line in gold.suggest(index):
            click.echo(line)
        return
    path = Path(golden) if golden else Path(settings.roots[0], "golden.jsonl")
    score = gold.evaluate(index, gold.read_questions(path))
    last = settings.data_dir / gold.LAST_RUN
    change = gold.compare(score, last)
    gold.save(score, last)
    if as_json:
        told = {"score": score, "change": change}
        click.echo(msgspec.json.encode(told).decode())
    else:
        click.echo(f"({source})", err=True)
        click.echo(show.score(score, change))
    if min_hit1 is not None and score.hit1 < min_hit1:
        sentence = f"Hit@1 is {score.hit1:.3f}, below the wanted {min_hit1:g}."
        raise OperationError(sentence, "Each miss above names a description to change.")
