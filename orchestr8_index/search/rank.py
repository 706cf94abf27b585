"""Ranks the entries of one kind for a text.

score(q, d) = Σ weight(t)·sat(t, d)    over the query's terms and adjacent pairs of terms
              changed by what d has learnt, then raised by its nearness in meaning
relative    = score / the score of an entry in which every term of the query is saturated
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from ..catalog.index import Index, Segment
from ..records import Experience, Kind
from ..text import Terms
from .boost import Learned, learned_of
from .evidence import Records, Scored, lifted
from .query import Query, Word, read_query
from .scorer import Part, Totals, add_up
from .semantic import likeness

DEPTH = 30
ALL_BELOW = 1_200  # entries; in a larger catalogue only the best by words are compared in meaning
COMPARED = 100
NEAR = 0.1  # least likeness to be found by meaning alone; any two texts may be as near by chance


class Found(NamedTuple):
    """`scored`: the best, points for meaning included; `meant`: these points; `totals`: all scores,
    with these points in a small catalogue; `given`: there, each entry's points by its text."""

    scored: list[Scored]
    meant: Mapping[int, int]
    totals: Totals
    given: Sequence[int] = ()


class Hit(Struct, frozen=True):
    """`score` is in the kernel's integer units, `relative` in [0, 1]."""

    place: int
    score: int
    relative: float


class Ranking(Struct, frozen=True):
    """`meant`: the points for nearness in meaning of the entries compared.

    With experience, `plain` is the ranking by the text alone, and `known` the entries' records.
    """

    query: Query
    hits: tuple[Hit, ...]
    meant: Mapping[int, int]
    plain: Ranking | None = None
    known: Records | None = None


def bind(index: Index, experience: Experience) -> Iterator[None]:
    """Bind experience to a new index ahead of its first question, step by step."""
    for kind, segment in index.segments.items():
        if is_taught(experience, kind):
            yield from learned_of(segment).catching_up(experience)


def rank(
    segment: Segment,
    text: str,
    terms: Terms,
    experience: Experience | None = None,
    depth: int = DEPTH,
    without: Container[str] = (),
) -> Ranking:
    """The best `depth` entries for a text; terms in `without` are ignored."""
    taught = experience if experience and is_taught(experience, segment.kind) else None
    query = by_text = read_query(segment, text, terms, taught, without)
    if taught and _is_read_by_past(query, taught.terms[segment.kind]):
        by_text = read_query(segment, text, terms, None, without)
    totals = add_up(segment, parts(segment, by_text))
    found = by_meaning(segment, by_text, totals, depth)
    plain = Ranking(by_text, _hits(by_text.highest, found.scored), found.meant)
    if taught is None:
        return plain
    given = found.given if query.strength_taught == by_text.strength else ()
    if query is not by_text:
        totals, given = add_up(segment, parts(segment, query)), ()
    query = replace(query, strength=query.strength_taught)
    return _with_past(segment, query, plain, totals, depth, taught, given)


def _is_read_by_past(query: Query, past: Container[str]) -> bool:
    """Whether past tasks keep a word from being corrected or read in English."""
    return any(word.place is None and word.term in past for word in query.own)


def _with_past(
    segment: Segment,
    query: Query,
    plain: Ranking,
    totals: Totals,
    depth: int,
    experience: Experience,
    given: Sequence[int],
) -> Ranking:
    learned = learned_of(segment)
    learned.apply(totals, query.weights, query.by_words, experience)
    scored, meant, totals, _ = by_meaning(segment, query, totals, depth, learned, given)
    own = {hit.place: hit.score - plain.meant.get(hit.place, 0) for hit in plain.hits}
    known = Records(learned, query, experience)
    rows = lifted(scored, totals, own, known, query.by_words, depth)
    hits = _hits(min(query.highest, plain.query.highest), rows)
    return Ranking(query, hits, meant, plain, known)


def _hits(highest: int, scored: Iterable[Scored]) -> tuple[Hit, ...]:
    return tuple([Hit(place, s, min(1.0, s / highest)) for place, s in scored])


def is_taught(experience: Experience, kind: Kind) -> bool:
    return bool(experience.wins[kind] or experience.failed[kind])


def by_meaning(
    segment: Segment,
    query: Query,
    totals: Totals,
    depth: int,
    learned: Learned | None = None,
    given: Sequence[int] = (),
) -> Found:
    """The best `depth` by words and meaning. In a small catalogue every entry is compared, so that
    one is found without any word of the question; in a large one only the best COMPARED by words.

    `given`: each entry's points for meaning in a small catalogue, if they are known.
    """
    if query.meaning is None:
        return Found(totals.best(depth), {}, totals)
    if segment.size < ALL_BELOW:
        given = given or likeness(segment.table, query.meaning, units=query.strength)
        more = list(given)
        if learned:
            learned.mix_meanings(more, range(segment.size), query.strength, query.meaning)
        totals = totals.plus(more)
        near = NEAR * query.strength  # only for entries without a word of the question
        best = [each for each in totals.best(depth) if each[1] > more[each[0]] or each[1] >= near]
        return Found(best, {place: more[place] for place, _ in best if more[place]}, totals, given)
    found = totals.best(max(depth, COMPARED))
    places = [place for place, _ in found[:COMPARED]]
    more = likeness(segment.table, query.meaning, places, query.strength)
    if learned:
        learned.mix_meanings(more, places, query.strength, query.meaning)
    order = sorted([(-score - add, p) for (p, score), add in zip(found, more, strict=False)])
    nearest = [(place, -less) for less, place in order[:depth]]
    meant = dict(zip(places, more, strict=True))
    return Found(nearest + found[COMPARED:depth], meant, totals)


def parts(segment: Segment, query: Query) -> list[Part]:
    terms, pairs = segment.terms, segment.pairs
    return [
        (pairs if word.is_pair else terms, word.place, word.weight)
        for word in query.words
        if word.place is not None
    ]


def contributions(segment: Segment, query: Query, place: int) -> list[tuple[Word, int]]:
    """The points of each word for the entry at `place`, most first, by its own text alone."""
    given = []
    for word, (runs, at, weight) in zip(query.known, parts(segment, query), strict=True):
        if sat := runs.sat(at, place):
            given.append((word, weight * sat))
    return sorted(given, key=lambda pair: (-pair[1], pair[0].term))
