"""Which numbers stand for a text? Terms as numbers in the order first seen, with their words.

A raw word that was met before costs one look-up. Runs in the build's child process only.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from ..text import Terms, raw_words
from .embed import Embedder

REMEMBERED = 1 << 17  # raw words


class Tokens:
    """Numbers the terms of one kind. `words` says which word of the embedder's each term is."""

    def __init__(
        self, embedder: Embedder, known: Sequence[str] = (), words: Sequence[int] = ()
    ) -> None:
        """`known` are terms that have their numbers already, and `words` theirs."""
        self.numbers = {term: number for number, term in enumerate(known)}
        self.words = array("I", words)
        self._embedder = embedder
        self._split = Terms(bound=1024)
        self._seen: dict[str, array[int]] = {}

    def of(self, text: str) -> array[int]:
        found = array("I")
        seen = self._seen
        for raw in raw_words(text):
            known = seen.get(raw)
            if known is None:
                known = self._remember(raw)
            found.extend(known)
        return found

    def _remember(self, raw: str) -> array[int]:
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        found = self._seen[raw] = array("I", map(self._number, self._split.of_word(raw)))
        return found

    def _number(self, term: str) -> int:
        number = self.numbers.get(term)
        if number is None:
            number = self.numbers[term] = len(self.numbers)
            self.words.append(self._embedder.place(term))
        return number
