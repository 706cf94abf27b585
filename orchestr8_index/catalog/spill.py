"""The columns of entries during a build, which lie on disk and are read in ranges.

They have for each place a text, its terms as numbers, their counts by field, and a vector. Some are
filled by what a build reads; others are the last generation's own.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .bm25f import FIELDS
from .cards import Card

Array = np.ndarray[Any, np.dtype[Any]]
N_FIELDS = len(FIELDS)
STRETCH = 512  # rows
READ, KEPT, LENT = range(3)
"""The origin of a row: read by this build, kept of the last generation, or lent by the generation
of the roots that projects share."""


IN_MEMORY, FEW = 4_000_000, 1 << 16  # bytes of a column
PART = 1 << 20


class GrowingColumn:
    """Items of one type; what does not fit in memory lies in an unnamed file."""

    def __init__(self, folder: Path, dtype: Any, in_memory: int = IN_MEMORY) -> None:
        self.dtype = np.dtype(dtype)
        self._file = tempfile.SpooledTemporaryFile(max_size=in_memory, dir=str(folder))
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, items: Array | bytes | array[int]) -> None:
        """Append items; an array of numpy is converted to the column's type."""
        if isinstance(items, np.ndarray):
            items = np.ascontiguousarray(items, self.dtype)
        self._file.write(items.data if isinstance(items, np.ndarray) else items)
        self._size += len(items)

    def read(self, start: int = 0, stop: int | None = None) -> Array:
        stop = self._size if stop is None else stop
        self._file.seek(start * self.dtype.itemsize)
        data = self._file.read((stop - start) * self.dtype.itemsize)
        self._file.seek(0, 2)
        return np.frombuffer(data, self.dtype)

    def parts(self) -> Iterator[bytes]:
        self._file.seek(0)
        while part := self._file.read(PART):
            yield part

    def __del__(self) -> None:
        self._file.close()


@dataclass(slots=True)
class EntryColumns:
    """`texts` and `tokens` read from a start to an end, which `…_starts` have for each place, in
    bytes and in terms; `numbering` gives the numbers of this build for those of another vocabulary.
    """

    texts: Callable[[int, int], bytes]
    tokens: Callable[[int, int], Array]
    text_starts: Sequence[int]
    token_starts: Sequence[int]
    lengths: Array
    vectors: Array
    numbering: Array | None = None

    def text(self, first: int, last: int) -> bytes:
        """The texts of the places from `first` up to, not including, `last`."""
        return self.texts(self.text_starts[first], self.text_starts[last])

    def numbers(self, first: int, last: int) -> Array:
        found = self.tokens(self.token_starts[first], self.token_starts[last])
        return found if self.numbering is None else self.numbering[found]


class Filling:
    """The columns being filled."""

    def __init__(self, folder: Path, dimensions: int) -> None:
        types = np.uint8, np.uint32, np.int8
        columns = (GrowingColumn(folder, dtype, FEW) for dtype in types)
        self._texts, self._tokens, self._vectors = columns
        self._starts = array("Q", [0]), array("Q", [0])
        self._lengths, self._dimensions = array("I"), dimensions

    def put(self, text: bytes, fields: Sequence[array[int]], vector: bytes) -> int:
        """Append an entry and return its place. `fields`: its terms' numbers, by field."""
        self._texts.append(text)
        self._vectors.append(vector)
        for numbers in fields:
            self._tokens.append(numbers)
            self._lengths.append(len(numbers))
        for starts, column in zip(self._starts, (self._texts, self._tokens), strict=True):
            starts.append(len(column))
        return len(self._starts[0]) - 2

    def columns(self) -> EntryColumns:
        """The columns of all entries put so far."""
        return EntryColumns(
            *(lambda start, end: self._texts.read(start, end).tobytes(), self._tokens.read),
            *self._starts,
            lengths=np.array(self._lengths, np.int64).reshape(-1, N_FIELDS),
            vectors=self._vectors.read().reshape(-1, self._dimensions),
        )


@dataclass(slots=True)
class SpilledEntry:
    """One entry of a kind: `entry` is what is served of it, `described` (if not None) the terms of
    its description where other files add to it, and `vector` the vector that goes with them."""

    card: Card
    origin: int
    place: int
    entry: bytes
    labels: tuple[str, ...]
    described: array[int] | None = None
    vector: bytes = b""


def stretches(rows: Sequence[SpilledEntry]) -> Iterator[tuple[int, int, int]]:
    """Ranges of rows that are adjacent in one origin, as (origin, first place, last place + 1)."""
    first = 0
    for at in range(1, len(rows) + 1):
        before = rows[at - 1]
        if at < len(rows) and at - first < STRETCH and _are_adjacent(before, rows[at]):
            continue
        yield before.origin, rows[first].place, before.place + 1
        first = at


def _are_adjacent(one: SpilledEntry, other: SpilledEntry) -> bool:
    return other.origin == one.origin and other.place == one.place + 1
