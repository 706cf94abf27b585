"""Which entries answer a text, and how well? `rank` is pure: what is asked decides what comes.

score(q, d) = Σ weight(t)·sat(t, d)    over the query's terms and adjacent pairs of terms
              changed by what d has learnt, then raised by its nearness in meaning
relative    = score / the score of an entry in which every term of the query is saturated
"""

from __future__ import annotations

from dataclasses import dataclass

from ..records import Experience
from ..text import Terms
from .index import Segment
from .kernel import Part, add_up
from .learned import Learned
from .meaning import LIKE, likeness
from .query import Query, Word, read_query
from .weigh import highest

DEPTH = 50
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
    query: Query
    hits: tuple[Hit, ...]


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
    hits = by_meaning(segment, query, totals.best(max(depth, DEPTH)))[:depth]
    whole = query.highest
    return Ranking(query, tuple([Hit(place, score, score / whole) for place, score in hits]))


def by_meaning(segment: Segment, query: Query, found: list[Scored]) -> list[Scored]:
    """The first DEPTH, each with what its likeness to the question adds, in their new order."""
    if query.vector is None or not found:
        return found
    gained = _gained(segment, query, [place for place, _ in found[:DEPTH]])
    added = [(place, score + more) for (place, score), more in zip(found, gained, strict=False)]
    return sorted(added, key=lambda hit: (-hit[1], hit[0])) + found[DEPTH:]


def _gained(segment: Segment, query: Query, places: list[int]) -> list[int]:
    if query.vector is None:
        return [0] * len(places)
    near = likeness(segment, query.vector, places)
    return [query.strength * like // LIKE for like in near]


def meaning_points(segment: Segment, query: Query, place: int) -> int:
    """What likeness of meaning gave the entry at `place`, one of the first DEPTH."""
    return _gained(segment, query, [place])[0]


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
