"""What a reporter is told: who gained or lost, which pattern counts, which names are unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..records import Decision, Kind, Pattern
from ..reports import EntryChange, PatternChange, Receipt, Report
from .patterns import is_offered

Resolve = Callable[[Kind, str], str | None]


@dataclass(slots=True)
class Applied:
    """What one commit changed in memory."""

    decision: Decision
    receipt: Receipt


def read_report(report: Report, resolve: Resolve, moment: str) -> Decision:
    """The decision of a report: names become `plugin:name` where `resolve` knows them; unknown ones
    stay as they are, and are listed."""
    unknown: dict[str, None] = {}

    def names(kind: Kind, given: Iterable[str]) -> tuple[str, ...]:
        found = []
        for name in given:
            known = resolve(kind, name)
            if known is None:
                unknown[name] = None
            found.append(known or name)
        return tuple(found)

    return Decision(
        task_id=report.task_id,
        task_description=report.task_description,
        agents_used=names("agent", report.agents_used),
        result=report.result,
        duration_ms=None if report.duration_ms is None else report.duration_ms + 0.0,  # no -0.0
        tokens_saved=report.tokens_saved,
        timestamp=moment,
        resolved_by=names("agent", [report.resolved_by])[0] if report.resolved_by else "",
        skills_used=names("skill", report.skills_used),
        workflows_used=names("workflow", report.workflows_used),
        model=report.model,
        caller=report.caller,
        unknown=tuple(unknown),
        parallel_groups=tuple(names("agent", group) for group in report.parallel_groups),
    )


def entry_changes(moved: dict[str, int]) -> list[EntryChange]:
    """The change of each entry in units of successes; `moved` has quarter points."""
    return [EntryChange(entry, points / 4) for entry, points in moved.items()]


def pattern_change(pattern: Pattern, created: bool, won: int, lost: int) -> PatternChange:
    """A report's change of a pattern; `won` and `lost` are its counts before."""
    after = (pattern.success_count, pattern.failure_count)
    offered = is_offered(pattern)
    return PatternChange(pattern.id, pattern.goal, created, won, lost, *after, offered)
