"""Does every name have an address of its own, and does the address lead back?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.records import KINDS, Kind
from orchestr8_index.serve.mcp.addresses import address, entry_at, kind_of_template, template

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(st.sampled_from(KINDS), names, names)
def test_an_address_leads_back(kind: Kind, plugin: str, name: str) -> None:
    uri = address(kind, plugin, name)
    assert entry_at(uri) == (kind, plugin, name)
    assert uri.isascii() and uri.count("/") == 4


@pytest.mark.parametrize(
    "uri",
    ["", "orchestr8://", "orchestr8://agents/p", "orchestr8://agents/p/n/x", "orchestr8://x/p/n"]
    + ["file:///etc/passwd", "orchestr8:/agents/p/n", "skill://p/n/SKILL.md"],
)
def test_another_address_is_none_of_an_entry(uri: str) -> None:
    assert entry_at(uri) is None


def test_a_template_names_its_kind() -> None:
    assert [kind_of_template(template(kind)) for kind in KINDS] == list(KINDS)
    assert kind_of_template("orchestr8://moons/{plugin}/{name}") is None
