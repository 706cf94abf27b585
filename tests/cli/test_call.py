"""`call`: any method of the table, with a server and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr8_index.methods import SHORT

from .conftest import Run


def test_a_method_is_called_by_either_of_its_names(asking: Run) -> None:
    entry = ("kind=agent", "plugin=studio", "name=docs-writer", "max_tokens=40")
    by_short, by_name = asking("call", "get_entry", *entry), asking("call", "getEntry", *entry)
    assert by_short.json == by_name.json
    assert by_short.json["truncated"] and by_short.json["tokens"] <= 40


@pytest.mark.parametrize("plugins", [["plugins=studio"], ['plugins=["studio"]']])
def test_a_list_is_one_text_or_json(offline: Run, plugins: list[str]) -> None:
    result = offline("call", "query_agents", "context=write release notes", *plugins).json
    assert {row["plugin"] for row in result["agents"]} == {"studio"}


def test_a_list_is_given_by_naming_it_again(offline: Run) -> None:
    kinds = ("kinds=skill", "kinds=agent")
    result = offline("call", "get_context", "task=write release notes", *kinds).json
    assert result["agents"] and result["skills"] and not result["workflows"]


def test_what_changes_something_reaches_the_server(online: Run) -> None:
    steps = ("agent_sequence=test-strategist", "agent_sequence=docs-writer")
    needs = 'dependencies={"docs-writer":["test-strategist"]}'
    result = online("call", "store_pattern", "goal=ship a release", *steps, needs).json
    assert set(result) == {"pattern_id", "created", "unknown"}


def test_without_a_server_what_needs_one_says_so(offline: Run) -> None:
    answer = offline("call", "discover")
    assert (answer.status, "rpc.discover needs the server" in answer.err) == (1, True)
    assert "orchestr8-index up" in answer.err


def test_without_a_server_an_outcome_waits_on_the_disk(run: Run, tmp_path: Path) -> None:
    named = ("task_id=t1", "task_description=write notes", "agents_used=docs-writer")
    told = run("call", "report_outcome", *named, "result=success").json
    assert (told["stored"], told["spooled"]) == (False, True)
    assert b'"task_id":"t1"' in (tmp_path / "data" / "spool.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fly"], "There is no method fly. The methods are query_agents"),
        (["query_skills", "release notes"], "release notes is not of the form NAME=VALUE."),
        (["query_skills", "limit=99"], "limit: must be at most 20"),
        (["query_skills", "limit=99"], "context: required"),
        (["health", "x=1", "x=2"], "x: unknown field"),
    ],
)
def test_wrong_usage_is_named(offline: Run, arguments: list[str], sentence: str) -> None:
    answer = offline("call", *arguments)
    assert (answer.status, sentence in answer.err) == (2, True)


def test_the_help_lists_every_method(offline: Run) -> None:
    text = offline("call", "--help").out
    assert all(f"{short} " in text for short in SHORT)
