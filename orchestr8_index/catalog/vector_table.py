"""Compares a vector with those of all entries at once, exactly: everything is an integer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import simsimd


class Table:
    """The vectors of all entries as rows of signed bytes, `dimensions` of them for each entry.

    They are compared with as many signed bytes.
    """

    def __init__(self, rows: memoryview[int], dimensions: int) -> None:
        self._rows, self._dimensions = rows.cast("B"), dimensions
        self._all = self._shaped(self._rows)

    def products(self, vector: bytes) -> list[int]:
        """The scalar product with each entry's vector."""
        return self._products(vector, self._all)

    def products_of(self, vector: bytes, places: Sequence[int]) -> list[int]:
        """Those of the entries at `places` alone."""
        size = self._dimensions
        rows = [self._rows[place * size : (place + 1) * size] for place in places]
        return self._products(vector, self._shaped(memoryview(b"".join(rows))))

    def _shaped(self, rows: memoryview[int]) -> memoryview[int] | None:
        shape = len(rows) // self._dimensions, self._dimensions
        return rows.cast("b", shape) if rows else None

    def _products(self, vector: bytes, rows: memoryview[int] | None) -> list[int]:
        if rows is None:
            return []
        one = memoryview(vector).cast("b", (1, self._dimensions))
        found: Any = simsimd.cdist(one, rows, "dot", out_dtype="int32")  # type: ignore[arg-type]
        return memoryview(found).tolist()[0]  # type: ignore[return-value]
