"""What does one entry say, within a budget?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.index import Index
from orchestr8_index.errors import InvalidParams
from orchestr8_index.queries import EntryQuery
from orchestr8_index.search.excerpt import cut_to, get_entry
from orchestr8_index.tokens import estimate_tokens


def query(name: str = "postgres-tuner", max_tokens: int | None = None) -> EntryQuery:
    return EntryQuery(kind="agent", plugin="build-and-ship", name=name, max_tokens=max_tokens)


def test_an_entry_is_given_whole(shipped_index: Index) -> None:
    found = get_entry(shipped_index, query())
    assert (found.kind, found.plugin, found.name) == ("agent", "build-and-ship", "postgres-tuner")
    assert not found.truncated
    assert found.tokens == estimate_tokens(found.text) > 100


def test_an_entry_is_cut_to_a_budget(shipped_index: Index) -> None:
    whole, found = get_entry(shipped_index, query()), get_entry(shipped_index, query(max_tokens=50))
    assert found.truncated and 0 < found.tokens <= 50
    assert whole.text.startswith(found.text)


def test_an_unknown_entry_names_those_meant(shipped_index: Index) -> None:
    with pytest.raises(InvalidParams) as refused:
        get_entry(shipped_index, query("postgres-tunner"))
    assert "did you mean build-and-ship:postgres-tuner" in refused.value.problems["name"]


def test_an_entry_like_nothing_names_none(shipped_index: Index) -> None:
    with pytest.raises(InvalidParams) as refused:
        get_entry(shipped_index, query("qqqq"))
    assert refused.value.problems == {"name": "there is no agent build-and-ship:qqqq"}


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("intro text here\n# Next heading\nmore and more text", "intro text here"),
        ("intro text here\n\nnext paragraph goes on and on", "intro text here"),
        ("intro text here\nnext line that goes on and on", "intro text here"),
        ("introtexthere" * 9, "introtextherei" + "ntrotextherein"[:6]),
    ],
)
def test_a_cut_falls_at_the_largest_break(text: str, cut: str) -> None:
    assert cut_to(text, 5) == cut


@given(st.text(alphabet="ab \n#数"), st.integers(1, 30))
def test_a_cut_keeps_its_budget(text: str, budget: int) -> None:
    short = cut_to(text, budget)
    assert estimate_tokens(short) <= budget
    assert text.startswith(short)
