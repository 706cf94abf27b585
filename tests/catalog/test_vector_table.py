"""A vector is compared with those of all entries alike, with and without numpy."""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.vector_table import MOST_DIMENSIONS, NumpyTable, PlainTable

ROWS = st.integers(1, 9).flatmap(
    lambda size: st.lists(
        st.lists(st.integers(-128, 127), min_size=size, max_size=size), min_size=1, max_size=12
    )
)


@given(ROWS, st.data())
def test_both_tables_give_the_scalar_products(rows: list[list[int]], data: st.DataObject) -> None:
    size = len(rows[0])
    vector = data.draw(st.lists(st.integers(-127, 127), min_size=size, max_size=size))
    raw = memoryview(array("b", [value for row in rows for value in row]))
    wanted = [sum(a * b for a, b in zip(vector, row, strict=True)) for row in rows]
    places = list(range(len(rows)))[::-2]
    for table in (PlainTable(raw, size), NumpyTable(raw, size)):
        assert table.products(vector) == wanted
        assert table.products_of(vector, places) == [wanted[place] for place in places]


@pytest.mark.parametrize("table", [PlainTable, NumpyTable])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_products_fit_their_lanes(table: Any, sign: int) -> None:
    raw = memoryview(array("b", [-128] * MOST_DIMENSIONS + [127] * MOST_DIMENSIONS))
    found = table(raw, MOST_DIMENSIONS).products([127 * sign] * MOST_DIMENSIONS)
    assert found == [-128 * 127 * sign * MOST_DIMENSIONS, 127 * 127 * sign * MOST_DIMENSIONS]
