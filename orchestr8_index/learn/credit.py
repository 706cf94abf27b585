"""Which entries one decision credits or blames.

Where `resolved_by` names the agent that did the work in the end, it is the only agent credited. A
failure blames the agents that tried, unless `resolved_by` is given. A partial result without it is
ambiguous: it is kept, and moves no ranking. A plan credits nobody, as its agents' own tasks are
reported beside it.
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
