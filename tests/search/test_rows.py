"""How much does an entry show? Short, or everything on request."""

from __future__ import annotations

import json

import msgspec
import pytest

from orchestr8_index.queries import Choice
from orchestr8_index.records import Entry, Kind
from orchestr8_index.search.rows import SHORT_DESCRIPTION, row_of

LONG = "word " * 60
SHORT, FULL = Choice(), Choice(detail="full")


def entry(kind: Kind, **more: object) -> Entry:
    many = tuple(f"n{number}" for number in range(9))
    base = Entry(kind, "p", "a", "a", LONG, 0, "agents/a.md", "0123", "opus", "data", many)
    return msgspec.structs.replace(base, **more)


def said(row: object) -> dict[str, object]:
    read: dict[str, object] = json.loads(msgspec.json.encode(row))
    return read


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("agent", {"name", "description", "plugin", "score", "model", "capabilities"}),
        ("skill", {"name", "description", "plugin", "score", "category", "keywords"}),
        (
            "workflow",
            {"name", "call", "description", "plugin", "score", "arguments", "steps", "agents"},
        ),
    ],
)
def test_a_short_row_has_the_fields_of_its_kind(kind: Kind, fields: set[str]) -> None:
    row = row_of(
        entry(kind, arguments="[x]", steps=("Go",), agents=("b",), tags=("t",)), 0.5, SHORT
    )
    assert said(row).keys() == fields


def test_a_short_row_is_short() -> None:
    row = row_of(entry("workflow", arguments=LONG, steps=(LONG,) * 9), 0.5, SHORT)
    assert len(row.description) <= SHORT_DESCRIPTION
    assert len(row.arguments) <= 100
    assert len(row.steps) == 5 and max(map(len, row.steps)) <= 40


def test_a_full_row_keeps_everything() -> None:
    row = row_of(entry("workflow", arguments=LONG, steps=(LONG,) * 9, tools=("Read",)), 0.5, FULL)
    assert (row.description, row.arguments, row.steps) == (LONG, LONG, [LONG] * 9)
    assert (row.path, row.digest, row.tools, row.model) == ("agents/a.md", "0123", ["Read"], "opus")
    assert len(row.tags) == 0 and row.category == "data"


def test_an_agent_shows_its_capabilities_even_if_it_has_none() -> None:
    assert said(row_of(entry("agent", capabilities=(), model=""), 0.5, SHORT)).keys() == {
        "name",
        "description",
        "plugin",
        "score",
        "capabilities",
    }


def test_a_skill_without_keywords_shows_its_tags() -> None:
    assert row_of(entry("skill", tags=("t",)), 0.5, SHORT).keywords == ["t"]
    assert row_of(entry("skill", keywords=("k",), tags=("t",)), 0.5, SHORT).keywords == ["k"]


def test_scores_have_four_digits() -> None:
    assert row_of(entry("agent"), 1 / 3, SHORT).score == 0.3333
