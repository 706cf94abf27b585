"""Which numbers stand for a text? Terms as numbers in the order first seen, with their words.

A raw word that was met before costs one look-up. Runs in the build's child process only.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

from ..text import Terms, raw_words
from .entry_vectors import Embedder

REMEMBERED = 1 << 17  # raw words


class Numbering:
    """Numbers the terms of one kind. `words` says which word of the embedder's each term is."""

    def __init__(
        self, split: Terms, embedder: Embedder, known: Sequence[str] = (), words: Sequence[int] = ()
    ) -> None:
        """`known` are terms that have their numbers already, and `words` theirs."""
        self.numbers = {term: number for number, term in enumerate(known)}
        self.words = array("I", words)
        self._embedder = embedder
        self._seen = _WordIds(
            lambda raw: array("I", map(self.number, split.of_word(raw))).tobytes()
        )

    def of(self, text: str) -> array[int]:
        seen = self._seen
        if len(seen) > REMEMBERED:
            seen.clear()
        found = array("I")
        found.frombytes(b"".join(map(seen.__getitem__, raw_words(text))))
        return found

    def number(self, term: str) -> int:
        """That of one term; a new one gets the next."""
        number = self.numbers.get(term)
        if number is None:
            number = self.numbers[term] = len(self.numbers)
            self.words.append(self._embedder.place(term))
        return number


class _WordIds(dict[str, bytes]):
    """The numbers of raw words, as they lie in an array; of a new one they are asked for."""

    def __init__(self, numbers_of: Callable[[str], bytes]) -> None:
        self._numbers_of = numbers_of

    def __missing__(self, raw: str) -> bytes:
        found = self[raw] = self._numbers_of(raw)
        return found
