"""Compares a vector with those of all entries at once, exactly: everything is an integer."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, cast

import simsimd


class Table:
    """The vectors of all entries as rows of signed bytes, `dimensions` of them for each entry.

    They are compared with arrays of as many signed bytes.
    """

    def __init__(self, rows: memoryview[int], dimensions: int) -> None:
        self._rows, self._dimensions = rows.cast("B"), dimensions

    def products(self, vector: array[int]) -> list[int]:
        """The scalar product with each entry's vector."""
        return self._products(vector, self._rows)

    def products_of(self, vector: array[int], places: Sequence[int]) -> list[int]:
        """Those of the entries at `places` alone."""
        size = self._dimensions
        rows = [self._rows[place * size : (place + 1) * size] for place in places]
        return self._products(vector, memoryview(b"".join(rows)))

    def _products(self, vector: array[int], rows: memoryview[int]) -> list[int]:
        size = self._dimensions
        if not rows:
            return []
        one = memoryview(vector).cast("B").cast("b", (1, size))
        found: Any = simsimd.cdist(one, rows.cast("b", (len(rows) // size, size)), "dot")
        return list(map(int, cast(list[list[float]], memoryview(found).tolist())[0]))
