"""Does a walk through the pages meet every entry once, whatever happens between them?"""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.exceptions import MCPError

from orchestr8_index.catalog.index import Index
from orchestr8_index.records import KINDS
from orchestr8_index.serve.mcp.addresses import page

from ...drawn import COSTLY
from ...trees import agent
from .meeting import MakeIndex


def walk(index: Index, size: int) -> list[str]:
    found, cursor = [], None
    while True:
        entries, cursor = page(index, KINDS, cursor, size)
        assert 0 < len(entries) <= size
        found += [f"{entry.kind} {entry.qualified}" for entry in entries]
        if cursor is None:
            return found


@given(size=st.integers(1, 45))
@COSTLY
def test_every_entry_is_met_once(shipped_index: Index, size: int) -> None:
    found = walk(shipped_index, size)
    assert len(found) == len(set(found)) == 40
    assert found == walk(shipped_index, 40)


def test_a_page_that_just_fits_is_the_last(shipped_index: Index) -> None:
    assert page(shipped_index, ["skill"], None, 8).cursor is None


def test_what_comes_between_two_pages_shifts_nothing(make_index: MakeIndex) -> None:
    files = {f"agents/{name}.md": agent(name) for name in "bdf"}
    first = page(make_index(files), ["agent"], None, 2)
    changed = {f"agents/{name}.md": agent(name) for name in "abcf"}
    (entry,) = page(make_index(changed), ["agent"], first.cursor, 2).entries
    assert entry.name == "f"


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "é", "AAAA", base64.urlsafe_b64encode(b'["moon","a"]').decode(), "7" * 9999]
    + [base64.urlsafe_b64encode(b'["agent","a"]').decode()],
)
def test_a_foreign_cursor_is_refused(shipped_index: Index, cursor: str) -> None:
    with pytest.raises(MCPError) as caught:
        page(shipped_index, ["skill"], cursor)
    assert caught.value.code == -32602
