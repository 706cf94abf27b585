"""Which entries answer a text, and how well? `rank` is pure: same index, same text, same hits.

score(q, d) = Σ weight(t)·sat(t, d)    over the query's terms and adjacent pairs of terms
relative    = score / the score of an entry in which every term of the query is saturated
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from itertools import pairwise

from ..records import Experience
from ..text import Terms, raw_words
from .index import Segment
from .kernel import Part, add_up
from .learned import Learned
from .spelling import nearest_term
from .weigh import MISSPELT_WEIGHT, PAIR_WEIGHT, highest, query_weight

DEPTH = 50
Past = Mapping[str, Sized]


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
    def known(self) -> list[Word]:
        return [word for word in self.words if word.place is not None]

    @property
    def weights(self) -> list[tuple[str, int]]:
        return [(word.term, word.weight) for word in self.words]

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
    whole = query.highest
    if taught:
        segment.learned = segment.learned or Learned(segment)
        segment.learned.apply(totals, query.weights, whole, taught)
    hits = totals.best(depth)
    return Ranking(query, tuple(Hit(place, score, score / whole) for place, score in hits))


def read_query(
    segment: Segment, text: str, terms: Terms, experience: Experience | None = None
) -> Query:
    asked: dict[str, str] = {}
    found: list[str] = []
    for raw in raw_words(text):
        for term in terms.of_word(raw):
            asked.setdefault(term, raw.lower())
            found.append(term)
    past = experience.terms[segment.kind] if experience else {}
    words = {t: _word(segment, t, asked[t], tf, past) for t, tf in Counter(found).items()}
    pairs = Counter(pairwise(found))
    joined = (_pair(segment, words[a], words[b], tf, past) for (a, b), tf in pairs.items())
    return Query((*words.values(), *(pair for pair in joined if pair)))


def _word(segment: Segment, term: str, asked: str, tf: int, past: Past) -> Word:
    place, instead_of, learnt = segment.find_term(term), "", len(past.get(term, ()))
    if place is None and not learnt and (near := nearest_term(segment, term)):
        instead_of, (term, place) = term, near
    df = max(learnt, 0 if place is None else segment.terms.df[place])
    share = MISSPELT_WEIGHT if instead_of else 1.0
    weight = query_weight(tf, df, segment.size, share)
    return Word(term, asked, place, weight, instead_of=instead_of)


def _pair(segment: Segment, first: Word, second: Word, tf: int, past: Past) -> Word | None:
    term, place = f"{first.term} {second.term}", None
    if first.place is not None and second.place is not None:
        place = segment.find_pair(first.place, second.place)
    learnt = len(past.get(term, ()))
    if place is None and not learnt:
        return None
    df = max(learnt, 0 if place is None else segment.pairs.df[place])
    weight = query_weight(tf, df, segment.size, PAIR_WEIGHT)
    return Word(term, f"{first.asked} {second.asked}", place, weight, is_pair=True)


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
        if sat := runs.sat(at, place):
            given.append((word, weight * sat))
    return sorted(given, key=lambda pair: (-pair[1], pair[0].term))
