"""How do arrays become one file and back? Named sections, 8-byte aligned, listed in a table.

A section that is searched is mapped; a section that is only read here and there is read with
`pread`, so that it never counts as the server's memory.
"""

from __future__ import annotations

import mmap
import os
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, overload

from ..errors import SnapshotUnreadable
from ..opening import open_plain

Typecode = Literal["B", "b", "H", "I", "Q"]
Floats = Literal["f", "d"]
Table = dict[str, tuple[int, int]]
_ALIGN = 8
STRIDE, MOST_KEPT = 512, 8192
SMALL, LARGE = 1 << 18, 1 << 26  # bytes
HAS_PREAD = hasattr(os, "pread")  # Windows has not


def write_sections(path: Path, sections: Mapping[str, Any]) -> Table:
    """`sections` maps names to bytes-like values, or to what gives them in `parts()`; returns
    name → (offset, bytes)."""
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
    """Numbers of a section that are read one by one: looked at here and there, they would fill the
    memory with pages if they were mapped."""

    def __init__(self, sections: Sections, name: str, typecode: Typecode) -> None:
        self._sections, self._name, self._width = sections, name, array(typecode).itemsize

    def __getitem__(self, at: int) -> int:
        width = self._width
        return int.from_bytes(self._sections.read(self._name, at * width, width), sys.byteorder)


class SortedKeys:
    """Sorted unsigned 64-bit numbers: every STRIDE-th is kept, the stretch between two is read."""

    def __init__(self, sections: Sections, name: str) -> None:
        self._sections, self._name = sections, name
        self._size = sections.size(name) // 8
        self._stride = max(STRIDE, self._size // MOST_KEPT)
        self._mapped = sections.mapped(name, "Q") if sections.is_small(name) else None
        column, every = sections.column(name, "Q"), range(0, self._size, self._stride)
        self._kept = array("Q", (column[at] for at in every if self._mapped is None))

    def find(self, key: int) -> int | None:
        """Its position; None when it is not there."""
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

    `bound`: the bytes of a section that may stay in memory whole, as what is mapped does once it
    was read.
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
        """In bytes."""
        return self._table[name][1]

    def is_small(self, name: str) -> bool:
        """Whether it may stay in memory whole."""
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
