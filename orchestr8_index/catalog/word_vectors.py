"""Word vectors and frequencies of words, learnt from open texts and shipped with the package.

`words.vec` is trained by scripts/train-vectors and ships with the package. It is a sections file
with its table at the end: stems in order, for each a direction and a length, and how open texts use
it. The sum of a text's vectors (length times direction) points where a sentence encoder would put
the text. Stems are found by bisection in the mapped file and vectors read with `pread`, so that the
file is never loaded as a whole. words.notice.md names the texts and the encoders.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from ..errors import SnapshotUnreadable
from ..memo import Memo
from ..text import usual_stem
from .sections import Sections, SortedBytes, Table

SHIPPED = Path(__file__).with_name("words.vec")
UNIT = 400  # a direction's length in its 8-bit form
LENGTH_UNIT = 1024  # a word's length of 1 as it is stored
VERSION = 2
NAMES = ("words", "word_starts", "share", "naming", "lengths", "vectors")
LENGTH = 8  # bytes at the end of the file: the length of the info before them
REMEMBERED = 1_024  # cached places of words
SPREAD = 512  # cached vectors, as long integers of 1.2 KB each
LANE, BIAS = 4, 128
_BIASED = bytes((byte + BIAS) % 256 for byte in range(256))


class WordsInfo(Struct, frozen=True):
    """`digest` is that of the sections: vectors of different files must not be compared."""

    digest: str
    size: int
    dimensions: int
    table: Table
    version: int = VERSION


class Words:
    """Opened for reading. For word i: `share` of the texts that have it, `naming` relative to the
    average word (how often a text that has it has it in its name), `lengths`: how much of a text's
    meaning it carries, in units of 1/LENGTH_UNIT."""

    def __init__(self, path: Path = SHIPPED) -> None:
        info = _read_info(path)
        self._sections = Sections(path, info.table)
        self.digest, self.size, self.dimensions = info.digest, info.size, info.dimensions
        mapped = self._sections.mapped
        self._sorted = SortedBytes(mapped("words", "B"), mapped("word_starts", "I"))
        self._found = Memo[str, int | None](REMEMBERED, self._place_of)
        of_row = partial(_spread, self._sections, self.dimensions)
        self.spread = Memo[int, int](SPREAD, of_row)
        self.share: memoryview[float] = self._sections.mapped("share", "f")
        self.naming: memoryview[float] = self._sections.mapped("naming", "f")
        self.lengths: memoryview[int] = self._sections.mapped("lengths", "H")

    def find(self, word: str) -> int | None:
        """The word's place; the latest REMEMBERED are cached."""
        return self._found[word]

    def _place_of(self, word: str) -> int | None:
        return self._sorted.find(usual_stem(word))

    def habits(self, place: int | None) -> tuple[float, float]:
        """(share, naming); (0, 1) of an unknown word."""
        return (0.0, 1.0) if place is None else (self.share[place], self.naming[place])

    def vector(self, place: int) -> bytes:
        """The word's direction: signed bytes, of length about UNIT."""
        return self._sections.read("vectors", place * self.dimensions, self.dimensions)

    def every_word(self) -> list[str]:
        """All words by place, to embed a whole catalogue."""
        return [word.decode() for word in self._sorted.all()]

    def every_vector(self) -> bytes:
        return self._sections.read("vectors")


def _spread(sections: Sections, size: int, place: int) -> int:
    row = sections.read("vectors", place * size, size)
    spread = bytearray(size * LANE)
    spread[::LANE] = row.translate(_BIASED)
    return int.from_bytes(spread, "little")


def _read_info(path: Path) -> WordsInfo:
    """Raises SnapshotUnreadable when the file is missing or is no such file."""
    try:
        with open(path, "rb") as file:
            file.seek(-LENGTH, 2)
            length = int.from_bytes(file.read(LENGTH), "big")
            file.seek(-LENGTH - length, 2)
            info = msgspec.msgpack.decode(file.read(length), type=WordsInfo)
    except (OSError, msgspec.DecodeError) as error:
        raise SnapshotUnreadable(f"The word vectors cannot be read: {error}.") from None
    if info.version != VERSION:
        raise SnapshotUnreadable("The word vectors are of another version.")
    return info
