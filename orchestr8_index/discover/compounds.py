"""The asker's own words, in the form that the catalogue has them: spelling, and compounds.

"back end", "back-end" and "backend" are one word; so are the parts of any compound that entries
write in the other way. Where the catalogue has both, the commoner form is taken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Sized
from itertools import pairwise
from typing import NamedTuple

from ..lexicon.english import is_english
from ..text import Terms, fold
from .index import Segment
from .spelling import other_spelling

MOST_SPELT = 4
FEW = 40  # words; in a longer question only compounds that a table has are looked for
SHORTEST_PART = 3  # letters of a part of a compound that no table has
Past = Mapping[str, Sized]
"""For each term of past tasks, the entries that did them."""


class Token(NamedTuple):
    """A term of the question, and what the asker wrote."""

    term: str
    asked: str


def is_known(segment: Segment, term: str) -> bool:
    """Whether a term that no entry has is a word all the same, and so is not misspelt."""
    known = segment.words.find(term) is not None or term in segment.lexicon.terms
    return known or is_english(term)


def says(segment: Segment, term: str, past: Past) -> bool:
    """Whether the catalogue, or what was learnt, has the term."""
    return segment.find_term(term) is not None or term in past


def tokens(
    segment: Segment, raws: Sequence[str], terms: Terms, past: Past
) -> Iterator[tuple[int, Token]]:
    """(place of the word, token), in the order of the question."""
    few, at = len(raws) <= FEW, 0
    while at < len(raws):
        if (joined := _joined(segment, raws, at, terms, few)) is not None:
            yield at, joined
            at += 2
            continue
        for term in terms.of_word(raws[at]):
            for read_as in _known_form(segment, term, raws[at], terms, past, few):
                yield at, Token(read_as, raws[at].lower())
        at += 1


def apart(segment: Segment, raws: Sequence[str], terms: Terms) -> Iterator[Token]:
    """Compounds of the question that some entries write as two words, as pairs of terms."""
    tables, words = segment.lexicon, [fold(raw) for raw in raws]
    written = [tables.apart[word] for word in words if word in tables.apart]
    for compound in dict.fromkeys([*written, *_in_table(segment, words)]):
        parts = [terms.stem(part) for part in compound.split(" ")]
        if len(parts) == 2 and _pair_df(segment, *parts):
            yield Token(" ".join(parts), compound)


def joined_too(
    segment: Segment, raws: Sequence[str], terms: Terms, said: Collection[str]
) -> Iterator[Token]:
    """Compounds that most entries write apart, as the question does, and some as one word."""
    for compound in _in_table(segment, [fold(raw) for raw in raws]):
        term = terms.stem(segment.lexicon.joined[compound])
        if term not in said and segment.find_term(term) is not None:
            yield Token(term, compound)


def _in_table(segment: Segment, words: Sequence[str]) -> list[str]:
    joined = segment.lexicon.joined
    return [two for a, b in pairwise(words) if (two := f"{a} {b}") in joined]


def _joined(
    segment: Segment, raws: Sequence[str], at: int, terms: Terms, few: bool
) -> Token | None:
    """Two words that the catalogue mostly writes as one."""
    if at + 1 >= len(raws):
        return None
    first, second = fold(raws[at]), fold(raws[at + 1])
    word = segment.lexicon.joined.get(f"{first} {second}")
    if word is None:
        if not few or min(len(first), len(second)) < SHORTEST_PART:
            return None
        if not _may_join(segment, raws, at, terms):
            return None
        word = first + second
    term = terms.stem(word)
    place = segment.find_term(term)
    if place is None:
        return None
    rarer = segment.terms.df[place] < _pair_df(segment, terms.stem(first), terms.stem(second))
    return None if rarer else Token(term, f"{first} {second}")


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
    if says(segment, term, past):
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


def _parts(segment: Segment, term: str, word: str, terms: Terms, few: bool) -> Sequence[str]:
    """The two adjacent terms that entries write for one compound; none if there are no such."""
    written = segment.lexicon.apart.get(word)
    if written is not None:
        splits = [written.split(" ")]
    elif few and terms.stem(word) == term and not is_known(segment, term):
        places = range(SHORTEST_PART, len(word) - SHORTEST_PART + 1)
        splits = [[word[:place], word[place:]] for place in places]
    else:
        return ()
    for split in splits:
        found = [terms.stem(part) for part in split]
        if len(found) == 2 and _pair_df(segment, *found):
            return found
    return ()


def _pair_df(segment: Segment, first: str, second: str) -> int:
    """The entries that have one term right before the other; 0 if there are none."""
    places = segment.find_term(first), segment.find_term(second)
    if places[0] is None or places[1] is None:
        return 0
    at = segment.find_pair(places[0], places[1])
    return 0 if at is None else segment.pairs.df[at]
