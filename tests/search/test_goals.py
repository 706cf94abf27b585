"""Which of the goals that were reached is meant in other words?"""

from __future__ import annotations

from orchestr8_index.catalog.index import Index
from orchestr8_index.search.goals import Goals
from orchestr8_index.text import Terms

GOALS = {
    3: "encrypt backups before they are uploaded",
    5: "build a dashboard of weekly revenue",
    9: "add full text search to the documentation site",
}


def nearest(index: Index, text: str, goals: dict[int, str] = GOALS) -> int | None:
    return Goals().nearest(index.segments["agent"], Terms(), text, goals)


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


def test_a_goal_that_is_named_anew_is_read_anew(shipped_index: Index) -> None:
    goals, segment, terms = Goals(), shipped_index.segments["agent"], Terms()
    assert goals.nearest(segment, terms, "encrypted backups", {3: GOALS[3]}) == 3
    assert goals.nearest(segment, terms, "encrypted backups", {3: GOALS[5]}) is None
