"""Who comes into question beside the text's ranking? Names, roles and labels."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.records import ResolvedRole, Role
from orchestr8_index.search.candidates import (
    EXACT_LABEL,
    NEAR_LABEL,
    Points,
    by_label,
    by_name,
    by_near_name,
    by_role,
    role_points,
)
from orchestr8_index.text import Terms

from ..trees import Files, agent

FILES = {
    "agents/reviewer.md": "---\nname: Code Judge\ncapabilities: [code review, tests]\n---\nx",
    "agents/tester.md": "---\nname: tester\ntags: [Tests]\ncategory: quality\n---\nx",
    "agent-registry.yml": "roles:\n  Code_Owner: {primary: tester}\n",
}


@pytest.fixture
def index(make_index: Callable[[Files], Index]) -> Index:
    return make_index(FILES)


def test_points_are_summed_and_ties_go_by_position() -> None:
    points = Points()
    for place, score in [(3, 0.5), (1, 0.5), (2, 0.25), (2, 0.5)]:
        points.give(place, score, "for a reason" if place == 3 else "")
    assert points.ranked() == [2, 1, 3]
    assert points.why == {3: ["for a reason"]}


@pytest.mark.parametrize("label", ["tests", "TESTS"])
def test_an_exact_label_counts_whole(index: Index, label: str) -> None:
    points = Points()
    assert by_label(points, index.segments["agent"], label)
    assert points.scores == {0: EXACT_LABEL, 1: EXACT_LABEL}


def test_a_category_is_a_label(index: Index) -> None:
    points = Points()
    assert by_label(points, index.segments["agent"], "quality")


def test_a_label_spelt_alike_counts_less(index: Index) -> None:
    points = Points()
    assert not by_label(points, index.segments["agent"], "code-reviews")
    assert 0 < points.scores[0] < NEAR_LABEL
    assert points.why[0] == ["has the capability 'code review'"]


@pytest.mark.parametrize("label", ["te", "-", "zebra"])
def test_other_labels_count_nothing(index: Index, label: str) -> None:
    points = Points()
    assert not by_label(points, index.segments["agent"], label)
    assert points.scores == {}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("Code Judge", [0]),
        ("code_judge", [0]),
        ("/reviewer", [0]),
        ("tree:tester", [1]),
        ("TREE : Tester", [1]),
        ("other:tester", []),
        ("the tester", []),
        ("", []),
        ("/", []),
        (":", []),
    ],
)
def test_a_whole_name_is_found(index: Index, text: str, places: list[int]) -> None:
    assert by_name(index.segments["agent"], text) == places


def test_a_role_is_found_however_it_is_joined(index: Index) -> None:
    found = by_role(index, "code owner")
    assert found and found.role.name == "Code_Owner"
    assert by_role(index, "nobody") is None


def test_a_roles_agents_score_in_their_order() -> None:
    resolved = ResolvedRole(Role("r", "a"), tuple(range(12)))
    scores = [score for _, score in role_points(resolved)]
    assert scores[:2] == [1.0, 0.9]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] == 0.1


# --- misspelt names ----------------------------------------------------------------------------

NAMED = {
    f"plugins/shop/agents/{name}.md": agent(name, said)
    for name, said in [
        ("security-auditor", "Looks for holes."),
        ("printer", "Prints pages, paints; no painter."),
        ("form-filler", "Fills."),
        ("farm-filler", "Fills."),
        ("sql", "Asks."),
    ]
}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("securty-auditor", "security auditor"),
        ("Secrity_Auditr", "security auditor"),
        ("/securityauditor", ""),  # two words are not one
        ("scurty-auditr", ""),  # three edits
        ("ecurity-auditor", ""),  # another first letter
        ("securty auditor", "security auditor"),
        ("security auditr please", ""),
        ("shop:securty-auditor", "shop:security auditor"),
        ("shop:prnter", "shop:printer"),
        ("prinetr", "printer"),
        ("paints", ""),
        ("pinter", "printer"),
        ("painter", ""),  # a word of the catalogue
        ("firm-filler", ""),  # form or farm?
        ("farm-fillr", "farm filler"),
        ("sqk", ""),  # too short
        ("", ""),
        (":", ""),
        ("the", ""),
    ],
)
def test_a_misspelt_name_is_meant_when_it_can_mean_one(
    make_index: Callable[[Files], Index], text: str, name: str
) -> None:
    segment = make_index(NAMED).segments["agent"]
    found, places = by_near_name(segment, text, Terms())
    assert found == name
    assert [segment.entry(place).stem for place in places] == (
        [name.partition(":")[2].replace(" ", "-") or name.replace(" ", "-")] if name else []
    )
