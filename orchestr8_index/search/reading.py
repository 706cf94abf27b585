"""Reads a question: its own words, compounds made one, and what the lexicon says they stand for.

Nothing is added that the catalogue does not have. Every word knows what it was read from, so that
an answer can say "Read 'tf' as 'terraform'".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from ..catalog.index import Segment
from ..lexicon.readings import Meaning, meanings
from ..text import Terms, fold, raw_words
from .compounds import Past, Token, apart, joined_too, says, tokens

STANDS_FOR = {"short": 0.5, "product": 0.4, "symptom": 0.4, "error": 0.6}
"""What the first word of a meaning weighs, against a word of the asker's own."""
INSTEAD = 0.8  # the same where the asker's word says nothing to this catalogue
FALL = 0.7  # each further word of a meaning, against the one before


class StandIn(NamedTuple):
    """A term that `read_from` stands for; `shown` is the term as a word.

    `in_full`: it counts as much in a long question and a large catalogue.
    """

    term: str
    shown: str
    read_from: str
    share: float
    in_full: bool


class Reading(Struct, frozen=True):
    """`tokens` in the order of the question; `pairs` are compounds that entries write apart."""

    tokens: list[Token]
    pairs: list[Token]
    stand_ins: list[StandIn]


def read(segment: Segment, text: str, terms: Terms, past: Past) -> Reading:
    """A word that says nothing to the catalogue is left out where something stands in for it."""
    raws = raw_words(text)
    words = [fold(raw) for raw in raws]
    found = meanings(segment.lexicon, text, raws, words, terms.stem)
    silent = [m for m in found if m.places and not _is_heard(segment, m, raws, terms, past)]
    own = list(tokens(segment, raws, words, terms, past))
    said = {token.term for _, token in own}.union(*map(terms.of_word, raws))
    stand_ins = _stand_ins(segment, found, silent, said, terms, past)
    read_as = {each.read_from for each in stand_ins}
    left = {place for m in silent if m.shown in read_as for place in m.places}
    kept = [token for place, token in own if place not in left]
    for token in joined_too(segment, words, terms, said):
        stand_ins.append(StandIn(token.term, token.term, token.asked, INSTEAD, True))
    return Reading(kept, list(apart(segment, words, terms)), stand_ins)


def _is_heard(
    segment: Segment, meaning: Meaning, raws: Sequence[str], terms: Terms, past: Past
) -> bool:
    """Whether the catalogue has any of the words that the meaning was read from."""
    words = (terms.of_word(raws[place]) for place in meaning.places)
    return any(says(segment, term, past) for of in words for term in of)


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
        for word, of_word in segment.lexicon.split(meaning.words, terms):
            for term in of_word:
                if term in own or not says(segment, term, past):
                    continue
                if term not in best or best[term].share < share:
                    best[term] = StandIn(term, word, meaning.shown, share, in_full)
            share *= FALL
    return list(best.values())
