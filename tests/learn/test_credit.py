"""Who gets the credit, in quarter points?"""

from __future__ import annotations

from typing import Any

import pytest

from orchestr8_index.learn.credit import credits

from .reporting import decision

BOTH = ("p:a", "p:b")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"agents_used": BOTH}, {"p:a": 4, "p:b": 4}),
        ({"agents_used": BOTH, "result": "failure"}, {"p:a": -1, "p:b": -1}),
        ({"agents_used": BOTH, "result": "partial"}, {}),
        ({"agents_used": BOTH, "resolved_by": "p:c"}, {"p:c": 4}),
        ({"agents_used": BOTH, "resolved_by": "p:b", "result": "failure"}, {"p:b": 4}),
        ({"agents_used": BOTH, "resolved_by": "p:b", "result": "partial"}, {"p:b": 4}),
        ({"agents_used": ("p:a", "p:a")}, {"p:a": 4}),
    ],
)
def test_agents_are_credited(given: dict[str, Any], wanted: dict[str, int]) -> None:
    assert {entry: points for _, entry, points in credits(decision(**given))} == wanted


def test_skills_and_workflows_are_credited_under_their_kind() -> None:
    made = decision(skills_used=("p:s",), workflows_used=("p:w",))
    expected = [("agent", "p:a", 4), ("skill", "p:s", 4), ("workflow", "p:w", 4)]
    assert list(credits(made)) == expected
