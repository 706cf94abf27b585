"""What do `context` and `entry` print?"""

from __future__ import annotations

from .conftest import Run

TASK = "tune slow postgres queries"
NAME = "build-and-ship:postgres-tuner"


def test_a_context_is_printed_with_its_receipt(asking: Run) -> None:
    said = asking("context", TASK, "--max-tokens", "600")
    assert said.status == 0 and NAME in said.out
    assert "all names and descriptions would be" in said.out


def test_a_context_keeps_its_budget(asking: Run) -> None:
    told = asking("context", TASK, "--max-tokens", "200", "--json").json
    assert 100 < told["receipt"]["tokens_used"] <= 200


def test_a_context_may_be_of_one_kind(asking: Run) -> None:
    told = asking("context", TASK, "--kind", "skill", "--json").json
    assert (told["agents"], told["workflows"]) == ([], [])


def test_what_nobody_can_do_is_said(asking: Run) -> None:
    assert "Nothing fits this task." in asking("context", "zzyzx qwrtp").out


def test_an_entry_is_printed(asking: Run) -> None:
    said = asking("entry", NAME)
    assert (said.status, said.out.startswith("# ")) == (0, True)


def test_an_entry_is_cut(asking: Run) -> None:
    told = asking("entry", NAME, "--max-tokens", "30", "--json").json
    assert told["truncated"] and told["tokens"] <= 30


def test_an_unknown_entry_names_those_meant(asking: Run) -> None:
    said = asking("entry", "build-and-ship:postgres-tunner")
    assert (said.status, said.err.count(f"tunner. Did you mean {NAME}?")) == (1, 1), said.err


def test_a_bare_name_is_not_enough(offline: Run) -> None:
    said = offline("entry", "postgres-tuner")
    assert (said.status, "PLUGIN:NAME" in said.err) == (1, True)


def test_a_task_that_is_too_long_is_refused(offline: Run) -> None:
    assert offline("context", "x" * 501).status == 2
