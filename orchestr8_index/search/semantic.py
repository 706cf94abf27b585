"""How near each entry is to the meaning of a question, by word vectors.

    likeness = max(0, q·d)    q = Σ n(t)·v(t) / Σ n(t),  d = unit(Σ n(t)·v(t))

v(t) is a word's direction and n(t) its learnt length. A question about many things has a short q,
so its words count more. Everything is an integer: with and without numpy the result is the same.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from ..catalog.bm25f import (
    MEANING_FALL,
    MEANING_FULL_TO,
    MEANING_SHORT,
    MEANING_WEIGHT,
    SHORT_SIZE,
    SHORT_TO,
)
from ..catalog.index import Segment
from ..catalog.word_vectors import BIAS, LANE, UNIT, Words

if TYPE_CHECKING:
    from ..catalog.vector_table import Table

SHARP = 1 << 8  # fixed-point scale of a question's mean
BYTE = 127
LIKE = UNIT * UNIT
BY_CHANCE = 0.25  # unrelated words stay below this likeness


class Direction(Struct, frozen=True):
    """A question's vector as signed bytes, of which BYTE stands for `largest` / (UNIT·SHARP).

    `length`: in units in which a word's direction is 1 long.
    """

    signed: bytes
    largest: int
    length: float


def strength(entries: int, highest: int, words: int) -> int:
    """The points of an entry of exactly the question's meaning: fewer in a large catalogue, more in
    a small one for a question of few `words`, which are rarely the entry's own."""
    share = MEANING_WEIGHT * math.pow(min(1.0, MEANING_FULL_TO / max(1, entries)), MEANING_FALL)
    brief = min(1.0, SHORT_TO / max(1, words)) ** 3 * min(1.0, SHORT_SIZE / max(1, entries))
    return round(share * (1 + MEANING_SHORT * brief) * highest)


def meaning_of(segment: Segment, words: Sequence[int | None]) -> Direction | None:
    """The mean vector of a question's words, given as places among the word vectors; None when none
    has one. The words' weights do not count."""
    lengths = segment.words.lengths
    known = [(word, lengths[word]) for word in words if word is not None]
    total = sum(length for _, length in known)
    if not total:
        return None
    size = segment.words.dimensions
    spread = segment.words.spread
    sums = sum([length * spread[word] for word, length in known])
    zero = BIAS * total
    lanes = memoryview(sums.to_bytes(size * LANE, "little")).cast("I").tolist()
    mean = [(lane - zero) * SHARP // total for lane in lanes]
    largest = max(max(mean), -min(mean)) or 1
    signed = struct.pack(f"{size}b", *[value * BYTE // largest for value in mean])
    return Direction(signed, largest, math.hypot(*mean) / (UNIT * SHARP))


def likeness(
    table: Table, question: Direction, places: Sequence[int] | None = None, units: int = LIKE
) -> list[int]:
    """The likeness of the entries at `places`, or of all, to the question; negatives are 0, and
    exactly the same meaning has `units`."""
    signed = question.signed
    products = table.products(signed) if places is None else table.products_of(signed, places)
    largest, whole = question.largest, BYTE * SHARP
    return [units * (each * largest // whole) // LIKE if each > 0 else 0 for each in products]


def likenesses(words: Words, terms: Iterable[str], question: Direction) -> dict[str, float]:
    """Term → likeness to the question, without terms below BY_CHANCE."""
    from ..catalog.vector_table import Table  # as late as by Segment.table

    places = {term: place for term in terms if (place := words.find(term)) is not None}
    rows = b"".join(words.vector(place) for place in places.values())
    likes = likeness(Table(memoryview(rows), words.dimensions), question)
    near = {term: like / LIKE for term, like in zip(places, likes, strict=True)}
    return {term: like for term, like in near.items() if like >= BY_CHANCE}
