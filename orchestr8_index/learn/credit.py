"""The entries that one decision speaks for or against.

The entry that finally did the work is worth knowing most: where it is named, it alone has won. A
failure counts against those who tried, and only where nobody is named as the one who resolved it.
What a partial result says is unclear; it is kept and counted, and moves no ranking. A plan credits
nobody: its agents' own tasks are reported beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..records import Decision, Kind

WON, LOST = 4, -1  # quarter points: a failure weighs a quarter of a success


def credits(decision: Decision) -> Iterator[tuple[Kind, str, int]]:
    """(kind, entry, quarter points) for each entry once."""
    if decision.parallel_groups or (decision.result == "partial" and not decision.resolved_by):
        return
    points = LOST if decision.result == "failure" and not decision.resolved_by else WON
    agents = (decision.resolved_by,) if decision.resolved_by else decision.agents_used
    named: tuple[tuple[Kind, tuple[str, ...]], ...] = (
        ("agent", agents),
        ("skill", decision.skills_used),
        ("workflow", decision.workflows_used),
    )
    for kind, entries in named:
        for entry in dict.fromkeys(entries):
            yield kind, entry, points
