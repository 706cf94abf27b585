"""A vector is compared with those of all entries, exactly."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.vector_table import Table

SIZES = st.integers(1, 230)
BYTE = st.integers(-128, 127)


@given(SIZES, st.data())
def test_the_table_gives_the_scalar_products(size: int, data: st.DataObject) -> None:
    row = st.lists(BYTE, min_size=size, max_size=size) | st.sampled_from((-128, 127)).map(
        lambda value: [value] * size
    )
    rows, vector = data.draw(st.lists(row, min_size=1, max_size=5)), data.draw(row)
    wanted = [sum(a * b for a, b in zip(vector, each, strict=True)) for each in rows]
    table = Table(memoryview(array("b", [value for each in rows for value in each])), size)
    assert table.products(array("b", vector).tobytes()) == wanted
    places = list(range(len(rows)))[::-2]
    assert table.products_of(array("b", vector).tobytes(), places) == [
        wanted[place] for place in places
    ]


def test_nothing_is_compared_with_nothing() -> None:
    table = Table(memoryview(array("b")), 3)
    assert table.products(bytes(3)) == []
