"""What do the learning methods answer? Reports, receipts and patterns as the wire has them."""

from __future__ import annotations

from typing import Any

import msgspec

from ..catalog.index import Index, Segment
from ..errors import StoreUnavailable
from ..learn.credit import credits
from ..learn.outcomes import Outcomes
from ..learn.patterns import best, missing_agents
from ..learn.plan import check_dependencies, check_groups, derive_groups
from ..learn.verify import chooser
from ..records import Kind, Pattern
from ..reports import EntryChange, ForgetQuery, PatternGoal, PatternSearch, PatternStore, Report
from ..search.candidates import by_name
from ..search.rank import rank
from ..store.ledger import mean, moment
from .state import State
from .storekeeper import StoreKeeper

ENOUGH = 0.7


async def cache_decision(state: State, report: Report) -> dict[str, Any]:
    index, outcomes = state.index, await store_of(state).outcomes()
    full = report.receipt == "full"
    before = _ranks(state, index, report) if full else {}
    applied = await outcomes.report(report, _resolver(index), moment(report.occurred_at))
    receipt = applied.receipt
    if full:
        after = _ranks(state, index, report)
        entries = [_with_ranks(change, before, after) for change in receipt.entries]
        receipt = msgspec.structs.replace(receipt, entries=entries)
    return {"stored": True, "decision_id": applied.decision.id, "receipt": receipt}


async def store_pattern(state: State, given: PatternStore) -> dict[str, Any]:
    resolve = _resolver(state.index)
    sequence = tuple(_known(resolve, name) for name in given.agent_sequence)
    dependencies: dict[str, list[str]] = {}
    for agent, needed in (given.dependencies or {}).items():  # two keys may name one agent
        known = dependencies.setdefault(_known(resolve, agent), [])
        known += [name for given in needed if (name := _known(resolve, given)) not in known]
    check_dependencies(sequence, dependencies)
    groups = derive_groups(sequence, dependencies)
    if given.parallel_groups is not None:
        groups = [[_known(resolve, name) for name in group] for group in given.parallel_groups]
        check_groups(sequence, dependencies, groups)
    outcomes = await store_of(state).outcomes()
    pattern, created = await outcomes.store_pattern(given.goal, sequence, dependencies, groups)
    return {"pattern_id": pattern.id, "created": created}


async def get_pattern(state: State, asked: PatternGoal) -> dict[str, Any] | None:
    """The best pattern alike enough, else the one that the nearest past goals vote for."""
    outcomes = await store_of(state).outcomes()
    text = " ".join(filter(None, (asked.context, asked.goal)))
    near = [found for each in {text, asked.goal} for found in outcomes.patterns.near(each)]
    alike = [(pattern, likeness) for pattern, likeness in near if likeness >= ENOUGH]
    if alike:
        pattern, likeness = best(alike)[0]
        return _told(state, pattern, likeness, "similarity")
    voted = outcomes.patterns.vote(text)
    if voted is None:
        return None
    likeness = max((found for p, found in near if p.id == voted[0].id), default=0.0)
    return _told(state, voted[0], likeness, "vote")


async def find_patterns(state: State, asked: PatternSearch) -> list[dict[str, Any]]:
    outcomes = await store_of(state).outcomes()
    near = outcomes.patterns.near(asked.goal)
    found = best([(p, likeness) for p, likeness in near if likeness >= asked.min_similarity])
    return [_told(state, p, likeness, "similarity") for p, likeness in found[: asked.limit]]


async def forget_decisions(state: State, chosen: ForgetQuery) -> dict[str, int]:
    choose = chooser(chosen)
    outcomes = await store_of(state).outcomes()
    return {"forgotten": await outcomes.forget(choose)}


def store_of(state: State) -> StoreKeeper:
    if state.store is None:
        raise StoreUnavailable("This server keeps no store.")
    return state.store


def offered(outcomes: Outcomes | None) -> list[Pattern]:
    """The patterns that a question may get, for /health and /metrics."""
    from ..learn.patterns import is_offered

    return [pattern for pattern in outcomes.patterns if is_offered(pattern)] if outcomes else []


def _told(state: State, pattern: Pattern, likeness: float, by: str) -> dict[str, Any]:
    index = state.refresh.index
    told: dict[str, Any] = {
        "pattern": {
            "id": pattern.id,
            "goal": pattern.goal,
            "agent_sequence": pattern.agent_sequence,
            "dependencies": pattern.dependencies,
            "parallel_groups": pattern.parallel_groups,
            "success_count": pattern.success_count,
            "failure_count": pattern.failure_count,
            "avg_duration_ms": mean(pattern.duration_total, pattern.duration_count),
            "avg_tokens_saved": mean(pattern.tokens_total, pattern.tokens_count),
            "created_at": pattern.created_at,
            "updated_at": pattern.updated_at,
        },
        "success_rate": round(pattern.success_rate, 4),
        "similarity": round(likeness, 4),
        "task_count": pattern.uses,
        "matched_by": by,
    }
    agents = index.segments["agent"] if index else None
    if agents and (gone := missing_agents(pattern, agents.position.__contains__)):
        told["missing_agents"] = gone
    return told


def _resolver(index: Index) -> Any:
    def resolve(kind: Kind, name: str) -> str | None:
        """The qualified name of an entry by bare or qualified name; None when there is none."""
        segment = index.segments[kind]
        if name in segment.position:
            return name
        places = by_name(segment, name)
        return segment.entry(places[0]).qualified if places else None

    return resolve


def _known(resolve: Any, name: str) -> str:
    return resolve("agent", name) or name


def _ranks(state: State, index: Index, report: Report) -> dict[str, int]:
    """The place that each used entry has now for the task, from 1; 0 for one that is not found."""
    from ..learn.receipt import read_report

    decision = read_report(report, _resolver(index), "")
    return {
        entry: _rank(state, index.segments[kind], report.task_description, entry)
        for kind, entry, _ in credits(decision)
    }


def _rank(state: State, segment: Segment, text: str, entry: str) -> int:
    place = segment.position.get(entry)
    experience = store_of(state).experience
    ranking = rank(segment, text, state.terms, experience, segment.size)
    hits = [hit.place for hit in ranking.hits]
    return hits.index(place) + 1 if place in hits else 0


def _with_ranks(change: EntryChange, before: dict[str, int], after: dict[str, int]) -> EntryChange:
    entry = change.entry
    return msgspec.structs.replace(
        change, rank_before=before.get(entry, 0), rank_after=after.get(entry, 0)
    )
