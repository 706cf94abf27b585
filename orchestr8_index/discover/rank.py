"""Which entries answer a text, and how well? `rank` is pure: same index, same text, same hits.

score(q, d) = Σ weight(t)·sat(t, d)    over the query's terms and adjacent pairs of terms
relative    = score / the score of an entry in which every term of the query is saturated
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from ..text import Terms, raw_words
from .index import Segment
from .kernel import Part, choose
from .spelling import nearest_term
from .weigh import MISSPELT_WEIGHT, PAIR_WEIGHT, highest, query_weight

DEPTH = 50


@dataclass(frozen=True, slots=True)
class Word:
    """One term or pair of a query. `place` is None when the segment does not know it.

    `asked` is the word as the asker wrote it, `term` as it was looked up, `instead_of` the term
    that the segment does not know and `term` replaces.
    """

    term: str
    asked: str
    place: int | None
    weight: int
    is_pair: bool = False
    instead_of: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    words: tuple[Word, ...]

    @property
    def known(self) -> tuple[Word, ...]:
        return tuple(word for word in self.words if word.place is not None)

    @property
    def highest(self) -> float:
        """What a relative score divides by; unknown terms count, for they were asked for."""
        return highest(sum(word.weight for word in self.words)) or 1.0


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


def rank(segment: Segment, text: str, terms: Terms, depth: int = DEPTH) -> Ranking:
    query = read_query(segment, text, terms)
    hits = choose(segment)(segment, list(parts(segment, query)), depth)
    whole = query.highest
    return Ranking(query, tuple(Hit(place, score, score / whole) for place, score in hits))


def read_query(segment: Segment, text: str, terms: Terms) -> Query:
    asked: dict[str, str] = {}
    found: list[str] = []
    for raw in raw_words(text):
        for term in terms.of_word(raw):
            asked.setdefault(term, raw.lower())
            found.append(term)
    words = {t: _word(segment, t, asked[t], tf) for t, tf in Counter(found).items()}
    pairs = Counter(pairwise(found))
    joined = (_pair(segment, words[a], words[b], tf) for (a, b), tf in pairs.items())
    return Query((*words.values(), *(pair for pair in joined if pair)))


def _word(segment: Segment, term: str, asked: str, tf: int) -> Word:
    place, instead_of = segment.find_term(term), ""
    if place is None and (near := nearest_term(segment, term)):
        instead_of, (term, place) = term, near
    df = 0 if place is None else segment.terms.df[place]
    share = MISSPELT_WEIGHT if instead_of else 1.0
    weight = query_weight(tf, df, segment.size, share)
    return Word(term, asked, place, weight, instead_of=instead_of)


def _pair(segment: Segment, first: Word, second: Word, tf: int) -> Word | None:
    if first.place is None or second.place is None:
        return None
    place = segment.find_pair(first.place, second.place)
    if place is None:
        return None
    weight = query_weight(tf, segment.pairs.df[place], segment.size, PAIR_WEIGHT)
    asked = f"{first.asked} {second.asked}"
    return Word(f"{first.term} {second.term}", asked, place, weight, is_pair=True)


def parts(segment: Segment, query: Query) -> list[Part]:
    return [
        (segment.pairs if word.is_pair else segment.terms, word.place, word.weight)
        for word in query.known
        if word.place is not None
    ]


def contributions(segment: Segment, query: Query, place: int) -> list[tuple[Word, int]]:
    """What each word gave the entry at `place`, most first; the sum is the entry's score."""
    given = []
    for word, (runs, at, weight) in zip(query.known, parts(segment, query), strict=True):
        entries, sats = runs.arrays(at)
        if (sat := _value_at(entries, sats, place)) is not None:
            given.append((word, weight * sat))
    return sorted(given, key=lambda pair: (-pair[1], pair[0].term))


def _value_at(entries: array[int], sats: array[int], place: int) -> int | None:
    at = bisect_left(entries, place)
    return sats[at] if at < len(entries) and entries[at] == place else None
