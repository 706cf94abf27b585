"""Compares a vector with those of all entries, by plain Python or by numpy, with one result.

Everything is an integer, so that both agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul
from typing import Any, Protocol

_WIDE, _BIAS = 3, 128  # bytes a lane: 255·254·258 dimensions fit
MOST_DIMENSIONS = (1 << 8 * _WIDE) // (255 * 254)
_BIASED = bytes((byte + _BIAS) % 256 for byte in range(256))


class Table(Protocol):
    """The vectors of all entries; vectors are lists of integers in -127 to 127."""

    def products(self, vector: Sequence[int]) -> list[int]:
        """The scalar product with each entry's vector."""

    def products_of(self, vector: Sequence[int], places: Sequence[int]) -> list[int]:
        """Those of the entries at `places` alone."""


def open_table(rows: memoryview[int], dimensions: int, with_numpy: bool) -> Table:
    """`rows` are signed bytes, `dimensions` of them for each entry."""
    return (NumpyTable if with_numpy else PlainTable)(rows, dimensions)


class PlainTable:
    """The table turned into one integer for each dimension, an entry's component in each lane of
    24 bits: a product with all entries at once is a few hundred multiplications of integers."""

    def __init__(self, rows: memoryview[int], dimensions: int) -> None:
        self._rows, self._dimensions = rows, dimensions
        raw = bytes(rows).translate(_BIASED)
        self._sums = [sum(raw[at : at + dimensions]) for at in range(0, len(raw), dimensions)]
        self._columns = [_spread(raw[at::dimensions]) for at in range(dimensions)]

    def products(self, vector: Sequence[int]) -> list[int]:
        """Σ (v+127)·(r+128) is added up, as lanes cannot hold what is below 0; what that is too
        much is taken off again."""
        whole = sum(
            (value + 127) * column for value, column in zip(vector, self._columns, strict=True)
        )
        end = len(self._sums) * _WIDE
        raw, shift = whole.to_bytes(end, "little"), _BIAS * sum(vector)
        lanes = zip(raw[0::_WIDE], raw[1::_WIDE], raw[2::_WIDE], self._sums, strict=True)
        return [(a | b << 8 | c << 16) - 127 * total - shift for a, b, c, total in lanes]

    def products_of(self, vector: Sequence[int], places: Sequence[int]) -> list[int]:
        size = self._dimensions
        rows = (self._rows[place * size : (place + 1) * size] for place in places)
        return [sum(map(mul, vector, row)) for row in rows]


def _spread(column: bytes) -> int:
    lanes = bytearray(len(column) * _WIDE)
    lanes[::_WIDE] = column
    return int.from_bytes(lanes, "little")


class NumpyTable:
    """The same; products stay below 2**24, where single precision is exact."""

    def __init__(self, rows: memoryview[int], dimensions: int) -> None:
        import numpy as np

        self._rows = np.frombuffer(rows, np.int8).reshape(-1, dimensions)
        self._floats: Any = None

    def products(self, vector: Sequence[int]) -> list[int]:
        import numpy as np

        if self._floats is None:
            self._floats = self._rows.astype(np.float32)
        products: list[int] = (
            (self._floats @ np.array(vector, np.float32)).astype(np.int64).tolist()
        )
        return products

    def products_of(self, vector: Sequence[int], places: Sequence[int]) -> list[int]:
        import numpy as np

        rows = self._rows[np.array(places, np.intp)].astype(np.int64)
        products: list[int] = (rows @ np.array(vector, np.int64)).tolist()
        return products
