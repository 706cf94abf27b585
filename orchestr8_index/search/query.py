"""What was asked? A text becomes words and pairs with weights, looked up in one segment.

A word's weight is its rarity, here and (as far as the word vectors know it) in texts of the kind at
large. What experience knows of a term counts like an entry that has it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from itertools import pairwise

from ..catalog.bm25f import MISSPELT_WEIGHT, PAIR_WEIGHT, expected, highest, query_weight, topical
from ..catalog.index import Segment
from ..records import Experience
from ..text import Terms, raw_words
from .semantic import strength, vector
from .spelling import nearest_term, other_spelling

MOST_SPELT = 4
Past = Mapping[str, Sized]
"""For each term of past tasks, the entries that did them."""


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
    def known(self) -> list[Word]:
        return [word for word in self.words if word.place is not None]

    @property
    def weights(self) -> list[tuple[str, int]]:
        return [(word.term, word.weight) for word in self.words]

    @property
    def highest(self) -> int:
        """What a relative score divides by; unknown terms count, for they were asked for."""
        return highest(sum(word.weight for word in self.words)) + self.strength or 1


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
    for term in list(asked):
        if segment.find_term(term) is None and term not in past:
            spelt = _respelt(segment, term, asked[term], terms)
            if spelt != term:
                found = [spelt if each == term else each for each in found]
                asked.setdefault(spelt, asked[term])
    words = {t: _word(segment, t, asked[t], tf, past) for t, tf in Counter(found).items()}
    pairs = Counter(pairwise(found))
    joined = (_pair(segment, words[a], words[b], tf, past) for (a, b), tf in pairs.items())
    every = (*words.values(), *[pair for pair in joined if pair])
    most = strength(segment.size, highest(sum(word.weight for word in every)))
    return Query(every, most, vector(segment, [(w.known_as, w.weight) for w in words.values()]))


def _respelt(segment: Segment, term: str, asked: str, terms: Terms) -> str:
    """The term of the word's other spelling, British or American, if that one is known here."""
    other_word = other_spelling(asked)
    if other_word == asked:  # a run of Chinese is one word of hundreds of terms
        return term
    for other in terms.of_word(other_word)[:MOST_SPELT]:
        if segment.find_term(other) is not None:
            return other
    return term


def _word(segment: Segment, term: str, asked: str, tf: int, past: Past) -> Word:
    place, instead_of, learnt = segment.find_term(term), "", len(past.get(term, ()))
    if place is None and not learnt and (near := nearest_term(segment, term)):
        instead_of, (term, place) = term, near
    df = max(learnt, 0 if place is None else segment.terms.df[place])
    share = MISSPELT_WEIGHT if instead_of else 1.0
    known_as = segment.word_of(term, place)
    rarity, telling = 0.0, 1.0
    if df:
        usual, naming = segment.words.habits(known_as)
        rarity, telling = expected(df, segment.size, usual), topical(naming)
    weight = query_weight(tf, rarity, segment.size, share * telling)
    return Word(term, asked, place, weight, False, instead_of, known_as, telling)


def _pair(segment: Segment, first: Word, second: Word, tf: int, past: Past) -> Word | None:
    term, place = f"{first.term} {second.term}", None
    if first.place is not None and second.place is not None:
        place = segment.find_pair(first.place, second.place)
    learnt = len(past.get(term, ()))
    if place is None and not learnt:
        return None
    df = max(learnt, 0 if place is None else segment.pairs.df[place])
    share = PAIR_WEIGHT * math.sqrt(first.topical * second.topical)
    weight = query_weight(tf, df, segment.size, share)
    return Word(term, f"{first.asked} {second.asked}", place, weight, is_pair=True)
