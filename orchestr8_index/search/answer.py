"""Builds an answer: ranked candidates become rows, a reasoning and a confidence."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from msgspec.structs import replace

from ..catalog import clones
from ..catalog.bm25f import MISSPELT_WEIGHT
from ..catalog.index import Index
from ..fit import quoted
from ..memo import keep
from ..places import DEFAULT_HOST, is_foreign_to
from ..queries import AgentQuery, Answer, Choice, Row, SkillQuery, WorkflowQuery
from ..records import Entry, Experience, Kind
from ..text import Terms
from . import candidates, reasons
from .confidence import confidence
from .explain import explain
from .rank import DEPTH, Ranking, rank
from .rows import row_of
from .search import Search
from .spelling import near_names

CERTAIN = 0.99
NEARLY_CERTAIN = 0.9  # for a misspelt name
BY_LABEL = 0.8
ROLE_FALLBACK = 0.8
NEAR_MISSES = 3
CACHED_ROWS = 256


def answer_skills(
    index: Index, query: SkillQuery, terms: Terms, experience: Experience | None = None
) -> Answer:
    """The skills that match the query, best first."""
    search = Search(index.segments["skill"], query, experience)
    _ask_text(search, query.context, terms)
    return _finish(search)


def answer_workflows(
    index: Index, query: WorkflowQuery, terms: Terms, experience: Experience | None = None
) -> Answer:
    """The workflows that match the query, best first."""
    search = Search(index.segments["workflow"], query, experience)
    _ask_text(search, query.goal, terms)
    return _finish(search)


def answer_agents(
    index: Index, query: AgentQuery, terms: Terms, experience: Experience | None = None
) -> Answer:
    """The role's agents first, then the others by the sum of capability and context scores."""
    search = Search(index.segments["agent"], query, experience)
    if query.role is not None:
        _ask_role(index, search, query.role, terms)
    if query.capability is not None:
        _ask_capability(search, query.capability, terms)
    if query.context is not None:
        _ask_text(search, query.context, terms)
    return _finish(search)


def answer_task(
    index: Index,
    kind: Kind,
    task: str,
    terms: Terms,
    experience: Experience | None = None,
    **chosen: Any,
) -> Answer:
    """The entries of a kind that match a task; `chosen` sets further fields of the kind's query."""
    if kind == "agent":
        return answer_agents(index, AgentQuery(context=task, **chosen), terms, experience)
    if kind == "skill":
        return answer_skills(index, SkillQuery(context=task, **chosen), terms, experience)
    return answer_workflows(index, WorkflowQuery(goal=task, **chosen), terms, experience)


# --- the questions -----------------------------------------------------------------------------


def _ask_text(search: Search, text: str, terms: Terms) -> None:
    _ask_name(search, text, terms)
    depth = search.segment.size if _filters(search.choice) else DEPTH
    ranking = rank(search.segment, text, terms, search.experience, depth)
    search.rankings.append(ranking)
    candidates.by_text(search.points, ranking)
    search.confidence = max(search.confidence, _confidence_of(search, text, terms, ranking))


def _confidence_of(search: Search, text: str, terms: Terms, ranking: Ranking) -> float:
    """The confidence in the first hit; a corrected misspelling never raises it.

    If all own words are misspelt, it is multiplied by MISSPELT_WEIGHT.
    """
    segment, known = search.segment, search.experience
    shift = known.shifts.get(segment.kind, 0.0) if known else 0.0
    likelihood = confidence(segment, ranking, shift)
    misspelt = ranking.query.misspelt
    if not misspelt:
        return likelihood
    if misspelt.issuperset(word.instead_of or word.term for word in ranking.query.own):
        return likelihood * MISSPELT_WEIGHT
    others = rank(segment, text, terms, known, without=misspelt)
    return min(likelihood, confidence(segment, others, shift))


def _ask_name(search: Search, text: str, terms: Terms) -> None:
    """An entry wins outright if the text is its name, or a misspelling of its name alone."""
    if not candidates.is_like_a_name(search.segment, text):
        return
    places, why, sure = candidates.by_name(search.segment, text), "is the name asked for", CERTAIN
    if not places:
        name, places = candidates.by_near_name(search.segment, text, terms)
        asked = " ".join(text.split())
        why, sure = f"{quoted(asked)} was read as the name {quoted(name)}", NEARLY_CERTAIN
    for place in places:
        search.points.give(place, candidates.EXACT_NAME, why)
        search.confidence = sure


def _ask_capability(search: Search, capability: str, terms: Terms) -> None:
    exact = candidates.by_label(search.points, search.segment, capability)
    _ask_text(search, capability, terms)
    if exact:
        search.confidence = max(search.confidence, BY_LABEL)


def _ask_role(index: Index, search: Search, role: str, terms: Terms) -> None:
    resolved = candidates.by_role(index, role)
    if resolved is None:
        search.notes.append(reasons.no_role(role, index))
        _ask_text(search, role, terms)
        return
    search.role = resolved
    search.notes.append(reasons.of_role(resolved, search.segment))
    for place, score in candidates.role_points(resolved):
        search.points.give(place, score)
        search.first.append(place)
    if resolved.agents:
        primary_exists = resolved.role.primary not in resolved.missing
        search.confidence = CERTAIN if primary_exists else ROLE_FALLBACK


# --- the answer --------------------------------------------------------------------------------


def _finish(search: Search) -> Answer:
    places = _order(search)
    chosen = _choose(search, places)
    kind = search.segment.kind
    if chosen and chosen[0][0] != places[0]:
        _lower_confidence(search, places[0], chosen[0][0])
    if not chosen or search.confidence < search.least:
        return _empty(search, kind, places, bool(chosen))
    rows = [_row(search, place, entry) for place, entry in chosen]
    reasoning = " ".join(search.notes + reasons.of_hits(search, chosen))
    return Answer(kind=kind, rows=rows, reasoning=reasoning, confidence=_round(search.confidence))


def _lower_confidence(search: Search, best: int, first: int) -> None:
    """Scale the confidence by the score of the first row shown over that of the best entry, where
    that one may not be started by the asker."""
    entry, scores = search.segment.entry(best), search.points.scores
    if _may_be_run(entry, search.choice):
        return  # excluded by a filter of the query
    search.confidence *= min(1.0, scores[first] / scores[best]) if scores[best] > 0 else 1.0
    if entry.for_people:
        search.notes.append("What only the user may start is left out (user_only: true shows it).")


def _row(search: Search, place: int, entry: Entry) -> Row:
    row = replace(_blank(search, place, entry), score=round(search.points.scores[place], 4))
    if search.role is not None and place in search.first:
        row.role = search.role.role.name
        row.fallbacks = list(search.role.role.fallbacks)
    if search.choice.explain:
        rules = search.points.why.get(place, [])
        past = reasons.experience_of(search, place, *search.rankings)
        of = (search.segment, search.rankings, place, row.score, rules, past)
        row.explanation = explain(*of)
    return row


def _blank(search: Search, place: int, entry: Entry) -> Row:
    """The entry's row without a score; short ones of unfiltered answers are cached."""
    choice, rows = search.choice, search.segment.rows
    key = (place, choice.host, choice.user_only)
    is_cached = choice.detail == "short" and not _filters(choice)
    row: Row | None = rows.get(key) if is_cached else None
    if row is None:
        row = row_of(entry, 0.0, choice)
        row.also = clones.also(search.segment, place, _filter(choice))
        if is_cached:
            keep(rows, CACHED_ROWS * search.segment.room, key, row)
    return row


def _order(search: Search) -> list[int]:
    """The role's agents, then by score; ties by the role's model, then by position."""
    scores, first = search.points.scores, search.first
    rest = [place for place in search.points.ranked() if place not in first]
    model = search.role.role.model if search.role else ""
    if model and len({scores[place] for place in rest}) < len(rest):
        wanted = {place for place in rest if search.segment.entry(place).model == model}
        sorted_rest = sorted(rest, key=lambda p: (-scores[p], p not in wanted, p))
        if sorted_rest != rest:
            search.notes.append(f"Equal scores: agents with the role's model {model} go first.")
        rest = sorted_rest
    return first + rest


def _choose(search: Search, places: list[int]) -> list[tuple[int, Entry]]:
    segment, choice = search.segment, search.choice
    passing = iter(places)
    if _filters(choice) or choice.host or choice.user_only is False:
        passes = _filter(choice)
        passing = (place for place in places if passes(segment.entry(place)))
    rows = ((place, segment.entry(place)) for place in clones.fold(segment, passing))
    return list(islice((row for row in rows if _may_be_run(row[1], choice)), choice.limit))


def _filter(choice: Choice) -> Callable[[Entry], bool]:
    plugins, models = _folded(choice.plugins), _folded(choice.models)
    tools, tags = _folded(choice.tools), _folded(choice.tags)

    def passes(entry: Entry) -> bool:
        return (
            _may_be_run(entry, choice)
            and (not plugins or entry.plugin.casefold() in plugins)
            and (not models or entry.model.casefold() in models)
            and (not tools or not tools.isdisjoint(_folded(entry.tools)))
            and (not tags or not tags.isdisjoint(_folded(entry.labels)))
        )

    return passes


def _may_be_run(entry: Entry, choice: Choice) -> bool:
    """Whether the asker may start the entry: `user_only` and `host`, if given, say who asks."""
    if choice.user_only is False and entry.for_people:
        return False
    if not choice.host:
        return DEFAULT_HOST not in entry.off
    return not is_foreign_to(entry, choice.host)


def _filters(choice: Choice) -> bool:
    return any((choice.plugins, choice.models, choice.tools, choice.tags))


def _folded(names: list[str] | tuple[str, ...]) -> set[str]:
    return {name.casefold() for name in names}


def _empty(search: Search, kind: Kind, places: list[int], chosen: bool) -> Answer:
    words = [
        word for ranking in search.rankings for word in ranking.query.words if not word.is_pair
    ]
    passes, segment = _filter(search.choice), search.segment
    if places and not chosen:
        search.confidence = 0.0
        reason = reasons.of_left_out(search, segment.entry(places[0]))
    else:
        reason = reasons.of_none(search, kind, bool(places))
    near = [e.qualified for e in map(segment.entry, places[:NEAR_MISSES]) if passes(e)]
    return Answer(
        kind=kind,
        rows=[],
        reasoning=" ".join([*search.notes, reason]),
        confidence=_round(search.confidence),
        near_misses=near or near_names(search.segment, [word.asked for word in words]),
    )


def _round(number: float) -> float:
    return round(number, 4)
