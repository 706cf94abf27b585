"""Reads the question's words in the form that the catalogue uses: spelling and compounds.

"back end", "back-end" and "backend" are one word, and so is any compound that entries write the
other way. Where the catalogue has both forms, the commoner one is taken.
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
FEW = 40  # words; in a longer question only compounds of the lexicon are looked for
SHORTEST_PART = 3  # letters of a part of a compound that the lexicon lacks
Past = Mapping[str, Sized]
"""For each term of past tasks, the entries that did them."""


class Token(NamedTuple):
    """A term of the question, the word as written, and its weight relative to other words."""

    term: str
    asked: str
    share: float = 1.0


def is_known(segment: Segment, term: str) -> bool:
    """Whether the word vectors, the lexicon or English know the term: then it is not misspelt."""
    known = segment.words.find(term) is not None or term in segment.lexicon.terms
    return known or is_english(term)


def is_used(segment: Segment, term: str, past: Past) -> bool:
    """Whether an entry or a past task has the term."""
    return segment.find_term(term) is not None or term in past


def tokens(
    segment: Segment,
    raws: Sequence[str],
    words: Sequence[str],
    word_terms: Sequence[tuple[str, ...]],
    terms: Terms,
    past: Past,
) -> Iterator[tuple[int, Token]]:
    """(place of the word, token), in the order of the question; `words` are `raws`, folded."""
    is_short, at, find = len(raws) <= FEW, 0, segment.find_term
    table = segment.lexicon.joined
    unknown = [is_short and len(of) == 1 and find(of[0]) is None for of in word_terms]
    while at < len(raws):
        known = at + 1 < len(raws) and (
            table.get(f"{words[at]} {words[at + 1]}")
            or ((unknown[at] or unknown[at + 1]) and _compound(word_terms, words, at))
        )
        if known and (joined := _joined(segment, words, at, known, terms)) is not None:
            yield at, joined
            at += 2
            continue
        for term in word_terms[at]:
            asked = _as_written(raws[at], term, word_terms[at], terms)
            if find(term) is not None or term in past:
                yield at, Token(term, asked)
                continue
            for read_as in _known_form(segment, term, words[at], terms, is_short):
                yield at, Token(read_as, asked)
        at += 1


def _as_written(raw: str, term: str, own_terms: Sequence[str], terms: Terms) -> str:
    """The word, or the part of a CamelCase one that the term comes from."""
    if len(own_terms) > 1 and raw.isascii() and term != own_terms[0]:
        parts = (part.lower() for part in CAMEL.findall(raw))
        return next((part for part in parts if terms.stem(part) == term), raw.lower())
    return raw.lower()


def two_word_forms(
    segment: Segment, words: Sequence[str], compounds: Sequence[str], terms: Terms
) -> Iterator[Token]:
    """Pairs of terms for compounds that some entries write as two words; `compounds` are those that
    the question writes so."""
    table = segment.lexicon.apart
    written = [table[word] for word in words if word in table]
    for compound in dict.fromkeys([*written, *compounds]):
        parts = [terms.stem(part) for part in compound.split(" ")]
        if len(parts) == 2 and _pair_df(segment, *parts):
            yield Token(" ".join(parts), compound)


def one_word_forms(
    segment: Segment, compounds: Sequence[str], terms: Terms, own: Collection[str]
) -> Iterator[Token]:
    """One-word forms, which some entries have, of `compounds` that the question writes apart;
    without those in `own`, its terms."""
    for compound in compounds:
        term = terms.stem(segment.lexicon.joined[compound])
        if term not in own and segment.find_term(term) is not None:
            yield Token(term, compound)


def known_compounds(segment: Segment, words: Sequence[str]) -> list[str]:
    """Adjacent words that the lexicon knows as one compound."""
    joined = segment.lexicon.joined
    return [two for a, b in pairwise(words) if (two := f"{a} {b}") in joined]


def _compound(word_terms: Sequence[Sequence[str]], words: Sequence[str], at: int) -> str:
    """Two adjacent words joined; "" if one is short or is not exactly one term."""
    whole = words[at] + words[at + 1]
    single = len(word_terms[at]) == len(word_terms[at + 1]) == 1
    long = min(len(words[at]), len(words[at + 1])) >= SHORTEST_PART
    return whole if single and long and whole.isalpha() else ""


def _joined(
    segment: Segment, words: Sequence[str], at: int, compound: str, terms: Terms
) -> Token | None:
    """`compound` as a token; None if the catalogue lacks it, or more often writes it apart."""
    term = terms.stem(compound)
    place = segment.find_term(term)
    if place is None:
        return None
    first, second = words[at], words[at + 1]
    rarer = segment.terms.df[place] < _pair_df(segment, terms.stem(first), terms.stem(second))
    return None if rarer else Token(term, f"{first} {second}")


def _known_form(segment: Segment, term: str, word: str, terms: Terms, few: bool) -> Sequence[str]:
    """What to read a term as that no entry has: its other spelling, else its two parts, else it."""
    other = _respelt(segment, term, word, terms)
    if other != term:
        return (other,)
    return _parts(segment, term, word, terms, few) or (term,)


def _respelt(segment: Segment, term: str, word: str, terms: Terms) -> str:
    """The term of the word's other spelling, British or American, if that one is known here."""
    other_word = segment.lexicon.spelling.get(word) or other_spelling(word)
    if other_word == word:  # saves splitting a run of Chinese, one word of hundreds of terms
        return term
    for other in terms.of_word(other_word)[:MOST_SPELT]:
        if segment.find_term(other) is not None:
            return other
    return term


def _parts(segment: Segment, term: str, word: str, terms: Terms, is_short: bool) -> Sequence[str]:
    """The two adjacent terms as which entries write the compound `word`; empty if none do."""
    written = segment.lexicon.apart.get(word)
    if written is not None:
        splits = [written.split(" ")]
    elif is_short and terms.stem(word) == term and not is_known(segment, term):
        places = range(SHORTEST_PART, len(word) - SHORTEST_PART + 1)
        splits = [[word[:place], word[place:]] for place in places]
    else:
        return ()
    for split in splits:
        if len(split) == 2 and segment.find_term(terms.stem(split[0])) is not None:
            stems = [terms.stem(part) for part in split]
            if _pair_df(segment, *stems):
                return stems
    return ()


def _pair_df(segment: Segment, first: str, second: str) -> int:
    """Document frequency of the pair: entries with `first` right before `second`."""
    one = segment.find_term(first)
    other = None if one is None else segment.find_term(second)
    if one is None or other is None:
        return 0
    at = segment.find_pair(one, other)
    return 0 if at is None else segment.pairs.df[at]
