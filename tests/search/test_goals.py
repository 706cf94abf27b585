"""Which of the goals that were reached is meant in other words?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestr8_index.catalog.index import Index
from orchestr8_index.records import Pattern
from orchestr8_index.search.goals import Goals
from orchestr8_index.text import Terms

GOALS = {
    3: "encrypt backups before they are uploaded",
    5: "build a dashboard of weekly revenue",
    9: "add full text search to the documentation site",
}


def nearest(
    index: Index,
    text: str,
    goals: Mapping[int, str] = GOALS,
    offers: Callable[[Pattern], bool] = bool,
    known: Goals | None = None,
) -> int | None:
    patterns = {n: Pattern(id=n, goal=goal, agent_sequence=("a",)) for n, goal in goals.items()}
    segment = index.segments["agent"]
    found = (known or Goals()).nearest(segment, Terms(), text, patterns, offers)
    return found.id if found else None


def test_a_goal_in_other_words_is_found(shipped_index: Index) -> None:
    assert nearest(shipped_index, "a chart that shows income per week") == 5
    assert nearest(shipped_index, "search the docs by keyword") == 9


def test_a_strange_goal_is_none(shipped_index: Index) -> None:
    assert nearest(shipped_index, "which wine goes with fish") is None
    assert nearest(shipped_index, "zzyzx") is None


def test_of_two_goals_that_are_as_near_none_is_surely_meant(shipped_index: Index) -> None:
    alone = {5: GOALS[5]}
    text = "revenue numbers"
    assert nearest(shipped_index, text, alone) == 5
    assert nearest(shipped_index, text, {5: GOALS[5], 6: GOALS[5] + " again"}) in (None, 5)


def test_one_that_may_not_be_offered_makes_way_and_is_no_rival(shipped_index: Index) -> None:
    text, alike = "a chart that shows income per week", {**GOALS, 6: GOALS[5]}
    assert nearest(shipped_index, text, alike, lambda pattern: pattern.id != 5) == 6
    assert nearest(shipped_index, text, GOALS, lambda pattern: pattern.id != 5) is None


def test_a_goal_that_is_named_anew_is_read_anew(shipped_index: Index) -> None:
    goals, text = Goals(), "encrypted backups"
    assert nearest(shipped_index, text, {3: GOALS[3]}, known=goals) == 3
    assert nearest(shipped_index, text, {3: GOALS[5]}, known=goals) is None


def test_a_goal_that_was_forgotten_is_not_found(shipped_index: Index) -> None:
    goals, text = Goals(), "encrypted backups"
    assert nearest(shipped_index, text, GOALS, known=goals) == 3
    assert nearest(shipped_index, text, {5: GOALS[5]}, known=goals) is None
