"""Reads a question: its own words, compounds made one, and what the lexicon says they stand for.

Nothing is added that the catalogue does not have. Every word knows what it was read from, so that
an answer can say "Read 'tf' as 'terraform'".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import NamedTuple

from ..lexicon.english import is_english
from ..lexicon.readings import Meaning, meanings
from ..lexicon.tables import Tables
from ..text import Terms, fold, raw_words
from .index import Segment
from .spelling import other_spelling

STANDS_FOR = {"short": 0.5, "product": 0.4, "symptom": 0.4, "error": 0.6}
"""What the first word of a meaning weighs, against a word of the asker's own."""
INSTEAD = 0.8  # the same where the asker's word says nothing to this catalogue
FALL = 0.7  # each further word of a meaning, against the one before
MOST_SPELT = 4
FEW = 40  # words; in a longer question only compounds that a table has are looked for
SHORTEST_PART = 3  # letters of a part of a compound that no table has
Past = Mapping[str, Sized]
"""For each term of past tasks, the entries that did them."""


class Token(NamedTuple):
    """A term of the question, and what the asker wrote."""

    term: str
    asked: str


class StandIn(NamedTuple):
    """A term that `read_from` stands for; `shown` is the term as a word.

    `in_full`: it counts as much in a long question and a large catalogue.
    """

    term: str
    shown: str
    read_from: str
    share: float
    in_full: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """`tokens` in the order of the question; `pairs` are compounds that entries write apart."""

    tokens: list[Token]
    pairs: list[Token]
    stand_ins: list[StandIn]


def read(segment: Segment, text: str, terms: Terms, past: Past) -> Reading:
    """A word that says nothing to the catalogue is left out where something stands in for it."""
    raws = raw_words(text)
    found = meanings(segment.lexicon, text, raws, terms.stem)
    silent = [m for m in found if m.places and not _is_heard(segment, m, raws, terms, past)]
    own = list(_tokens(segment, raws, terms, past))
    stand_ins = _stand_ins(segment, found, silent, {t.term for _, t in own}, terms, past)
    read_as = {each.read_from for each in stand_ins}
    left = {place for m in silent if m.shown in read_as for place in m.places}
    tokens = [token for place, token in own if place not in left]
    return Reading(tokens, list(_apart(segment, raws, terms)), stand_ins)


def _is_heard(
    segment: Segment, meaning: Meaning, raws: Sequence[str], terms: Terms, past: Past
) -> bool:
    """Whether the catalogue has any of the words that the meaning was read from."""
    words = (terms.of_word(raws[place]) for place in meaning.places)
    return any(_says(segment, term, past) for of in words for term in of)


def is_known(segment: Segment, term: str) -> bool:
    """Whether a term that no entry has is a word all the same, and so is not misspelt."""
    known = segment.words.find(term) is not None or term in segment.lexicon.terms
    return known or is_english(term)


# --- the asker's own words -----------------------------------------------------------------------


def _tokens(
    segment: Segment, raws: Sequence[str], terms: Terms, past: Past
) -> Iterator[tuple[int, Token]]:
    """(place of the word, token)"""
    tables, at = segment.lexicon, 0
    while at < len(raws):
        if (joined := _joined(segment, tables, raws, at, terms)) is not None:
            yield at, joined
            at += 2
            continue
        for term in terms.of_word(raws[at]):
            for read_as in _known_form(segment, term, raws[at], terms, past, len(raws) <= FEW):
                yield at, Token(read_as, raws[at].lower())
        at += 1


def _joined(
    segment: Segment, tables: Tables, raws: Sequence[str], at: int, terms: Terms
) -> Token | None:
    """Two words that the catalogue writes as one."""
    if at + 1 >= len(raws):
        return None
    first, second = fold(raws[at]), fold(raws[at + 1])
    word = tables.joined.get(f"{first} {second}")
    if word is None:
        if len(raws) > FEW or min(len(first), len(second)) < SHORTEST_PART:
            return None
        if not _may_join(segment, raws, at, terms):
            return None
        word = first + second
    term = terms.stem(word)
    return Token(term, f"{first} {second}") if segment.find_term(term) is not None else None


def _may_join(segment: Segment, raws: Sequence[str], at: int, terms: Terms) -> bool:
    """Whether one of two words is no word of the catalogue, though it counts as one."""
    both = [terms.of_word(raw) for raw in raws[at : at + 2]]
    return all(len(of) == 1 and of[0].isalpha() for of in both) and any(
        segment.find_term(of[0]) is None for of in both
    )


def _known_form(
    segment: Segment, term: str, raw: str, terms: Terms, past: Past, few: bool
) -> Sequence[str]:
    """The term, or if no entry has it, its other spelling or the two words it is made of."""
    if segment.find_term(term) is not None or term in past:
        return (term,)
    other = _respelt(segment, term, raw, terms)
    if other != term:
        return (other,)
    return _parts(segment, term, fold(raw), terms, few) or (term,)


def _respelt(segment: Segment, term: str, raw: str, terms: Terms) -> str:
    """The term of the word's other spelling, British or American, if that one is known here."""
    word = fold(raw)
    other_word = segment.lexicon.spelling.get(word) or other_spelling(word)
    if other_word == word:  # a run of Chinese is one word of hundreds of terms
        return term
    for other in terms.of_word(other_word)[:MOST_SPELT]:
        if segment.find_term(other) is not None:
            return other
    return term


def _parts(segment: Segment, term: str, word: str, terms: Terms, few: bool) -> tuple[str, ...]:
    """The two adjacent terms that entries write for one compound."""
    apart = segment.lexicon.apart.get(word)
    if apart is not None:
        splits = [tuple(apart.split(" "))]
    elif few and terms.stem(word) == term and not is_known(segment, term):
        places = range(SHORTEST_PART, len(word) - SHORTEST_PART + 1)
        splits = [(word[:place], word[place:]) for place in places]
    else:
        return ()
    for split in splits:
        found = tuple(terms.stem(part) for part in split)
        if len(found) == 2 and _pair(segment, found[0], found[1]):
            return found
    return ()


def _apart(segment: Segment, raws: Sequence[str], terms: Terms) -> Iterator[Token]:
    """Compounds that the question writes as one or apart, and some entries as two words."""
    tables = segment.lexicon
    words = [fold(raw) for raw in raws]
    apart = [tables.apart[word] for word in words if word in tables.apart]
    both = (f"{first} {second}" for first, second in zip(words, words[1:], strict=False))
    for compound in dict.fromkeys([*apart, *(two for two in both if two in tables.joined)]):
        parts = [terms.stem(part) for part in compound.split(" ")]
        if len(parts) == 2 and _pair(segment, parts[0], parts[1]):
            yield Token(" ".join(parts), compound)


def _pair(segment: Segment, first: str, second: str) -> bool:
    places = segment.find_term(first), segment.find_term(second)
    if places[0] is None or places[1] is None:
        return False
    return segment.find_pair(places[0], places[1]) is not None


# --- what they stand for -------------------------------------------------------------------------


def _stand_ins(
    segment: Segment,
    found: Sequence[Meaning],
    silent: Sequence[Meaning],
    own: set[str],
    terms: Terms,
    past: Past,
) -> list[StandIn]:
    """The weightiest of each term; none that the question has itself."""
    best: dict[str, StandIn] = {}
    for meaning in found:
        instead = meaning in silent
        share = INSTEAD if instead else STANDS_FOR[meaning.kind]
        in_full = instead or meaning.kind == "error"
        for word in meaning.words.split():
            for term in terms(word):
                if term in own or not _says(segment, term, past):
                    continue
                if term not in best or best[term].share < share:
                    best[term] = StandIn(term, word, meaning.shown, share, in_full)
            share *= FALL
    return list(best.values())


def _says(segment: Segment, term: str, past: Past) -> bool:
    return segment.find_term(term) is not None or term in past
