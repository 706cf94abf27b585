"""learn: report the delegations in a host's transcripts of past sessions."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..config import Settings, inherited_environment
from ..environment import home_folder
from ..errors import OperationError
from ..learn.verify import in_time_order
from ..project import find_project
from ..roots import claude_folder
from ..search.candidates import by_name
from ..serve.hooks.history import History, read_history
from . import show
from .admin import keep_reports
from .asking import build_here
from .learnt import reading
from .options import common, with_roots_of_server
from .paint import echo, style

TOP = 15


@click.command()
@click.option("--from-history", "history", is_flag=True, help="Read Claude Code's transcripts.")
@click.option("--all", "everywhere", is_flag=True, help="Of all folders, not this project's alone.")
@click.option("--yes", is_flag=True, help="Keep what was found; without it nothing is kept.")
@common
def learn(settings: Settings, history: bool, everywhere: bool, yes: bool) -> None:
    """Learn from delegations of the past, so that nobody starts at zero.

    \b
    orchestr8-index learn --from-history
    orchestr8-index learn --from-history --yes
    """
    if not history:
        raise click.UsageError("Say from what: --from-history.")
    settings = with_roots_of_server(settings)
    folder = claude_folder(Path(settings.home or home_folder()), inherited_environment())
    here = (lambda path: True) if everywhere else _within(settings)
    found = read_history(folder, _knows(build_here(settings)), here)
    for line in _summary(found, folder):
        echo(line)
    if not found.reports:
        none = "Nothing of this project is to be learnt; --all reads those of all folders."
        return None if everywhere else echo(none)
    if not yes:
        none = "Nothing is kept yet: the same with --yes keeps it."
        return echo("All of it is known already." if _is_known(settings, found) else none)
    new, known = keep_reports(settings, found.reports)
    echo(f"{show.decisions(new)} learnt, {known:,} known already.")


def _is_known(settings: Settings, found: History) -> bool:
    """Whether the store, or a team's log in which nothing was forgotten, has every report."""
    wanted = {report.task_id for report in found.reports}
    if settings.database_url:
        from ..team.move import read_learnt
        from ..team.project import learning_project
        from ..team.start import SCHEMA

        entries = read_learnt(settings.database_url, SCHEMA, learning_project(settings))
        known = {each.report.task_id if each.report else "" for each in entries}
        return not any(each.forget for each in entries) and known.issuperset(wanted)
    try:
        with reading(settings) as outcomes:
            known = {decision.task_id for decision in in_time_order(outcomes)}
    except OperationError:  # nothing was learnt yet
        return False
    return known.issuperset(wanted)


def _within(settings: Settings) -> Callable[[str], bool]:
    """A check whether a folder belongs to the same project as this one."""
    known: dict[str, bool] = {}
    home = str(home_folder())
    ours = find_project(os.getcwd(), home)

    def within(folder: str) -> bool:
        if folder not in known:
            is_path = os.path.isabs(folder) and "\0" not in folder
            theirs = find_project(folder, home) if is_path else None
            same = theirs.key == ours.key if theirs and ours else folder == os.getcwd()
            known[folder] = same
        return known[folder]

    return within


def _knows(index: Any) -> Callable[[str], str]:
    agents = index.segments["agent"]

    def knows(name: str) -> str:
        places = by_name(agents, name)
        return agents.entry(places[0]).qualified if len(places) == 1 else ""

    return knows


def _summary(found: History, folder: Path) -> list[str]:
    """What would be learnt: tasks by agent and result, patterns, and what is skipped."""
    plans = [report for report in found.reports if report.parallel_groups]
    results = Counter(
        (report.agents_used[0], report.result)
        for report in found.reports
        if not report.parallel_groups
    )
    agents = Counter(agent for agent, _ in results.elements())
    lines = [
        f"{show.amount(found.files, 'transcript')} in {folder / 'projects'}: "
        f"{show.amount(agents.total(), 'task')}"
    ]
    for agent, _ in agents.most_common(TOP):
        parts = (f"{results[agent, r]} {r}" for r in ("success", "failure", "partial"))
        lines.append(f"  {agent}  {', '.join(part for part in parts if part[0] != '0')}")
    if len(agents) > TOP:
        lines.append(f"  and {len(agents) - TOP} more agents")
    if plans:
        lines.append(style(f"{len(plans):,} plans of several agents", bold=True))
        lines += [f"  {plan.task_description[:60]}: {_order(plan)}" for plan in plans[-TOP:]]
    if found.unknown:
        some = ", ".join(name for name, _ in found.unknown.most_common(5))
        count = sum(found.unknown.values())
        lines.append(f"{count:,} tasks of agents that are not in the index: {some}")
    if found.bad:
        where = ", ".join(f"{name} ({n})" for name, n in found.bad.most_common(3))
        lines.append(f"{show.amount(found.bad.total(), 'line')} could not be read: {where}")
    return lines


def _order(plan: Any) -> str:
    return ", then ".join(" beside ".join(group) for group in plan.parallel_groups)
