"""Where do the texts and terms of many entries lie while a build runs? On disk, read by stretches.

The columns hold for each of their places a text, its terms as numbers, their counts by field, and a
vector. One is filled by what a build reads; another is the last generation's own.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from .bm25f import FIELDS
from .cards import Card

Array = np.ndarray[Any, np.dtype[Any]]
N_FIELDS = len(FIELDS)
STRETCH = 512  # rows
READ, KEPT, LENT = range(3)
"""Where a row stands: read by this build, kept of the last generation, or lent by the shared part
of the roots, whose generation is one for all projects."""


@dataclass(slots=True)
class EntryColumns:
    """`texts` and `tokens` read bytes (offset, length); `starts` are in bytes and in terms;
    `numbering` gives the numbers of this build for those of another vocabulary."""

    texts: Callable[[int, int], bytes]
    tokens: Callable[[int, int], bytes]
    text_starts: Sequence[int]
    token_starts: Sequence[int]
    lengths: Array
    vectors: Array
    numbering: Array | None = None

    def text(self, first: int, last: int) -> bytes:
        """The texts of the places from `first` up to, not including, `last`."""
        start, end = self.text_starts[first], self.text_starts[last]
        return self.texts(start, end - start)

    def numbers(self, first: int, last: int) -> Array:
        start, end = self.token_starts[first], self.token_starts[last]
        found = np.frombuffer(self.tokens(start * 4, (end - start) * 4), np.uint32)
        return found if self.numbering is None else self.numbering[found]


@dataclass(slots=True)
class Filling:
    """The columns being filled, in two files without a name."""

    folder: Path
    dimensions: int
    text_starts: array[int] = field(default_factory=lambda: array("Q", [0]))
    token_starts: array[int] = field(default_factory=lambda: array("Q", [0]))
    lengths: array[int] = field(default_factory=lambda: array("I"))
    vectors: bytearray = field(default_factory=bytearray)
    _texts: IO[bytes] | None = None
    _tokens: IO[bytes] | None = None

    def put(self, text: bytes, fields: Sequence[array[int]], vector: bytes) -> int:
        """The new place. `fields` are the numbers of its terms."""
        if self._texts is None or self._tokens is None:
            self._texts = tempfile.TemporaryFile(dir=self.folder)
            self._tokens = tempfile.TemporaryFile(dir=self.folder)
        self._texts.write(text)
        self.text_starts.append(self.text_starts[-1] + len(text))
        for numbers in fields:
            numbers.tofile(self._tokens)
            self.lengths.append(len(numbers))
        self.token_starts.append(self.token_starts[-1] + sum(map(len, fields)))
        self.vectors += vector
        return len(self.text_starts) - 2

    def __del__(self) -> None:
        for file in (self._texts, self._tokens):
            if file is not None:
                file.close()

    def columns(self) -> EntryColumns:
        """What has been put here so far; it lives no longer than this does."""
        return EntryColumns(
            texts=_reader(self._texts),
            tokens=_reader(self._tokens),
            text_starts=self.text_starts,
            token_starts=self.token_starts,
            lengths=np.array(self.lengths, np.int64).reshape(-1, N_FIELDS),
            vectors=np.frombuffer(bytes(self.vectors), np.int8).reshape(-1, self.dimensions),
        )


def _reader(file: IO[bytes] | None) -> Callable[[int, int], bytes]:
    if file is None:
        return lambda offset, length: b""
    file.flush()

    def read(offset: int, length: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(file.fileno(), length, offset)
        file.seek(offset)  # Windows
        return file.read(length)

    return read


@dataclass(slots=True)
class SpilledEntry:
    """One entry of a kind: `entry` is what is served of it, `said` (if not None) the terms of its
    description where other files added to it, with the vector that goes with them."""

    card: Card
    origin: int
    place: int
    entry: bytes
    labels: tuple[str, ...]
    described: array[int] | None = None
    vector: bytes = b""


def stretches(rows: Sequence[SpilledEntry]) -> Iterator[tuple[int, int, int]]:
    """Rows that lie side by side in one origin, as (origin, first place, last place + 1)."""
    first = 0
    for at in range(1, len(rows) + 1):
        before = rows[at - 1]
        if at < len(rows) and at - first < STRETCH and _beside(before, rows[at]):
            continue
        yield before.origin, rows[first].place, before.place + 1
        first = at


def _beside(one: SpilledEntry, other: SpilledEntry) -> bool:
    return other.origin == one.origin and other.place == one.place + 1
