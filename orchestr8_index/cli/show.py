"""The texts that commands print on a terminal; no logic."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import asdict

from ..config import LOOPBACK, Settings
from ..fit import for_terminal
from ..places import TITLES
from ..records import KINDS, PLURAL, FileReport, Finding, Kind
from .paint import style

if TYPE_CHECKING:
    from ..daemon.locate import Address

SHOWN_PER_RULE = 5
SHOWN_NAMES = 12
SHOWN_ROOTS = 4
TOP = 10
ENOUGH_TASKS = 50
MOST_UNUSED = 40
NOT_THERE = "not in the index"  # the path of an expected entry that does not exist
COUNTED = """\
  won: tasks that succeeded with it, or that it resolved; failed: those that failed and nobody
  resolved. A partial result counts for neither; of one caller's near-equal tasks three count."""
COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}
NOUNS = {"agents": "agent", "skills": "skill", "workflows": "workflow"}


class Progress:
    """A line with a build's progress, on a terminal only."""

    def __init__(self) -> None:
        self._shown = False
        self._terminal = sys.stderr.isatty()

    def __call__(self, state: Any) -> None:
        progress = state["progress"] if isinstance(state, dict) else asdict(state)
        if self._terminal and progress and progress["total"]:
            self._shown = True
            text = f"\r  reading {progress['done']:,} of {progress['total']:,} files"
            click.echo(text, nl=False, err=True)

    def end(self) -> None:
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)


def url(where: int | Address) -> str:
    return f"http://{LOOPBACK}:{where}" if isinstance(where, int) else where.url


def roots(settings: Settings) -> str:
    """The first roots and the number of the rest."""
    names = [shortened(root) for root in settings.roots[:SHOWN_ROOTS]]
    more = len(settings.roots) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "") or "the index"


def counts(indexes: Mapping[str, Any]) -> str:
    return ", ".join(amount(indexes[name], noun) for name, noun in NOUNS.items())


def status(health: Mapping[str, Any], port: int | Address) -> str:
    """The text of `status`; `health` may also have `pid` and `roots`."""
    colour = {"healthy": "green", "degraded": "yellow"}.get(health["status"], "cyan")
    head = style(health["status"], fg=colour, bold=True)
    cache, files = health["cache"], health["files"]
    asked = cache["hits"] + cache["misses"]
    pid = f", process {health['pid']}" if health.get("pid") else ""
    lines = [
        f"Orchestr8 Index {health['version']}: {head} on {url(port)}{pid}",
        f"  up       {span(health['uptime_ms'] / 1000)}",
        *([f"  project  {health['project']}"] if "project" in health else []),
        f"  index    {counts(health['indexes'])}; generation {health['generation']}, "
        f"built in {health['build_ms'] / 1000:.1f} s, checked {ago(health['checked_age_s'])}",
        f"  files    {files['indexed']} indexed, {files['repaired']} repaired, "
        f"{files['skipped']} skipped",
        f"  memory   {health['memory_mb']:.1f} MB",
        f"  cache    {cache['hit_rate']:.0%} hits of {amount(asked, 'question')}",
        *_roots(health.get("roots") or ()),
        *(style(f"  ! {reason}", fg="yellow") for reason in health["reasons"]),
    ]
    if refused := health.get("refused_outcomes"):
        text = f"{refused:,} outcomes could not be delivered; they are in spool.refused.jsonl"
        lines.append(style(f"  ! {text}", fg="yellow"))
    return "\n".join(lines)


def _roots(names: Sequence[str]) -> list[str]:
    lines = [f"  root     {shortened(root)}" for root in names[:SHOWN_ROOTS]]
    more = len(names) - SHOWN_ROOTS
    return [*lines, f"           … and {more} more (--json lists all)"] if more > 0 else lines


def projects(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each project, in the order of `rows`."""
    if not rows:
        return "No project was asked for yet."
    now, lines = time.time(), []
    for row in rows:
        where = row["folder"] or ", ".join(row["roots"])
        entries = counts(row["entries"]) if row["entries"] else "not indexed yet"
        size = size_of(row["size"])
        asked = f"asked {ago(now - row['asked_at'])}"
        lines.append(f"{style(row['name'], bold=True)}  {entries}, {size}, {asked}  {where}")
        if row["learns_from"]:
            lines.append(f"  learns from {', '.join(row['learns_from'])}, too")
    return "\n".join(lines)


def size_of(count: int) -> str:
    """A number of bytes as text: `1.2 MB`, `12 kB`."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{-(-count // 1000)} kB"


def ago(seconds: float | None) -> str:
    """`3 min ago`, or `never`."""
    return "never" if seconds is None else f"{span(seconds)} ago"


def local_time(moment: str) -> str:
    """The local time of day of an ISO 8601 timestamp: `14:05:00`."""
    return datetime.fromisoformat(moment).astimezone().strftime("%H:%M:%S")


def span(seconds: float) -> str:
    """A duration as text: `3 min`."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def answer(kind: Kind, result: Mapping[str, Any]) -> str:
    lines = _rows(kind, result[PLURAL[kind]])
    near = result.get("near_misses")
    meant = f" Nearest names: {', '.join(near)}." if near else ""
    reasoning = f"  {result['reasoning']}{meant} Confidence {result['confidence']:.2f}."
    return "\n".join([*lines, style(reasoning, dim=True)])


def _rows(kind: Kind, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [style(PLURAL[kind].capitalize(), bold=True)]
    for place, row in enumerate(rows, 1):
        name = style(f"{row['plugin']}:{row['name']}", fg="green")
        model = f", {row['model']}" if row.get("model") else ""
        lines.append(f"  {place}. {name}  ({row['score']:.2f}{model})")
        if row.get("description"):
            lines.append(f"     {for_terminal(row['description'])}")
        called = for_terminal(row.get("call") or row["name"])
        if row.get("user_only"):
            lines.append(f"     {style(f'only you can run it: {called}', fg='yellow')}")
        if row.get("hosts"):
            lines.append(f"     known to {', '.join(row['hosts'])} as {called}")
    return lines if rows else [*lines, "  none"]


def context(result: Mapping[str, Any]) -> str:
    lines: list[str] = []
    for kind in KINDS:
        if rows := result[PLURAL[kind]]:
            sure = result.get("confidence", {}).get(PLURAL[kind], 0.0)
            lines += [*_rows(kind, rows), style(f"  Confidence {sure:.2f}.", dim=True)]
    if result["pattern"]:
        sequence = " → ".join(result["pattern"]["pattern"]["agent_sequence"])
        lines += [style("What worked before", bold=True), f"  {sequence}"]
    if result["text"]:
        lines += ["", result["text"], ""]
    receipt = result["receipt"]
    cost = (
        f"  {receipt['tokens_used']:,} tokens; all names and descriptions would be "
        f"{receipt['tokens_catalogue']:,} ({receipt['tokenizer']})."
    )
    return "\n".join([*(lines or ["Nothing fits this task."]), style(cost, dim=True)])


def roles(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "No registry with roles: put one at .claude/agent-registry.yml in a root."
    lines = []
    for role in rows:
        agents = ", then ".join(role["agents"]) or style("nobody", fg="red")
        lines.append(f"{style(role['role'], bold=True)}: {agents}")
        if role["missing"]:
            missing = ", ".join(role["missing"])
            lines.append(style(f"  missing: {missing}", fg="yellow"))
        if role["use_when"]:
            lines.append(f"  {role['use_when']}")
    return "\n".join(lines)


def file_row(file: FileReport) -> dict[str, Any]:
    names = ("root", "path", "outcome", "kind", "name", "reason", "line", "cure")
    return {name: getattr(file, name) for name in names}


def doctor(
    files: Sequence[FileReport],
    findings: Iterable[Finding],
    counted: Mapping[str, int],
    every: bool,
) -> str:
    head = (
        f"{counted['indexed']:,} indexed, {counted['repaired']:,} repaired, "
        f"{counted['skipped']:,} skipped; {counted['not_entries']:,} other markdown files "
        "are no entries" + ("." if every else " (--all lists them).")
    )
    listed = list(findings)
    is_one = len({file.root for file in files} | {finding.root for finding in listed}) < 2
    lines = [head, *_findings(listed, is_one)]
    if every:
        lines += ["", style("not entries", bold=True)]
        others = [file for file in files if not file.is_entry]
        lines += [f"  {_place(file, is_one)}: {file.reason}" for file in others]
    return "\n".join(lines)


def _place(of: FileReport | Finding, is_one: bool) -> str:
    """The path relative to its root if there `is_one` only, else absolute."""
    return of.path if is_one else shortened(os.path.join(of.root, of.path))


def shortened(path: str) -> str:
    """A path with the home folder as `~`."""
    home = os.path.expanduser("~")
    inside = home != os.sep and path.startswith(home + os.sep)
    return f"~{path.removeprefix(home)}" if inside else path


def hosts(loaded: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterable[str]:
    """Lines with the entries that each host would load, to compare with what it shows."""
    for host, by_kind in loaded.items():
        counts = ", ".join(
            amount(len(names), NOUNS[kind]) for kind, names in by_kind.items() if names
        )
        yield "\n" + style(f"{TITLES[host]} would load {counts}", bold=True)
        for names in filter(None, by_kind.values()):
            more = f", … and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
            yield for_terminal(f"  {', '.join(names[:SHOWN_NAMES])}{more}", lines=True)


def _findings(listed: Sequence[Finding], is_one: bool) -> Iterable[str]:
    totals, shown = Counter(f.rule for f in listed), Counter[str]()
    for finding in listed:
        if not shown[finding.rule]:
            title = f"{finding.severity}: {finding.rule} ({totals[finding.rule]})"
            yield "\n" + style(title, fg=COLOURS[finding.severity], bold=True)
        shown[finding.rule] += 1
        if shown[finding.rule] <= SHOWN_PER_RULE:
            yield from _finding(finding, is_one)
        elif shown[finding.rule] == totals[finding.rule]:
            yield f"  … and {totals[finding.rule] - SHOWN_PER_RULE} more (--json lists all)"


def _finding(finding: Finding, is_one: bool) -> Iterable[str]:
    line = f":{finding.line}" if finding.line else ""
    yield f"  {_place(finding, is_one)}{line}  {finding.message}"
    if finding.cure:
        yield style(f"      {finding.cure}", dim=True)


def lessons(learnt: Any) -> str:
    if not learnt.decisions:
        return "Nothing has been reported yet."
    lines = [decisions(learnt.decisions), style("Entries", bold=True), style(COUNTED, dim=True)]
    for record in learnt.entries[:TOP]:
        failed = f", {record.failures} failed" if record.failures else ""
        lines.append(f"  {record.entry}  {record.wins} won{failed}")
    lines += _rest(len(learnt.entries) - TOP, "entries")
    lines.append(style("Patterns", bold=True))
    lines += _patterns(learnt.patterns[:TOP]) or ["  none yet: a pattern needs two alike successes"]
    lines += _rest(len(learnt.patterns) - TOP, "patterns")
    if learnt.retired:
        lines.append(f"{len(learnt.retired)} retired (`orchestr8-index patterns --retired`)")
    return "\n".join(lines)


def unused(rows: Sequence[Any], reports: int) -> str:
    """The most costly entries that could be removed, and what all of them cost."""
    spent = sum(each.tokens for each in rows)
    head = [f"{len(rows):,} entries could go; their lines cost about {spent:,} tokens a session."]
    if not reports:
        head.append("Nothing has been reported yet, so that nobody is said to have never won.")
    elif reports < ENOUGH_TASKS:
        head.append(f"{decisions(reports)} alone: who never won says little before {ENOUGH_TASKS}.")
    lines = [
        f"  {each.tokens:5,} tokens  {each.kind} {for_terminal(f'{each.entry}: {each.why}')}"
        for each in rows[:MOST_UNUSED]
    ]
    return "\n".join([*head, *lines, *_rest(len(rows) - MOST_UNUSED, "entries")])


def reported(listed: Sequence[Any]) -> str:
    """The decisions of one key, a line each."""
    lines = [
        f"  {each.timestamp}  {each.reporter}  {each.result:8} {' → '.join(each.agents_used)}  "
        f"{each.task_id}: {each.task_description}"
        for each in listed
    ]
    return "\n".join([decisions(len(listed)), *lines])


def patterns(listed: Sequence[Any], retired: bool) -> str:
    return "\n".join(_patterns(listed)) or f"No {'retired ' if retired else ''}patterns."


def _patterns(listed: Sequence[Any]) -> list[str]:
    return [
        f"  {' → '.join(pattern.agent_sequence)}  {pattern.success_rate:.0%} of {pattern.uses}\n"
        + style(f"      {for_terminal(pattern.goal)}", dim=True)
        for pattern in listed
    ]


def _rest(more: int, what: str) -> list[str]:
    return [f"  … and {more} more {what} (--json lists all)"] if more > 0 else []


def verdict(result: Any) -> str:
    patterns = amount(result.patterns, "pattern")
    head = f"{decisions(result.decisions)} and {patterns} counted again: "
    if result.sound:
        return head + style("everything agrees", fg="green") + "."
    wrong = [f"decision {number} was altered on the disk" for number in result.altered]
    return "\n".join([head, *(style(f"  ! {w}", fg="red") for w in wrong + result.differences)])


def curve(data: Any) -> str:
    if not data.tasks:
        return "No past task has an entry that the index knows: nothing to replay."
    few = (
        f" That few tasks say little: wait for {ENOUGH_TASKS}." if data.tasks < ENOUGH_TASKS else ""
    )
    return (
        f"Hit@1 over {data.tasks:,} past tasks, each asked before it was learnt: "
        f"{data.hit1_without:.3f} without experience, "
        + style(f"{data.hit1_with:.3f} with it", bold=True)
        + f".{few}"
    )


def decisions(count: int) -> str:
    return amount(count, "decision")


def amount(count: int, noun: str) -> str:
    """`1 line`, `2 lines`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def score(result: Any, change: Any) -> str:
    before = "" if change.hit1_before is None else f" (last run {change.hit1_before:.3f})"
    lines = [
        f"{amount(result.questions, 'question')}: Hit@1 {result.hit1:.3f}{before}, "
        f"R@5 {result.r5:.3f}, MRR {result.mrr:.3f}",
        *(style(f"  + {query}", fg="green") for query in change.gained),
        *(style(f"  - {query}", fg="red") for query in change.lost),
    ]
    for miss in result.misses:
        away = NOT_THERE if miss.path == NOT_THERE else "not among the first ten"
        where = f"at place {miss.place}" if miss.place else away
        lines.append(f"\n  {for_terminal(miss.query)}")
        lines.append(f"    wanted {miss.expected}, {where}; first is {miss.first or 'nobody'}")
        if miss.lacking:
            lines.append(style(f"    {miss.path} lacks: {', '.join(miss.lacking)}", dim=True))
    return "\n".join(lines)


def standing(row: dict[str, Any], kind: Kind) -> str:
    words = ", ".join(row["lacking"])
    if not row["entry"]:
        return f"No {kind} matches: none has {words or 'a word of it'}."
    where = f"at place {row['place']} with {row['score']:.4f}" if row["place"] else "not found"
    ahead = f"; first is {row['first'] or 'nobody'} with {row['first_score']:.4f}"
    lines = [f"{row['entry']} stands {where}{'' if row['place'] == 1 else ahead}."]
    for line in row["lines"]:
        named = (f"{name} {points:.4f}" for name, points in line.get("fields", {}).items())
        fields = f"  ({fields})" if (fields := ", ".join(named)) else ""
        lines.append(f"  {line['points']:+.4f}  {line['term']}{fields}")
    if words:
        lines.append(f"{row['path']} lacks: {words}. Say in its description what is true of them.")
    return "\n".join(lines)
