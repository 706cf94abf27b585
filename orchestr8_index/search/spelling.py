"""Corrects unknown words: similar terms, names and labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ..catalog.index import Segment
from ..catalog.sections import shape
from ..lexicon.english import is_english
from ..memo import keep
from ..text import stem_of

_ENDS = r"(e|ed|es|er|ers|ing|ation|ations)$"
_SPELLINGS = (
    (re.compile(f"(?<=[a-z]{{3}})is{_ENDS}"), r"iz\1"),
    (re.compile(f"(?<=[a-z]{{3}})iz{_ENDS}"), r"is\1"),
    (re.compile(r"(?<=[a-z]{3})our(s|al|ed|ing)?$"), r"or\1"),
)
MIN_LENGTH, TWO_EDITS_FROM = 6, 10
NEAR_NAME_FROM, NEAR_NAMES = 0.5, 3  # of the letter pairs of both; how many are named
REMEMBERED = 512  # misspelt words
HEAD, VOWELS, OF_ENDINGS = 4, "aeiouy", "aeiotn"
ENDINGS = ("ment", "on", "ty", "ing", "nce", "ble", "ous", "ive", "al", "er", "or", "ly", "ry")
MANY = 5_000  # names or labels; of more only those that begin alike are compared


def other_spelling(word: str) -> str:
    """`optimize` for `optimise` and the other way round, `color` for `colour`; else the word."""
    for pattern, instead in _SPELLINGS:
        if (changed := pattern.sub(instead, word)) != word:
            return changed
    return word


def nearest_term(segment: Segment, term: str) -> tuple[str, int] | None:
    """The likeliest known spelling, one edit away (two for long terms), same first letter.

    Ties: the highest document frequency, then the first by alphabet.
    """
    if len(term) < MIN_LENGTH or not term.isalpha():
        return None
    if term not in segment.near:
        keep(segment.near, REMEMBERED, term, _nearest_term(segment, term))
    return segment.near[term]


def _nearest_term(segment: Segment, term: str) -> tuple[str, int] | None:
    allowed = _allowed(term)
    near = [
        (edits, -segment.terms.df[place], known, place)
        for known, edits in _near(term, segment.terms_like(term, allowed), allowed)
        if (place := segment.find_term(known)) is not None
    ]
    return min(near)[2:] if near else _by_ending(segment, term)


def _by_ending(segment: Segment, term: str) -> tuple[str, int] | None:
    """The stem of an English word that is misspelt in its ending: "deploiment", "securty"."""
    written = f"{term[:-1]}y" if term.endswith("i") else term
    if not written.endswith(ENDINGS):
        return None
    stems = {stem_of(word) for word in _variants(written)}
    found = [
        (-segment.terms.df[place], stem, place)
        for stem in stems
        if (place := segment.find_term(stem)) is not None and is_english(stem)
    ]
    return min(found)[1:] if found else None


def _variants(word: str) -> Iterator[str]:
    """The word with one edit after HEAD letters: another vowel, a letter inserted or deleted."""
    for at in range(HEAD, len(word)):
        before, letter, after = word[:at], word[at], word[at + 1 :]
        if letter in VOWELS:
            yield from (f"{before}{other}{after}" for other in VOWELS if other != letter)
        yield from (f"{before}{more}{letter}{after}" for more in OF_ENDINGS)
        yield before + after


def nearest_name(segment: Segment, asked: str) -> str | None:
    """The name (folded; `plugin:name` where asked so) that a misspelt name means; None if unsure.

    One edit away, two for long names, with the same first letter and number of words. Two names
    equally near are ambiguous unless the same entries have both. `asked` is folded.
    """
    names, word_shape = segment.by_name.strings, shape(asked)
    if len(asked) < MIN_LENGTH or word_shape not in names.shapes(asked[0]) or asked in names:
        return None
    allowed = _allowed(asked)
    alike = (name for name in names.alike(asked, allowed) if shape(name) == word_shape)
    near = _near(asked, alike, allowed)
    nearest = sorted(name for name, edits in near if edits == near[0][1])
    meant = {tuple(segment.by_name[name]) for name in nearest}
    return nearest[0] if len(meant) == 1 else None


def _allowed(asked: str) -> int:
    return 1 if len(asked) < TWO_EDITS_FROM else 2


def _near(asked: str, known: Iterable[str], allowed: int) -> list[tuple[str, int]]:
    """(name, edits) of `known` at most `allowed` edits away, nearest first"""
    letters, most = set(asked), 2 * allowed  # an edit takes one letter away and adds another
    known = (name for name in known if len(letters.symmetric_difference(name)) <= most)
    found = [(name, made) for name in known if (made := edits(asked, name, allowed)) <= allowed]
    return sorted(found, key=lambda pair: pair[1])


def edits(one: str, other: str, most: int) -> int:
    """Edit distance with transpositions (optimal string alignment); `most` + 1 when above `most`.

    For a `most` of 1 or 2 trying every edit at the first difference is faster than a table, and
    rapidfuzz would take 5 MB.
    """
    same = 0
    for a, b in zip(one, other):  # noqa: B905 (their lengths differ)
        if a != b:
            break
        same += 1
    one, other = one[same:], other[same:]
    if not one or not other or not most:
        return min(len(one) + len(other), most + 1)
    ways = [(one[1:], other[1:]), (one[1:], other), (one, other[1:])]
    if one[:2] == other[1::-1]:
        ways.append((one[2:], other[2:]))
    return min(edits(*way, most - 1) for way in ways) + 1


def near_names(segment: Segment, words: Sequence[str]) -> list[str]:
    """Qualified names of the entries whose names look most like the words asked for.

    Of more than MANY names only those with the first two letters of a word are compared.
    """
    known = segment.by_name.strings
    heads = [""] if len(known) <= MANY else {word[:2] for word in words if word}
    ranges = [known.beginning(head)[:MANY] for head in sorted(heads)]
    asked = _letter_pairs(" ".join(words))
    alike: list[tuple[float, str]] = []
    for name in (name for at in ranges for name in map(known.at, at) if ":" not in name):
        own = _letter_pairs(name)
        if (shared := 2 * len(asked & own) / (len(asked) + len(own) or 1)) >= NEAR_NAME_FROM:
            alike.append((-shared, name))
    found = (place for _, name in sorted(alike) for place in segment.by_name[name])
    return [segment.position.at(place) for place in islice(dict.fromkeys(found), NEAR_NAMES)]


def _letter_pairs(text: str) -> set[str]:
    """The letter bigrams of each word, its boundaries included."""
    words = (f" {word} " for word in text.split())
    return {word[at : at + 2] for word in words for at in range(len(word) - 1)}


def near_labels(label: str, known: Iterable[str], cutoff: float) -> list[tuple[str, float]]:
    """Known labels like `label`, with their likeness in [0, 1], best first."""
    from rapidfuzz import fuzz, process

    found = process.extract(label, list(known), scorer=fuzz.ratio, limit=20, score_cutoff=cutoff)
    ranked = [(name, score / 100) for name, score, _ in found if name != label]
    return sorted(ranked, key=lambda pair: (-pair[1], pair[0]))
