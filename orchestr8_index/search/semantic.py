"""How near each entry is to what a question means, by word vectors.

    likeness = max(0, q·d)    q = Σ n(t)·v(t) / Σ n(t),  d = Σ n(t)·v(t) made one long

v(t) is a word's direction and n(t) its learnt length. A question about many things has a short q,
and so leans on its words. Everything is an integer: with and without numpy the result is the same.
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

SHARP = 1 << 8  # a question's mean is worked out in such parts of a unit
BYTE = 127
LIKE = UNIT * UNIT
BY_CHANCE = 0.25  # the likeness of a word that has nothing to do with a question stays below


class Direction(Struct, frozen=True):
    """A question's vector as signed bytes, of which BYTE stands for `largest` / (UNIT·SHARP).

    `length`: in units in which a word's direction is 1 long.
    """

    signed: bytes
    largest: int
    length: float


def strength(entries: int, highest: int, said: int) -> int:
    """What an entry of the very same meaning gets; less in a large catalogue, and more in a small
    one where the question has `said` few words: they are rarely the entry's own."""
    share = MEANING_WEIGHT * math.pow(min(1.0, MEANING_FULL_TO / max(1, entries)), MEANING_FALL)
    brief = min(1.0, SHORT_TO / max(1, said)) ** 3 * min(1.0, SHORT_SIZE / max(1, entries))
    return round(share * (1 + MEANING_SHORT * brief) * highest)


def meaning_of(segment: Segment, words: Sequence[int | None]) -> Direction | None:
    """Of a question's words, by their place among those with vectors; None when none has one.

    The words' weights do not count.
    """
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
    """Of the entries at `places`, or of all, none below 0; the very same meaning has `units`."""
    signed = question.signed
    products = table.products(signed) if places is None else table.products_of(signed, places)
    largest, whole = question.largest, BYTE * SHARP
    return [units * (each * largest // whole) // LIKE if each > 0 else 0 for each in products]


def likenesses(words: Words, terms: Iterable[str], question: Direction) -> dict[str, float]:
    """How near each term is in meaning to the question, of those nearer than by chance."""
    from ..catalog.vector_table import Table  # as late as by Segment.table

    places = {term: place for term in terms if (place := words.find(term)) is not None}
    rows = b"".join(words.vector(place) for place in places.values())
    likes = likeness(Table(memoryview(rows), words.dimensions), question)
    near = {term: like / LIKE for term, like in zip(places, likes, strict=True)}
    return {term: like for term, like in near.items() if like >= BY_CHANCE}
