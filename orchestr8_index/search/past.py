"""Vectors of past tasks: one per entry, of the words of all tasks that it has won.

    d = unit(Σ n(t)·v(t)) over the distinct words t of its tasks, as for an entry's own text

So a paraphrase of a task finds the entry that did it, even without a word in common.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from ..catalog.index import Segment
from ..catalog.word_vectors import UNIT
from .semantic import Direction, likeness

_LANE, _BIAS = 8, 128  # bytes a lane: 2**32 words fit
_BIASED = bytes((byte + _BIAS) % 256 for byte in range(256))
BYTE = 127


@dataclass(slots=True)
class _Sum:
    """Σ n(t)·(v(t) + _BIAS), a component in each lane, and Σ n(t)."""

    lanes: int = 0
    length: int = 0


class PastMeaning:
    """Unit vectors of sums of words, by entry (or pattern); words without a vector are ignored."""

    def __init__(self, segment: Segment) -> None:
        self._words, self._dimensions = segment.words, segment.words.dimensions
        self._sums: dict[int, _Sum] = {}
        self._rows: dict[int, int] = {}
        self._raw = array("b")

    def begin(self, place: int) -> None:
        """Start the entry's sum at zero."""
        self._sums[place] = _Sum()

    def add(self, place: int, word: str) -> None:
        """Add a word to the entry's sum; `close` then updates its vector."""
        words, total = self._words, self._sums[place]
        known = None if " " in word else words.find(word)
        if known is None:
            return
        spread = bytearray(self._dimensions * _LANE)
        spread[::_LANE] = words.vector(known).translate(_BIASED)
        length = words.lengths[known]
        total.lanes += length * int.from_bytes(spread, "little")
        total.length += length

    def put(self, place: int, words: Iterable[str]) -> None:
        """Set the entry's vector from `words`, without keeping the sum."""
        self.begin(place)
        for word in words:
            self.add(place, word)
        self.close(place)
        del self._sums[place]

    def close(self, place: int) -> None:
        """Compute the entry's vector from its sum."""
        size, total = self._dimensions, self._sums[place]
        raw = memoryview(total.lanes.to_bytes(size * _LANE, "little")).cast("Q")
        mean = [lane - _BIAS * total.length for lane in raw]
        scale = UNIT / (math.hypot(*mean) or 1.0)
        vector = array("b", [max(-BYTE, min(BYTE, round(value * scale))) for value in mean])
        row = self._rows.setdefault(place, len(self._rows))
        self._raw[row * size : (row + 1) * size] = vector

    def likeness(self, question: Direction) -> dict[int, int]:
        """The question's likeness to each vector, in units of 1/LIKE; negatives are 0."""
        from ..catalog.vector_table import Table

        table = Table(memoryview(self._raw), self._dimensions)
        return dict(zip(self._rows, likeness(table, question), strict=True))
