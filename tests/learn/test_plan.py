"""In which order may a pattern's agents work?"""

from __future__ import annotations

import pytest

from orchestr8_index.errors import InvalidParams
from orchestr8_index.learn.plan import check_dependencies, check_groups, derive_groups

ABC = ("a", "b", "c")


def test_without_dependencies_one_works_after_the_other() -> None:
    assert derive_groups(("a", "b", "a"), {}) == [["a"], ["b"]]


def test_who_depends_on_the_same_works_together() -> None:
    assert derive_groups(ABC, {"b": ["a"], "c": ["a"]}) == [["a"], ["b", "c"]]


def test_a_group_is_in_the_order_of_the_sequence() -> None:
    assert derive_groups(("c", "b", "a"), {"a": ["b"]}) == [["c", "b"], ["a"]]


def test_a_cycle_is_named() -> None:
    with pytest.raises(InvalidParams, match="they form a cycle: a → b → c → a"):
        check_dependencies(ABC, {"a": ["b"], "b": ["c"], "c": ["a"]})


def test_an_agent_that_waits_for_itself_is_a_cycle() -> None:
    with pytest.raises(InvalidParams, match="a → a"):
        check_dependencies(ABC, {"a": ["a"]})


def test_a_stranger_is_named() -> None:
    with pytest.raises(InvalidParams, match="not in agent_sequence: x, y"):
        check_dependencies(ABC, {"x": ["a"], "b": ["y"]})


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([["a"], ["b"], ["b", "c"]], "b stands in two places"),
        ([["a"], ["b"]], "other agents than agent_sequence: c"),
        ([["a", "b", "c", "x"]], "other agents than agent_sequence: x"),
        ([["a", "b"], ["c"]], "b depends on a and must stand in a later group"),
        ([["b"], ["a"], ["c"]], "b depends on a and must stand in a later group"),
    ],
)
def test_groups_that_do_not_fit_are_refused(groups: list[list[str]], said: str) -> None:
    with pytest.raises(InvalidParams, match=said):
        check_groups(ABC, {"b": ["a"]}, groups)


def test_groups_that_fit_pass() -> None:
    check_groups(ABC, {"b": ["a"]}, [["a", "c"], ["b"]])
