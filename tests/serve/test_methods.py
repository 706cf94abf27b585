"""What each method takes, refuses by name, and returns."""

from __future__ import annotations

from typing import Any

import pytest

from orchestr8_index.serve.state import State

from .asking import call, fields

QUESTION = {"queryAgents": "context", "querySkills": "context", "queryWorkflows": "goal"}
ROWS = {"queryAgents": "agents", "querySkills": "skills", "queryWorkflows": "workflows"}
QUERIES = sorted(QUESTION)


def query(state: State, method: str, text: str = "write release notes", **more: Any) -> Any:
    return call(state, method, **{QUESTION[method]: text}, **more)["result"]


@pytest.mark.parametrize("method", QUERIES)
def test_a_query_returns_the_contracts_fields(state: State, method: str) -> None:
    expected = {ROWS[method], "reasoning", "confidence", "cache_hit", "generation", "source"}
    assert expected <= set(query(state, method))


@pytest.mark.parametrize("method", QUERIES)
def test_five_rows_are_the_default_and_the_limit_rules(state: State, method: str) -> None:
    text = "data review release test plan"
    assert len(query(state, method, text)[ROWS[method]]) <= 5
    assert len(query(state, method, text, limit=1)[ROWS[method]]) == 1


@pytest.mark.parametrize("method", QUERIES)
def test_nothing_found_is_an_empty_list(state: State, method: str) -> None:
    told = query(state, method, "qqqzzzxxx")
    assert (told[ROWS[method]], told["confidence"]) == ([], 0)


@pytest.mark.parametrize("method", QUERIES)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", 0),
        ("limit", 21),
        ("limit", "5"),
        ("limit", 2.5),
        ("limit", None),
        ("limit", True),
        ("detail", "long"),
        ("explain", 1),
        ("min_confidence", -0.1),
        ("min_confidence", 1.1),
        ("plugins", "studio"),
        ("plugins", [""]),
        ("plugins", ["p"] * 51),
        ("models", [5]),
        ("tools", ["t" * 201]),
        ("tags", {}),
        ("nonsense", 1),
    ],
)
def test_a_bad_field_is_named(state: State, method: str, field: str, value: object) -> None:
    assert fields(call(state, method, **{QUESTION[method]: "x", field: value})) == {field}


def test_every_bad_field_is_named_at_once(state: State) -> None:
    told = call(state, "querySkills", limit=99, foo=1, bar=2, detail="long")
    assert fields(told) == {"context", "limit", "foo", "bar", "detail"}
    assert told["error"]["code"] == -32602


@pytest.mark.parametrize(("field", "most"), [("capability", 100), ("role", 50), ("context", 500)])
def test_texts_have_their_lengths(state: State, field: str, most: int) -> None:
    assert "result" in call(state, "queryAgents", **{field: "x" * most})
    assert fields(call(state, "queryAgents", **{field: "x" * (most + 1)})) == {field}
    assert fields(call(state, "queryAgents", **{field: ""})) == {field}


@pytest.mark.parametrize("method", ["querySkills", "queryWorkflows"])
def test_the_question_is_required(state: State, method: str) -> None:
    assert fields(call(state, method)) == {QUESTION[method]}


def test_agents_need_one_of_three(state: State) -> None:
    told = call(state, "queryAgents", limit=3)
    assert fields(told) == {"context"}
    assert "capability, role, context" in told["error"]["message"]


@pytest.mark.parametrize("field", ["capability", "role", "context"])
def test_any_of_the_three_is_enough(state: State, field: str) -> None:
    assert "result" in call(state, "queryAgents", **{field: "reviewer"})


def test_an_entry_is_read(state: State) -> None:
    told = call(state, "getEntry", kind="agent", plugin="studio", name="docs-writer")["result"]
    assert set(told) == {"kind", "plugin", "name", "text", "tokens", "truncated", "call"}
    assert (told["name"], told["truncated"]) == ("docs-writer", False)


def test_a_missing_entry_is_invalid_by_name(state: State) -> None:
    told = call(state, "getEntry", kind="agent", plugin="studio", name="nobody")
    assert told["error"]["code"] == -32602


def test_an_entry_needs_its_identity(state: State) -> None:
    assert fields(call(state, "getEntry", max_tokens=0)) == {"kind", "plugin", "name", "max_tokens"}


@pytest.mark.parametrize("method", ["getHealth", "getMetrics"])
def test_health_and_metrics_take_nothing(state: State, method: str) -> None:
    assert fields(call(state, method, verbose=True)) == {"verbose"}
    assert "result" in call(state, method)
