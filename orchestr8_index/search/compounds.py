"""The asker's own words, in the form that the catalogue has them: spelling, and compounds.

"back end", "back-end" and "backend" are one word; so are the parts of any compound that entries
write in the other way. Where the catalogue has both, the commoner form is taken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Sized
from itertools import pairwise
from typing import NamedTuple

from ..catalog.index import Segment
from ..lexicon.english import is_english
from ..text import CAMEL, Terms
from .spelling import other_spelling

MOST_SPELT = 4
FEW = 40  # words; in a longer question only compounds that a table has are looked for
SHORTEST_PART = 3  # letters of a part of a compound that no table has
Past = Mapping[str, Sized]
"""For each term of past tasks, the entries that did them."""


class Token(NamedTuple):
    """A term of the question, what the asker wrote, and what it weighs beside other words."""

    term: str
    asked: str
    share: float = 1.0


def is_known(segment: Segment, term: str) -> bool:
    """Whether a term that no entry has is a word all the same, and so is not misspelt."""
    known = segment.words.find(term) is not None or term in segment.lexicon.terms
    return known or is_english(term)


def says(segment: Segment, term: str, past: Past) -> bool:
    """Whether the catalogue, or what was learnt, has the term."""
    return segment.find_term(term) is not None or term in past


def tokens(
    segment: Segment,
    raws: Sequence[str],
    words: Sequence[str],
    of_words: Sequence[tuple[str, ...]],
    terms: Terms,
    past: Past,
) -> Iterator[tuple[int, Token]]:
    """(place of the word, token), in the order of the question; `words` are `raws`, folded."""
    few, at, find = len(raws) <= FEW, 0, segment.find_term
    table = segment.lexicon.joined
    unheard = [few and len(of) == 1 and find(of[0]) is None for of in of_words]
    while at < len(raws):
        known = at + 1 < len(raws) and (
            table.get(f"{words[at]} {words[at + 1]}")
            or ((unheard[at] or unheard[at + 1]) and _compound(of_words, words, at))
        )
        if known and (joined := _joined(segment, words, at, known, terms)) is not None:
            yield at, joined
            at += 2
            continue
        for term in of_words[at]:
            asked = _as_written(raws[at], term, of_words[at], terms)
            if find(term) is not None or term in past:
                yield at, Token(term, asked)
                continue
            for read_as in _known_form(segment, term, words[at], terms, few):
                yield at, Token(read_as, asked)
        at += 1


def _as_written(raw: str, term: str, of_word: Sequence[str], terms: Terms) -> str:
    """The word, or the part of a CamelCase one that the term comes from."""
    if len(of_word) > 1 and raw.isascii() and term != of_word[0]:
        parts = (part.lower() for part in CAMEL.findall(raw))
        return next((part for part in parts if terms.stem(part) == term), raw.lower())
    return raw.lower()


def apart(
    segment: Segment, words: Sequence[str], compounds: Sequence[str], terms: Terms
) -> Iterator[Token]:
    """Compounds of the question that some entries write as two words, as pairs of terms;
    `compounds` are those that the question writes so."""
    table = segment.lexicon.apart
    written = [table[word] for word in words if word in table]
    for compound in dict.fromkeys([*written, *compounds]):
        parts = [terms.stem(part) for part in compound.split(" ")]
        if len(parts) == 2 and _pair_df(segment, *parts):
            yield Token(" ".join(parts), compound)


def joined_too(
    segment: Segment, compounds: Sequence[str], terms: Terms, said: Collection[str]
) -> Iterator[Token]:
    """Compounds that most entries write apart, as the question does, and some as one word."""
    for compound in compounds:
        term = terms.stem(segment.lexicon.joined[compound])
        if term not in said and segment.find_term(term) is not None:
            yield Token(term, compound)


def in_table(segment: Segment, words: Sequence[str]) -> list[str]:
    """Pairs of words that are written as one elsewhere."""
    joined = segment.lexicon.joined
    return [two for a, b in pairwise(words) if (two := f"{a} {b}") in joined]


def _compound(of_words: Sequence[Sequence[str]], words: Sequence[str], at: int) -> str:
    """Two words, each of one term and of some length, as one; "" if they cannot be one."""
    whole = words[at] + words[at + 1]
    single = len(of_words[at]) == len(of_words[at + 1]) == 1
    long = min(len(words[at]), len(words[at + 1])) >= SHORTEST_PART
    return whole if single and long and whole.isalpha() else ""


def _joined(
    segment: Segment, words: Sequence[str], at: int, compound: str, terms: Terms
) -> Token | None:
    """Two words that the catalogue mostly writes as one, `compound`."""
    term = terms.stem(compound)
    place = segment.find_term(term)
    if place is None:
        return None
    first, second = words[at], words[at + 1]
    rarer = segment.terms.df[place] < _pair_df(segment, terms.stem(first), terms.stem(second))
    return None if rarer else Token(term, f"{first} {second}")


def _known_form(segment: Segment, term: str, word: str, terms: Terms, few: bool) -> Sequence[str]:
    """Of a term that no entry has: its other spelling or the two words it is made of, else it."""
    other = _respelt(segment, term, word, terms)
    if other != term:
        return (other,)
    return _parts(segment, term, word, terms, few) or (term,)


def _respelt(segment: Segment, term: str, word: str, terms: Terms) -> str:
    """The term of the word's other spelling, British or American, if that one is known here."""
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
        if len(split) == 2 and segment.find_term(terms.stem(split[0])) is not None:
            found = [terms.stem(part) for part in split]
            if _pair_df(segment, *found):
                return found
    return ()


def _pair_df(segment: Segment, first: str, second: str) -> int:
    """The entries that have one term right before the other; 0 if there are none."""
    one = segment.find_term(first)
    other = None if one is None else segment.find_term(second)
    if one is None or other is None:
        return 0
    at = segment.find_pair(one, other)
    return 0 if at is None else segment.pairs.df[at]
