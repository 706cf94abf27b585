"""What is an entry about? One small vector for each, the mean of its words' vectors, in the build.

A word counts by its smoothed inverse frequency, a/(a + p): Arora, Liang and Ma, "A simple but
tough-to-beat baseline for sentence embeddings", 2017, without their common component. An entry's
vector depends on its own text alone. Runs in the build's child process, with numpy.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..text import Terms
from .words import UNIT, Words

RARITY = 1e-3
NAME_TIMES = 2
OPENING = 500  # characters of the body
BLOCK = 256  # entries at a time
NONE = (1 << 32) - 1

Array = np.ndarray[Any, np.dtype[Any]]


class Embedder:
    """Embeds entries and finds terms in the words; holds all word vectors while it lives."""

    def __init__(self, words: Words) -> None:
        names, raw = words.everything()
        self._place = {word: place for place, word in enumerate(names)}
        whole = np.frombuffer(raw, np.int8).reshape(words.size, words.dimensions)
        weight = RARITY / (RARITY + np.asarray(words.frequency, np.float64))
        self._vectors = whole * weight[:, None].astype(np.float32)
        self._terms = Terms(bound=1 << 20)

    def places(self, terms: Iterable[str]) -> array[int]:
        """The terms' positions among the words, NONE for those that are not there."""
        return array("I", (self._place.get(term, NONE) for term in terms))

    def embed(self, texts: Iterable[tuple[str, str, str]]) -> bytes:
        """`texts` gives (name, description, body); a row of signed bytes of length UNIT each."""
        rows = [self._words_of(*text) for text in texts]
        blocks = (rows[i : i + BLOCK] for i in range(0, len(rows), BLOCK))
        return b"".join(self._means(block).tobytes() for block in blocks)

    def _words_of(self, name: str, description: str, body: str) -> array[int]:
        said = f"{(name + ' ') * NAME_TIMES}{description} {body[:OPENING]}"
        known = map(self._place.get, self._terms(said))
        return array("I", (place for place in known if place is not None))

    def _means(self, rows: list[array[int]]) -> Array:
        """The entries' summed vectors, scaled to UNIT; zero for an entry without known words."""
        sums = np.array([self._vectors[row].sum(axis=0) for row in rows], np.float64)
        length = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        means: Array = np.clip(np.rint(sums / length * UNIT), -127, 127).astype(np.int8)
        return means
