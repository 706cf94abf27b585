"""Which entries answer a text, and how well? `rank` is pure: same index, same text, same hits.

score(q, d) = Σ weight(t)·sat(t, d)    over the query's terms and adjacent pairs of terms
relative    = score / the score of an entry in which every term of the query is saturated
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from ..text import Terms, raw_words
from .index import Segment
from .kernel import Part, choose
from .meaning import LIKE, likeness, strength, vector
from .spelling import nearest_term
from .weigh import (
    MISSPELT_WEIGHT,
    PAIR_WEIGHT,
    expected,
    highest,
    query_weight,
    topical,
)

DEPTH = 50
Scored = tuple[int, int]
"""(entry, score)"""


@dataclass(frozen=True, slots=True)
class Word:
    """One term or pair of a query. `place` is None when the segment does not know it.

    `asked` is the word as the asker wrote it, `term` as it was looked up, `instead_of` the term
    that the segment does not know and `term` replaces; `known_as` is its place among the words
    that have vectors.
    """

    term: str
    asked: str
    place: int | None
    weight: int
    is_pair: bool = False
    instead_of: str = ""
    known_as: int | None = None
    topical: float = 1.0


@dataclass(frozen=True, slots=True)
class Query:
    """`strength` is what an entry of the very same meaning gets."""

    words: tuple[Word, ...]
    strength: int = 0
    vector: list[int] | None = None

    @property
    def known(self) -> tuple[Word, ...]:
        return tuple(word for word in self.words if word.place is not None)

    @property
    def highest(self) -> int:
        """What a relative score divides by; unknown terms count, for they were asked for."""
        return highest(sum(word.weight for word in self.words)) + self.strength or 1


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
    found = choose(segment)(segment, list(parts(segment, query)), max(depth, DEPTH))
    hits = by_meaning(segment, query, found)[:depth]
    whole = query.highest
    return Ranking(query, tuple(Hit(place, score, score / whole) for place, score in hits))


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
    every = (*words.values(), *(pair for pair in joined if pair))
    most = strength(segment.size, highest(sum(word.weight for word in every)))
    return Query(every, most, vector(segment, [(w.known_as, w.weight) for w in words.values()]))


def _word(segment: Segment, term: str, asked: str, tf: int) -> Word:
    place, instead_of = segment.find_term(term), ""
    if place is None and (near := nearest_term(segment, term)):
        instead_of, (term, place) = term, near
    df = 0 if place is None else segment.terms.df[place]
    share = MISSPELT_WEIGHT if instead_of else 1.0
    words, known_as = segment.words, segment.word_of(term, place)
    rarity, telling = 0.0, 1.0
    if place is not None:
        usual, naming = words.habits(known_as)
        rarity, telling = expected(df, segment.size, usual), topical(naming)
    weight = query_weight(tf, rarity, segment.size, share * telling)
    return Word(term, asked, place, weight, False, instead_of, known_as, telling)


def _pair(segment: Segment, first: Word, second: Word, tf: int) -> Word | None:
    if first.place is None or second.place is None:
        return None
    place = segment.find_pair(first.place, second.place)
    if place is None:
        return None
    share = PAIR_WEIGHT * math.sqrt(first.topical * second.topical)
    weight = query_weight(tf, segment.pairs.df[place], segment.size, share)
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
