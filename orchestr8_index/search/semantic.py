"""How near each entry is to what a question means, by word vectors.

    likeness = max(0, q·d)    q = Σ n(t)·v(t) / Σ n(t),  d = Σ n(t)·v(t) made one long

v(t) is a word's direction and n(t) its learnt length. A question about many things has a short q,
and so leans on its words. Everything is an integer: with and without numpy the result is the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..catalog.bm25f import MEANING_FALL, MEANING_FULL_TO, MEANING_WEIGHT
from ..catalog.index import Segment
from ..catalog.word_vectors import UNIT

_LANE, _BIAS = 4, 128
_BIASED = bytes((byte + _BIAS) % 256 for byte in range(256))
SHARP = 1 << 8  # the question's vector has a length of at most UNIT·SHARP
BYTE = 127
LIKE = UNIT * UNIT


def strength(entries: int, highest: int) -> int:
    """What an entry of the very same meaning gets; less in a large catalogue."""
    share = MEANING_WEIGHT * math.pow(min(1.0, MEANING_FULL_TO / max(1, entries)), MEANING_FALL)
    return round(share * highest)


def vector(segment: Segment, words: Sequence[tuple[int | None, int]]) -> list[int] | None:
    """Of a question's (word, weight); None when no word has a vector. The weights do not count."""
    lengths = segment.words.lengths
    known = [(word, lengths[word]) for word, _ in words if word is not None]
    total = sum(length for _, length in known)
    if not total:
        return None
    size = segment.words.dimensions
    sums = sum(length * _lanes(segment.words.vector(word)) for word, length in known)
    zero = _BIAS * total
    lanes = memoryview(sums.to_bytes(size * _LANE, "little")).cast("I")
    return [(lane - zero) * SHARP // total for lane in lanes]


def _lanes(row: bytes) -> int:
    """A vector as one integer, 32 bits a component: Python adds and scales it in one step."""
    spread = bytearray(len(row) * _LANE)
    spread[::_LANE] = row.translate(_BIASED)
    return int.from_bytes(spread, "little")


def likeness(
    segment: Segment, question: list[int], places: Sequence[int] | None = None
) -> list[int]:
    """Of the entries at `places`, or of all, in units of 1/LIKE, none below 0."""
    largest = max(map(abs, question)) or 1
    signed = [value * BYTE // largest for value in question]
    table = segment.table
    products = table.products(signed) if places is None else table.products_of(signed, places)
    whole = BYTE * SHARP
    return [product * largest // whole if product > 0 else 0 for product in products]
