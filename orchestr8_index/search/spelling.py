"""What was probably meant? Near terms and near names, asked only when a word is unknown."""

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
NEAR_NAME_FROM = 0.5  # of the letter pairs of both
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

    Of several equally near, the one in most entries, then the first by alphabet.
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
    return min(near)[2:] if near else _of_an_end(segment, term)


def _of_an_end(segment: Segment, term: str) -> tuple[str, int] | None:
    """That of an English word misspelt in its ending: of "deploiment", "securty"."""
    written = f"{term[:-1]}y" if term.endswith("i") else term
    if not written.endswith(ENDINGS):
        return None
    stems = {stem_of(word) for word in _slips(written)}
    found = [
        (-segment.terms.df[place], stem, place)
        for stem in stems
        if (place := segment.find_term(stem)) is not None and is_english(stem)
    ]
    return min(found)[1:] if found else None


def _slips(word: str) -> Iterator[str]:
    """With a vowel changed, or a letter of endings added or taken away, behind the head."""
    for at in range(HEAD, len(word)):
        before, letter, after = word[:at], word[at], word[at + 1 :]
        if letter in VOWELS:
            yield from (f"{before}{other}{after}" for other in VOWELS if other != letter)
        yield from (f"{before}{more}{letter}{after}" for more in OF_ENDINGS)
        yield before + after


def nearest_name(segment: Segment, asked: str) -> str | None:
    """The one name (folded; `plugin:name` where asked so) that a misspelt name can only mean.

    One edit away, two for long names, with the same first letter and as many words; of two names
    equally near none is meant, unless one entry has both. `asked` is folded.
    """
    names, as_many = segment.by_name.strings, shape(asked)
    if len(asked) < MIN_LENGTH or as_many not in names.shapes(asked[0]) or asked in names:
        return None
    allowed = _allowed(asked)
    alike = (name for name in names.alike(asked, allowed) if shape(name) == as_many)
    near = _near(asked, alike, allowed)
    nearest = sorted(name for name, edits in near if edits == near[0][1])
    meant = {tuple(segment.by_name[name]) for name in nearest}
    return nearest[0] if len(meant) == 1 else None


def _allowed(asked: str) -> int:
    return 1 if len(asked) < TWO_EDITS_FROM else 2


def _near(asked: str, known: Iterable[str], allowed: int) -> list[tuple[str, int]]:
    """Those at most `allowed` edits away, with their number of edits, nearest first."""
    letters, most = set(asked), 2 * allowed  # an edit takes one letter away and adds another
    known = (name for name in known if len(letters.symmetric_difference(name)) <= most)
    found = [(name, made) for name in known if (made := edits(asked, name, allowed)) <= allowed]
    return sorted(found, key=lambda pair: pair[1])


def edits(one: str, other: str, most: int) -> int:
    """How many letters to change, add, take away or swap with the next; above `most`, most + 1.

    No swapped letter is edited again (optimal string alignment). For a `most` of 1 or 2 trying
    every edit where two words part is faster than a table, and rapidfuzz would take 5 MB.
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


def near_names(segment: Segment, words: Sequence[str], most: int = 3) -> list[str]:
    """Qualified names of the entries whose names look most like the words asked for.

    Of very many names only those that begin like one of the words are looked at.
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
    return [segment.position.at(place) for place in islice(dict.fromkeys(found), most)]


def _letter_pairs(text: str) -> set[str]:
    """Of each word, with its beginning and its end."""
    words = (f" {word} " for word in text.split())
    return {word[at : at + 2] for word in words for at in range(len(word) - 1)}


def near_labels(label: str, known: Iterable[str], cutoff: float) -> list[tuple[str, float]]:
    """Known labels like `label`, with their likeness in [0, 1], best first."""
    from rapidfuzz import fuzz, process

    found = process.extract(label, list(known), scorer=fuzz.ratio, limit=20, score_cutoff=cutoff)
    ranked = [(name, score / 100) for name, score, _ in found if name != label]
    return sorted(ranked, key=lambda pair: (-pair[1], pair[0]))
