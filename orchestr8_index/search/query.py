"""Turns a question into weighted terms and pairs, looked up in one segment.

A term's weight is its idf, by its frequency here and, as far as the word vectors know it, in such
texts at large. Entries that have won tasks with a term count as having it.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ..catalog.bm25f import MISSPELT_WEIGHT, PAIR_WEIGHT, expected, highest, query_weight, topical
from ..catalog.index import Segment
from ..lexicon.languages import Read
from ..memo import keep
from ..records import Experience
from ..text import Terms
from .compounds import Past, Token, is_known
from .reading import StandIn, read
from .semantic import Direction, meaning_of, strength
from .spelling import nearest_term

NONE_ABOVE = 8  # own words; a longer question gets only stand-ins `in_full`
FULL_TO = 5  # own words; in a longer question stand-ins weigh less, by the square
LEARNT_WORDS, ALL_LEARNT_WORDS = 2, 100  # added to the words: per word of past tasks; if all are
REMEMBERED = 768  # cached words, some 300 bytes each
T = TypeVar("T")
SMALL = 300  # entries; in a larger catalogue stand-ins weigh less, in proportion


class Word(Struct, frozen=True):
    """One term or pair of a query. `place` is None when the segment does not know it.

    `asked` is the word as the asker wrote it, `term` as it was looked up, `instead_of` the term
    that the segment does not know and `term` replaces; `known_as` is its place among the words
    that have vectors. `read_from`: the asker's words for which the lexicon added this one.
    """

    term: str
    asked: str
    place: int | None
    weight: int
    is_pair: bool = False
    instead_of: str = ""
    known_as: int | None = None
    topical: float = 1.0
    read_from: str = ""


class Query(Struct, frozen=True):
    """`by_words` is the highest possible score by words, `strength` that by meaning; `translated`
    are the words of a question in another language."""

    words: tuple[Word, ...]
    by_words: int = 0
    strength: int = 0
    meaning: Direction | None = None
    translated: tuple[Read, ...] = ()

    @property
    def known(self) -> list[Word]:
        return [word for word in self.words if word.place is not None]

    @property
    def own(self) -> list[Word]:
        """The question's own terms: no pairs, and none that the lexicon added."""
        return [word for word in self.words if not word.is_pair and not word.read_from]

    @property
    def misspelt(self) -> frozenset[str]:
        """The unknown terms that were read as similar known ones."""
        return frozenset(word.instead_of for word in self.words if word.instead_of)

    @property
    def weights(self) -> list[tuple[str, int]]:
        return [(word.term, word.weight) for word in self.words]

    @property
    def highest(self) -> int:
        """The highest possible score, by which relative scores are divided."""
        return self.by_words + self.strength or 1


def read_query(
    segment: Segment,
    text: str,
    terms: Terms,
    experience: Experience | None = None,
    without: Container[str] = (),
) -> Query:
    """The query of a text, without the terms in `without`."""
    past = experience.terms[segment.kind] if experience else {}
    reading = read(segment, text, terms, past)
    asked: dict[str, Token] = {}
    for token in reading.tokens:
        asked.setdefault(token.term, token)
    found = [token.term for token in reading.tokens if token.term not in without]
    corrects = not reading.translated
    words = {t: _word(segment, asked[t], tf, past, corrects) for t, tf in _tally(found).items()}
    pairs = _tally(pairwise(found)).items()
    joined = [_pair(segment, words[a], words[b], tf, past) for (a, b), tf in pairs]
    own = [*words.values(), *filter(None, joined)]
    if reading.pairs:
        own += _apart(segment, reading.pairs, {word.term for word in own})
    if reading.stand_ins:
        own += _stand_ins(segment, reading.stand_ins, own, past)
    by_words = _highest(own)
    vector_places = [word.known_as for word in own if not word.is_pair]
    meaning = meaning_of(segment, vector_places)
    learnt = sum(term in past for term in words)
    count = len(words) + (LEARNT_WORDS * learnt if learnt < len(words) else ALL_LEARNT_WORDS)
    by_meaning = strength(segment.size, by_words, count)
    return Query(tuple(own), by_words, by_meaning, meaning, tuple(reading.translated))


def _tally(each: Iterable[T]) -> dict[T, int]:
    """How often each occurs, in the order of first occurrence; for so few faster than Counter."""
    times: dict[T, int] = {}
    for one in each:
        times[one] = times.get(one, 0) + 1
    return times


def _highest(words: Iterable[Word]) -> int:
    """The score of an entry in which every word is saturated. Unknown words count, as they were
    asked for; a pair of past tasks alone does not, or one task would lower every relative score."""
    return highest(sum(w.weight for w in words if w.place is not None or not w.is_pair))


def _word(segment: Segment, token: Token, tf: int, past: Past, corrects: bool) -> Word:
    """The token as a cached Word; `corrects`: an unknown term is read as a similar known one."""
    key = token, tf, len(past.get(token.term, ())), corrects
    word: Word | None = segment.asked.get(key)
    if word is None:
        word = _read_word(segment, token, tf, past, corrects)
        keep(segment.asked, REMEMBERED * segment.room, key, word)
    return word


def _read_word(segment: Segment, token: Token, tf: int, past: Past, corrects: bool) -> Word:
    term, asked, share = token
    place, instead_of, learnt = segment.find_term(term), "", len(past.get(term, ()))
    if corrects and place is None and not learnt and not is_known(segment, term):
        if near := nearest_term(segment, term):
            instead_of, (term, place) = term, near
            share *= MISSPELT_WEIGHT
    weight, known_as, topicality = _weighed(segment, term, place, tf, share, learnt)
    return Word(term, asked, place, weight, False, instead_of, known_as, topicality)


def _weighed(
    segment: Segment, term: str, place: int | None, tf: int, share: float, learnt: int
) -> tuple[int, int | None, float]:
    """(weight, place among the words with vectors, how topical the word is)"""
    df = max(learnt, 0 if place is None else segment.terms.df[place])
    known_as = segment.word_of(term, place)
    rarity, topicality = 0.0, 1.0
    if df:
        usual, naming = segment.words.habits(known_as)
        rarity, topicality = expected(df, segment.size, usual), topical(naming)
    return query_weight(tf, rarity, segment.size, share * topicality), known_as, topicality


def _stand_ins(
    segment: Segment, stand_ins: Sequence[StandIn], own: Sequence[Word], past: Past
) -> Iterable[Word]:
    """The stand-ins as words; but for those `in_full` they weigh less in a long question and in a
    large catalogue, where the question's own words find enough."""
    added, have = [], {word.term for word in own}
    for each in stand_ins:
        if each.term in have:
            continue
        place, learnt = segment.find_term(each.term), len(past.get(each.term, ()))
        weight, known_as, topicality = _weighed(segment, each.term, place, 1, each.share, learnt)
        word = Word(
            each.term, each.shown, place, weight, False, "", known_as, topicality, each.read_from
        )
        added.append((word, each.in_full))
    single = sum(not word.is_pair for word in own)
    if single > NONE_ABOVE:
        return [word for word, in_full in added if in_full]
    factor = min(1.0, FULL_TO / max(1, single)) ** 2 * min(1.0, SMALL / max(1, segment.size))
    return [
        word if in_full or factor == 1 else replace(word, weight=round(word.weight * factor))
        for word, in_full in added
    ]


def _apart(segment: Segment, pairs: Sequence[Token], have: Container[str]) -> Iterable[Word]:
    for term, asked, _ in pairs:
        first, second = map(segment.find_term, term.split(" "))
        if term in have or first is None or second is None:
            continue
        place = segment.find_pair(first, second)
        if place is not None:
            weight = query_weight(1, segment.pairs.df[place], segment.size, PAIR_WEIGHT)
            yield Word(term, asked, place, weight, is_pair=True)


def _pair(segment: Segment, first: Word, second: Word, tf: int, past: Past) -> Word | None:
    place = None
    if first.place is not None and second.place is not None:
        place = segment.find_pair(first.place, second.place)
    if place is None and not past:
        return None
    term = f"{first.term} {second.term}"
    learnt = len(past.get(term, ()))
    if place is None and not learnt:
        return None
    df = max(learnt, 0 if place is None else segment.pairs.df[place])
    share = PAIR_WEIGHT * math.sqrt(first.topical * second.topical)
    weight = query_weight(tf, df, segment.size, share)
    return Word(term, f"{first.asked} {second.asked}", place, weight, is_pair=True)
