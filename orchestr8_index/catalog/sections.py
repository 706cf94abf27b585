"""A file of named sections, listed in a table: arrays and sorted strings, written and read.

A section that is searched is mapped; one with few, scattered reads is read with `pread`, so that
it never counts as the server's memory.
"""

from __future__ import annotations

import mmap
import os
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, overload

from ..errors import SnapshotUnreadable
from ..memo import keep
from ..opening import open_plain

Typecode = Literal["B", "b", "H", "I", "Q"]
Floats = Literal["f", "d"]
Table = dict[str, tuple[int, int]]
_ALIGN = 8
STRIDE, MOST_KEPT = 512, 8192
SMALL, LARGE = 1 << 18, 1 << 26  # bytes
HAS_PREAD = hasattr(os, "pread")  # Windows has not


def write_sections(path: Path, sections: Mapping[str, Any]) -> Table:
    """`sections`: name → a bytes-like value, or an object with `parts()` of such. Returns name →
    (offset, length in bytes)."""
    table: Table = {}
    with open(path, "xb") as file:
        for name, value in sections.items():
            start = file.tell()
            for part in value.parts() if hasattr(value, "parts") else (value,):
                file.write(memoryview(part).cast("B") if len(part) else b"")
            table[name] = (start, file.tell() - start)
            file.write(b"\0" * (-file.tell() % _ALIGN))
        file.write(b"\0" * _ALIGN)  # a mapping must not be empty
        file.flush()
        os.fsync(file.fileno())
    return table


class StoredColumn:
    """A section's numbers, each read with `pread`: scattered reads of a mapping would fill the
    memory with pages."""

    def __init__(self, sections: Sections, name: str, typecode: Typecode) -> None:
        self._sections, self._name, self._width = sections, name, array(typecode).itemsize

    def __getitem__(self, at: int) -> int:
        width = self._width
        return int.from_bytes(self._sections.read(self._name, at * width, width), sys.byteorder)


class SortedKeys:
    """Sorted unsigned 64-bit numbers. A sparse index has every STRIDE-th; ranges are read."""

    def __init__(self, sections: Sections, name: str) -> None:
        self._sections, self._name = sections, name
        self._size = sections.size(name) // 8
        self._stride = max(STRIDE, self._size // MOST_KEPT)
        self._mapped = sections.mapped(name, "Q") if sections.is_small(name) else None
        column, every = sections.column(name, "Q"), range(0, self._size, self._stride)
        self._kept = array("Q", (column[at] for at in every if self._mapped is None))

    def find(self, key: int) -> int | None:
        """The position of the key; None without it."""
        if (mapped := self._mapped) is not None:
            at = bisect_left(mapped, key)
            return at if at < self._size and mapped[at] == key else None
        first = (bisect_right(self._kept, key) - 1) * self._stride
        if first < 0:
            return None
        length = min(self._stride, self._size - first)
        stretch = array("Q", self._sections.read(self._name, first * 8, length * 8))
        at = bisect_left(stretch, key)
        return first + at if at < length and stretch[at] == key else None


class Sections:
    """A sections file opened for reading. Close it, or let the last reference do so.

    `bound`: the bytes of a section that may stay in memory whole, as mapped pages do once they are
    read.
    """

    bound = SMALL

    def __init__(self, path: Path, table: Table) -> None:
        try:
            self._fd = open_plain(path, os.O_RDONLY)
        except OSError as error:
            raise SnapshotUnreadable(f"The snapshot lacks {path.name}: {error.strerror}.") from None
        status = os.fstat(self._fd)
        self.identity, size = (status.st_dev, status.st_ino), status.st_size
        if any(offset + length > size for offset, length in table.values()):
            self.close()
            raise SnapshotUnreadable(f"The snapshot's {path.name} is truncated.")
        self._table = table
        self._map = mmap.mmap(self._fd, 0, access=mmap.ACCESS_READ)

    @overload
    def mapped(self, name: str, typecode: Typecode) -> memoryview[int]: ...

    @overload
    def mapped(self, name: str, typecode: Floats) -> memoryview[float]: ...

    def mapped(self, name: str, typecode: Any) -> Any:
        offset, length = self._table[name]
        return memoryview(self._map)[offset : offset + length].cast(typecode)

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        offset, whole = self._table[name]
        wanted = whole if length is None else length
        if not HAS_PREAD:
            return self._map[offset + start : offset + start + wanted]
        found = os.pread(self._fd, wanted, offset + start)
        if len(found) < wanted:
            raise SnapshotUnreadable("The snapshot was truncated while it was open.")
        return found

    def size(self, name: str) -> int:
        """The section's size in bytes."""
        return self._table[name][1]

    def is_small(self, name: str) -> bool:
        """Whether the section may stay in memory whole."""
        return self._table[name][1] <= self.bound

    def column(self, name: str, typecode: Typecode) -> StoredColumn:
        return StoredColumn(self, name, typecode)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()


# --- sorted strings -----------------------------------------------------------------------------
#
# Strings are decoded one by one when they are read: 100,000 names cost the server no memory.

MOST_BYTES = 4  # of one character in UTF-8
MOST_HEADS = 256
STRING_STRIDE, MOST_STRINGS = 8, 1_024


def shape(text: str) -> tuple[int, int]:
    """(number of spaces, number of colons)"""
    return text.count(" "), text.count(":")


class SortedBytes:
    """Sorted byte strings in a mapped file. A sparse index in memory narrows each bisection: 2 µs
    instead of 7 among 5,000."""

    def __init__(self, of: memoryview[int], starts: memoryview[int]) -> None:
        self._of, self._starts = of, starts
        self.size = len(starts) - 1
        self._stride = max(STRING_STRIDE, self.size // MOST_STRINGS)

    def at(self, place: int) -> bytes:
        return bytes(self._of[self._starts[place] : self._starts[place + 1]])

    def all(self) -> list[bytes]:
        whole = bytes(self._of)
        return [whole[start:end] for start, end in pairwise(self._starts)]

    @cached_property
    def _kept(self) -> list[bytes]:
        return [self.at(place) for place in range(0, self.size, self._stride)]

    def bisect(self, wanted: bytes) -> int:
        """The position of the first string that is not before `wanted`."""
        of, starts = self._of, self._starts
        low = max(0, bisect_right(self._kept, wanted) - 1) * self._stride
        high = min(self.size, low + self._stride)
        while low < high:
            middle = (low + high) // 2
            if bytes(of[starts[middle] : starts[middle + 1]]) < wanted:
                low = middle + 1
            else:
                high = middle
        return low

    def find(self, text: str) -> int | None:
        """The position of the string; None without it."""
        wanted = text.encode("utf-8", "replace")
        place = self.bisect(wanted)
        return place if place < self.size and self.at(place) == wanted else None


class Strings(Mapping[str, int]):
    """Sorted strings, as a mapping to their positions. `name` is that of the sections."""

    def __init__(self, sections: Sections, name: str) -> None:
        self._sections, self._name = sections, name
        starts = sections.mapped(f"{name}_starts", "Q")
        self._sorted = SortedBytes(sections.mapped(name, "B"), starts)
        self._size, self.find = self._sorted.size, self._sorted.find
        self._shapes: dict[str, set[tuple[int, int]]] = {}

    def shapes(self, head: str) -> set[tuple[int, int]]:
        """The shapes of the strings that begin with `head`; cached for MOST_HEADS heads."""
        if (known := self._shapes.get(head)) is not None:
            return known
        found = set(map(shape, map(self.at, self.beginning(head))))
        return keep(self._shapes, MOST_HEADS, head, found)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[str]:
        return map(self.at, range(self._size))

    def __getitem__(self, text: str) -> int:
        place = self.find(text)
        if place is None:
            raise KeyError(text)
        return place

    def at(self, place: int) -> str:
        return self._sorted.at(place).decode()

    def bisect(self, text: str) -> int:
        """The position of the first string that is not before `text`."""
        return self._sorted.bisect(text.encode("utf-8", "replace"))

    def beginning(self, head: str) -> range:
        """The positions of the strings that begin with `head`."""
        if not head:
            return range(self._size)
        return range(self.bisect(head), self.bisect(head[:-1] + chr(ord(head[-1]) + 1)))

    def alike(self, text: str, edits: int) -> list[str]:
        """The strings with the first letter of `text` and a length that so few edits may give.

        They are read, not mapped: that many pages of a mapping would stay in memory.
        """
        found, size = self.beginning(text[:1]), len(text.encode())
        starts = array("Q")
        starts.frombytes(
            self._sections.read(f"{self._name}_starts", found.start * 8, (len(found) + 1) * 8)
        )
        zero = starts[0]
        whole = self._sections.read(self._name, zero, starts[-1] - zero)
        least = size - edits * (1 if text.isascii() else MOST_BYTES)
        most = size + edits * MOST_BYTES
        return [
            whole[start - zero : end - zero].decode()
            for start, end in pairwise(starts)
            if least <= end - start <= most
        ]


class Places(Mapping[str, list[int]]):
    """Sorted strings, each with the entries that have it, in the order of their positions."""

    def __init__(self, sections: Sections, name: str) -> None:
        self.strings = Strings(sections, name)
        self._runs = sections.mapped(f"{name}_runs", "Q")
        self._places = sections.mapped(f"{name}_places", "I")

    def __len__(self) -> int:
        return len(self.strings)

    def __iter__(self) -> Iterator[str]:
        return iter(self.strings)

    def __getitem__(self, key: str) -> list[int]:
        return self._at(self.strings[key])

    def find(self, key: str) -> list[int]:
        """The entries of a key; none without it. Faster than `get`, which raises and catches."""
        at = self.strings.find(key)
        return [] if at is None else self._at(at)

    def _at(self, at: int) -> list[int]:
        return self._places[self._runs[at] : self._runs[at + 1]].tolist()


def strings_sections(name: str, sorted_strings: Iterable[bytes]) -> dict[str, object]:
    """The sections of a table of sorted strings: their bytes, and where each starts."""
    parts = list(sorted_strings)
    return {name: b"".join(parts), f"{name}_starts": starts_of(parts)}


def places_sections(name: str, places: Mapping[str, Sequence[int]]) -> dict[str, object]:
    """The sections of a sorted table from names to the places of entries."""
    keys = sorted(places)
    flat = array("I")
    for key in keys:
        flat.extend(places[key])
    return {
        **strings_sections(name, (key.encode() for key in keys)),
        f"{name}_runs": starts_of([places[key] for key in keys]),
        f"{name}_places": flat,
    }


def starts_of(parts: Iterable[Sequence[object]]) -> array[int]:
    """Where each part begins when they are joined, and where the last one ends."""
    starts = array("Q", [0])
    for part in parts:
        starts.append(starts[-1] + len(part))
    return starts
