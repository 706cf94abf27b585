"""Embeds entries: one small vector for each, the direction of the sum of its words' vectors.

An entry's vector depends on its own text alone. Runs in the build's child process, with numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from .word_vectors import UNIT, Words

NAME_TIMES = 2
OPENING = 500  # characters of the body
FEW = 200  # words that are looked up in the file before all are read
NONE = (1 << 32) - 1

Array = np.ndarray[Any, np.dtype[Any]]


class Embedder:
    """Finds terms in the words and embeds entries; reads what it needs when it needs it."""

    def __init__(self, words: Words) -> None:
        self._words, self._asked = words, 0
        self.dimensions = words.dimensions

    def place(self, term: str) -> int:
        """The term's position among the words, NONE for one that is not there."""
        self._asked += 1
        if self._asked > FEW:
            return self._places.get(term, NONE)
        found = self._words.find(term)
        return NONE if found is None else found

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self._words.every_word())}

    @cached_property
    def _vectors(self) -> Array:
        whole = np.frombuffer(self._words.every_vector(), np.int8)
        return whole.reshape(self._words.size, self._words.dimensions)

    @cached_property
    def _lengths(self) -> Array:
        lengths: Array = np.asarray(self._words.lengths, np.float32)[:, None]
        return lengths

    def embed(self, words: Sequence[int]) -> bytes:
        """The summed vectors of `words` (NONE for unknown ones), as signed bytes of length UNIT;
        zero for an entry without known words."""
        places = np.array(words, np.uint32)
        places = places[places != NONE]
        total = (self._vectors[places] * self._lengths[places]).sum(axis=0).astype(np.float64)
        length = max(float(np.sqrt((total * total).sum())), 1e-9)
        mean: Array = np.clip(np.rint(total / length * UNIT), -127, 127).astype(np.int8)
        return mean.tobytes()
