"""Which entries answer a text, and how well? `rank` is pure: what is asked decides what comes.

score(q, d) = Σ weight(t)·sat(t, d)    over the query's terms and adjacent pairs of terms
              changed by what d has learnt, then raised by its nearness in meaning
relative    = score / the score of an entry in which every term of the query is saturated
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..catalog.bm25f import highest
from ..catalog.index import Index, Segment
from ..records import Experience
from ..text import Terms
from .boost import Learned
from .query import Query, Word, read_query
from .scorer import Part, add_up
from .semantic import LIKE, likeness

DEPTH = 30
GUESS = 10  # after so many wins, half as much is given for nearness in meaning
Scored = tuple[int, int]
"""(entry, score)"""


@dataclass(frozen=True, slots=True)
class Hit:
    """`score` is in the kernel's integer units, `relative` in [0, 1]."""

    place: int
    score: int
    relative: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """`meant`: what nearness in meaning gave to each entry that was compared."""

    query: Query
    hits: tuple[Hit, ...]
    meant: Mapping[int, int]


def bind(index: Index, experience: Experience) -> Iterator[None]:
    """Apply experience to a new index before the first question does, step by step."""
    for kind, segment in index.segments.items():
        if experience.wins[kind]:
            segment.learned = segment.learned or Learned(segment)
            yield from segment.learned.catching_up(experience)


def rank(
    segment: Segment,
    text: str,
    terms: Terms,
    experience: Experience | None = None,
    depth: int = DEPTH,
) -> Ranking:
    taught = experience if experience and experience.wins[segment.kind] else None
    query = read_query(segment, text, terms, taught)
    totals = add_up(segment, parts(segment, query))
    if taught:
        segment.learned = segment.learned or Learned(segment)
        words = highest(sum(word.weight for word in query.words))
        segment.learned.apply(totals, query.weights, words, taught)
    known = segment.learned.wins(taught) if taught and segment.learned else {}
    hits, meant = by_meaning(segment, query, totals.best(max(depth, DEPTH)), known)
    whole = query.highest
    shown = tuple([Hit(place, score, score / whole) for place, score in hits[:depth]])
    return Ranking(query, shown, meant)


def by_meaning(
    segment: Segment, query: Query, found: list[Scored], known: Mapping[int, int]
) -> tuple[list[Scored], dict[int, int]]:
    """The first DEPTH, each with what its likeness to the question adds, in their new order.

    Returns them and what each was given. `known` are wins by entry: of whom we know what it did, we
    need not guess so much from what its words mean.
    """
    if query.vector is None or not found:
        return found, {}
    places = [place for place, _ in found[:DEPTH]]
    near = zip(places, likeness(segment, query.vector, places), strict=True)
    given = {
        place: query.strength * like * GUESS // (LIKE * (GUESS + known.get(place, 0)))
        for place, like in near
    }
    added = [(place, score + given[place]) for place, score in found[:DEPTH]]
    return sorted(added, key=lambda hit: (-hit[1], hit[0])) + found[DEPTH:], given


def parts(segment: Segment, query: Query) -> list[Part]:
    return [
        (segment.pairs if word.is_pair else segment.terms, word.place, word.weight)
        for word in query.known
        if word.place is not None
    ]


def contributions(segment: Segment, query: Query, place: int) -> list[tuple[Word, int]]:
    """What each word gave the entry at `place`, most first, without meaning and experience."""
    given = []
    for word, (runs, at, weight) in zip(query.known, parts(segment, query), strict=True):
        if sat := runs.sat(at, place):
            given.append((word, weight * sat))
    return sorted(given, key=lambda pair: (-pair[1], pair[0].term))
