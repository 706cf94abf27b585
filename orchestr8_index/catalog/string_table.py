"""Where does a string stand among many? Sorted in a mapped file and searched by bisection.

Nothing is decoded but what is looked at: a hundred thousand names cost the server no memory.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise

from ..memo import keep
from .sections import Sections

MOST_BYTES = 4  # of one character in UTF-8
MOST_HEADS = 256
STRIDE, MOST_KEPT = 8, 1_024


def shape(text: str) -> tuple[int, int]:
    """How many spaces and colons it has."""
    return text.count(" "), text.count(":")


class SortedBytes:
    """Sorted byte strings in a mapped file. Some are kept, so that a bisection looks at the few
    between two of them alone: 2 µs instead of 7 among 5,000."""

    def __init__(self, of: memoryview[int], starts: memoryview[int]) -> None:
        self._of, self._starts = of, starts
        self.size = len(starts) - 1
        self._stride = max(STRIDE, self.size // MOST_KEPT)

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
        """None where it is not there."""
        wanted = text.encode("utf-8", "replace")
        place = self.bisect(wanted)
        return place if place < self.size and self.at(place) == wanted else None


class Strings(Mapping[str, int]):
    """Sorted strings with their positions. `name` is that of the sections."""

    def __init__(self, sections: Sections, name: str) -> None:
        self._sections, self._name = sections, name
        starts = sections.mapped(f"{name}_starts", "Q")
        self._sorted = SortedBytes(sections.mapped(name, "B"), starts)
        self._size, self.find = self._sorted.size, self._sorted.find
        self._shapes: dict[str, set[tuple[int, int]]] = {}

    def shapes(self, head: str) -> set[tuple[int, int]]:
        """Those of the strings that begin so; of the last MOST_HEADS heads they are remembered."""
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
        """Those with the first letter of `text` and a length that so few edits may give.

        They are read, not mapped: so much is looked at that it would stay in memory.
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
        """None at all where it is not there: `get` would raise and catch."""
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
