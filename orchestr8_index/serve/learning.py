"""The handlers of the methods about outcomes: reports with their receipts, and patterns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..catalog.index import Index, Segment
from ..learn.credit import credits
from ..learn.outcomes import Reporter
from ..learn.patterns import Patterns, best, is_offered, missing_agents
from ..learn.plan import check_dependencies, check_groups, derive_groups
from ..learn.verify import chooser
from ..places import call_of
from ..records import Kind, Pattern
from ..reports import ForgetQuery, PatternGoal, PatternSearch, PatternStore, Report
from ..search.candidates import by_name
from ..search.rank import rank
from ..store.ledger import moment
from ..store.plans import mean
from .callers import caller
from .state import State

if TYPE_CHECKING:
    from ..team.learning import TeamLearning

ENOUGH = 0.7


async def cache_decision(state: State, report: Report) -> dict[str, Any]:
    """Store a report; gives its receipt, a full one with each entry's rank before and after."""
    index, outcomes = state.index, await state.store.outcomes()
    full = report.receipt == "full"
    before = _ranks(state, index, report) if full else {}
    at = moment(report.occurred_at)
    team = await team_of(state) or outcomes
    applied = await team.report(report, _resolver(index), at, _reporter())
    receipt = applied.receipt
    ambiguous = _ambiguous(index, report, receipt.unknown)
    unknown = [name for name in receipt.unknown if name not in ambiguous]
    entries = [change for change in receipt.entries if change.entry not in ambiguous]
    if full:
        after = _ranks(state, index, report)
        entries = [
            replace(e, rank_before=before.get(e.entry, 0), rank_after=after.get(e.entry, 0))
            for e in entries
        ]
    more = {"unknown": unknown, "ambiguous": ambiguous, "entries": entries}
    receipt = replace(receipt, **more)
    return {"stored": True, "decision_id": applied.decision.id, "receipt": receipt}


async def store_pattern(state: State, given: PatternStore) -> dict[str, Any]:
    """Store a pattern. Raises InvalidParams for a dependency cycle, or for groups that contradict
    the dependencies."""
    resolve = _resolver(state.index)

    def names(name: str) -> str:
        return resolve("agent", name) or name

    sequence = tuple(map(names, given.agent_sequence))
    dependencies: dict[str, list[str]] = {}
    for agent, needed in (given.dependencies or {}).items():  # two keys may name one agent
        listed = dependencies.setdefault(names(agent), [])
        listed += [name for name in map(names, needed) if name not in listed]
    check_dependencies(sequence, dependencies)
    groups = derive_groups(sequence, dependencies)
    if given.parallel_groups is not None:
        groups = [list(map(names, group)) for group in given.parallel_groups]
        check_groups(sequence, dependencies, groups)
    outcomes = await state.store.outcomes()
    by = _reporter()
    team = await team_of(state) or outcomes
    pattern, created = await team.store_pattern(given.goal, sequence, dependencies, groups, by)
    index = state.index
    unknown = missing_agents(pattern, lambda name: _exists(index, name))
    return {"pattern_id": pattern.id, "created": created, "unknown": unknown}


async def get_pattern(state: State, query: PatternGoal) -> dict[str, Any] | None:
    """The best pattern of the project, else of the first of its lenders that has one, else None."""
    for lender, store in (("", state.store), *state.lenders):
        patterns = (await store.outcomes()).patterns
        if pattern := await _best_of(state, patterns, query):
            return {**pattern, "project": lender} if lender else pattern
    return None


async def _best_of(state: State, patterns: Patterns, query: PatternGoal) -> dict[str, Any] | None:
    """The best pattern whose goal is similar enough, else the one for which the nearest past goals
    vote, else the one whose goal is nearest in meaning."""
    text = " ".join(filter(None, (query.context, query.goal)))
    offers = _offers(state)
    near = [pair for each in {text, query.goal} for pair in patterns.near(each, offers)]
    alike = [(pattern, similarity) for pattern, similarity in near if similarity >= ENOUGH]
    if alike:
        pattern, similarity = best(alike)[0]
        return _result(pattern, similarity, "similarity")
    voted = patterns.vote(text, offers)
    chosen, by = voted[0] if voted else None, "vote"
    if chosen is None:
        agents, known = state.index.segments["agent"], patterns.by_id
        for _ in state.goals.reading(agents, state.terms, known):
            await asyncio.sleep(0)  # yield to other requests: there may be thousands after a start
        chosen, by = state.goals.nearest(agents, state.terms, text, known, offers), "meaning"
    if chosen is None:
        return None
    similarity = max((share for p, share in near if p.id == chosen.id), default=0.0)
    return _result(chosen, similarity, by)


async def find_patterns(state: State, query: PatternSearch) -> list[dict[str, Any]]:
    """The patterns whose goal is similar enough, best first; the project's own before lenders'."""
    rows: list[dict[str, Any]] = []
    for lender, store in (("", state.store), *state.lenders):
        near = (await store.outcomes()).patterns.near(query.goal, _offers(state))
        alike = best([(p, share) for p, share in near if share >= query.min_similarity])
        named = {"project": lender} if lender else {}
        rows += ({**_result(p, share, "similarity"), **named} for p, share in alike)
    return rows[: query.limit]


async def forget_decisions(state: State, query: ForgetQuery) -> dict[str, int]:
    """Remove decisions and what was learnt from them. Raises InvalidParams for a wrong date."""
    choose, among = chooser(query)
    if team := await team_of(state):
        return {"forgotten": await team.forget(query)}
    outcomes = await state.store.outcomes()
    return {"forgotten": await outcomes.forget(choose, among)}


async def team_of(state: State) -> TeamLearning | None:
    """The learning that servers of a team share; None without a team. Raises StoreUnavailable while
    the team's database is away."""
    if not state.settings.database_url:
        return None
    await state.shared.opened(state.settings)
    return state.shared.learning_of(state)


def offered(state: State) -> list[Pattern]:
    """The patterns that this caller's questions may get, for /health and /metrics."""
    outcomes = state.store.ready
    return list(filter(_offers(state), outcomes.patterns)) if outcomes else []


def _offers(state: State) -> Callable[[Pattern], bool]:
    """A check whether a pattern may be offered to the caller: it worked or is the caller's own, and
    each of its agents exists in some plugin."""
    asker, index = caller.get().ident, state.refresh.index

    def offers(pattern: Pattern) -> bool:
        return is_offered(pattern, asker) and all(map(exists, pattern.agent_sequence))

    @cache  # as thousands of patterns name the same few agents
    def exists(name: str) -> bool:
        return index is not None and _exists(index, name)

    return offers


def _exists(index: Index, name: str) -> bool:
    agents = index.segments["agent"]
    return name in agents.position or bool(_places_of(agents, name))


def _reporter() -> Reporter:
    asks = caller.get()
    return Reporter(asks.ident, is_admin=asks.right == "admin")


def _result(pattern: Pattern, similarity: float, by: str) -> dict[str, Any]:
    storer = pattern.stored_by.partition("#")[0] or "local"
    return {
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
            "stored_by": storer if pattern.stored else "",
        },
        "success_rate": round(pattern.success_rate, 4),
        "similarity": round(similarity, 4),
        "task_count": pattern.uses,
        "matched_by": by,
    }


def _resolver(index: Index) -> Callable[[Kind, str], str | None]:
    def resolve(kind: Kind, name: str) -> str | None:
        """The qualified name of the one entry of that name; None for none and for several."""
        segment = index.segments[kind]
        if name in segment.position:
            return name
        places = _places_of(segment, name)
        return segment.entry(places[0]).qualified if len(places) == 1 else None

    return resolve


def _places_of(segment: Segment, name: str) -> list[int]:
    """The entries that a name may mean; of several only the first if all are clones, or the one
    that a host calls by this name."""
    places = by_name(segment, name)
    called = [place for place in places if call_of(segment.entry(place)) == name]
    if len(places) > 1 and set(places) <= set(segment.clones(places[0])):
        return places[:1]
    return called if len(called) == 1 else places


def _ambiguous(index: Index, report: Report, unknown: list[str]) -> dict[str, list[str]]:
    """The candidates for each name that several entries have, none of which gets the credit."""
    reported: dict[Kind, list[str]] = {
        "agent": [*report.agents_used, report.resolved_by or ""],
        "skill": report.skills_used,
        "workflow": report.workflows_used,
    }
    return {
        name: [index.segments[kind].entry(place).qualified for place in places]
        for kind, names in reported.items()
        for name in names
        if name in unknown and len(places := _places_of(index.segments[kind], name)) > 1
    }


def _ranks(state: State, index: Index, report: Report) -> dict[str, int]:
    """The present rank of each used entry for the task, from 1; 0 for one that is not found."""
    from ..learn.receipt import read_report

    decision = read_report(report, _resolver(index), "")
    return {
        entry: _rank(state, index.segments[kind], report.task_description, entry)
        for kind, entry, _ in credits(decision)
    }


def _rank(state: State, segment: Segment, text: str, entry: str) -> int:
    place = segment.position.get(entry)
    experience = state.store.experience
    ranking = rank(segment, text, state.terms, experience, segment.size)
    hits = [hit.place for hit in ranking.hits]
    return hits.index(place) + 1 if place in hits else 0
