"""How near is an entry to what the question means? Word vectors, for the best entries by words.

    likeness = max(0, q·d)    q = Σ √weight(t)·v(t) / Σ √weight(t),  v and d of length 1

A question about many things has a short q, and so leans on its words. Only entries that the words
found are compared. Everything is an integer: with and without numpy the result is the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

from ..catalog.bm25f import MEANING_FULL_TO, MEANING_WEIGHT
from ..catalog.index import Segment
from ..catalog.word_vectors import UNIT

_LANE, _BIAS = 4, 128
_BIASED = bytes((byte + _BIAS) % 256 for byte in range(256))
_SHARP = 1 << 8  # the question's vector has a length of at most UNIT·_SHARP
LIKE = UNIT * UNIT * _SHARP


def strength(entries: int, highest: int) -> int:
    """What an entry of the very same meaning gets; less in a large catalogue."""
    share = MEANING_WEIGHT * math.sqrt(min(1.0, MEANING_FULL_TO / max(1, entries)))
    return round(share * highest)


def vector(segment: Segment, words: Sequence[tuple[int | None, int]]) -> list[int] | None:
    """Of a question's (word, weight); None when no word has a vector."""
    weights = [math.isqrt(weight) for _, weight in words]
    total = sum(weights)
    known = [(w, weight) for (w, _), weight in zip(words, weights, strict=True) if w is not None]
    if not known or not total:
        return None
    size = segment.words.dimensions
    sums = sum(weight * _lanes(segment.words.vector(word)) for word, weight in known)
    zero = _BIAS * sum(weight for _, weight in known)
    lanes = memoryview(sums.to_bytes(size * _LANE, "little")).cast("I")
    return [(lane - zero) * _SHARP // total for lane in lanes]


def _lanes(row: bytes) -> int:
    """A vector as one integer, 32 bits a component: Python adds and scales it in one step."""
    spread = bytearray(len(row) * _LANE)
    spread[::_LANE] = row.translate(_BIASED)
    return int.from_bytes(spread, "little")


def likeness(segment: Segment, question: list[int], places: Sequence[int]) -> list[int]:
    """Of the entries at `places`, in units of 1/LIKE, none below 0."""
    if segment.uses_numpy:
        return _likeness_numpy(segment, question, places)
    size, every = len(question), segment.vectors
    rows = (every[place * size : (place + 1) * size] for place in places)
    return [max(0, sum(map(mul, question, row))) for row in rows]


def _likeness_numpy(segment: Segment, question: list[int], places: Sequence[int]) -> list[int]:
    import numpy as np

    every = np.frombuffer(segment.vectors, np.int8).reshape(-1, len(question))
    found = every[np.array(places)].astype(np.int64) @ np.array(question, np.int64)
    return [max(0, int(value)) for value in found]
