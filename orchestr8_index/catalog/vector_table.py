"""Exact dot products of a vector with those of all entries at once, in integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import simsimd


class Table:
    """The vectors of all entries as rows of signed bytes, `dimensions` of them for each entry.

    They are multiplied with as many signed bytes. numpy selects rows ten times as fast.
    """

    def __init__(self, rows: memoryview[int], dimensions: int, uses_numpy: bool = False) -> None:
        self._rows, self._dimensions = rows.cast("B"), dimensions
        self._all = self._shaped(self._rows)
        self._uses_numpy = uses_numpy

    def products(self, vector: bytes) -> list[int]:
        """The dot product with each entry's vector."""
        return self._products(vector, self._all)

    def products_of(self, vector: bytes, places: Sequence[int]) -> list[int]:
        """The dot products with the entries at `places` alone."""
        return self._products(vector, self._picked(places))

    def _picked(self, places: Sequence[int]) -> memoryview[int] | None:
        if self._uses_numpy:
            import numpy as np

            table: Any = np.frombuffer(self._rows, np.int8).reshape(-1, self._dimensions)
            return memoryview(table[places]) if places else None
        size = self._dimensions
        rows = [self._rows[place * size : (place + 1) * size] for place in places]
        return self._shaped(memoryview(b"".join(rows)))

    def _shaped(self, rows: memoryview[int]) -> memoryview[int] | None:
        shape = len(rows) // self._dimensions, self._dimensions
        return rows.cast("b", shape) if rows else None

    def _products(self, vector: bytes, rows: memoryview[int] | None) -> list[int]:
        if rows is None:
            return []
        one = memoryview(vector).cast("b", (1, self._dimensions))
        found: Any = simsimd.cdist(one, rows, "dot", out_dtype="int32")  # type: ignore[arg-type]
        return memoryview(found).tolist()[0]  # type: ignore[return-value]
