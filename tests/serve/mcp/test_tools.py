"""Which tools does a model see, what do they cost it, and what does it get?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mcp.client.client import Client

from orchestr8_index.catalog.index import Index
from orchestr8_index.errors import InvalidParams
from orchestr8_index.methods import METHODS
from orchestr8_index.serve.mcp.schemas import is_for_programs
from orchestr8_index.serve.mcp.server import make_server
from orchestr8_index.serve.mcp.tools import INSTRUCTIONS, TOOLS, encoded
from orchestr8_index.serve.state import State
from orchestr8_index.tokens import estimate_tokens

from ..learners import Learner, learn
from .meeting import ERAS, Era, call, meet, refused

CALLS: dict[str, dict[str, Any]] = {
    "query_agents": {"context": "write a tutorial"},
    "query_skills": {"context": "write release notes"},
    "query_workflows": {"goal": "ship a release"},
    "get_pattern": {"goal": "write a tutorial"},
    "report_outcome": {
        "task_id": "t1",
        "task_description": "write a tutorial",
        "agents_used": ["docs-writer"],
        "result": "success",
    },
    "get_entry": {"kind": "agent", "plugin": "studio", "name": "docs-writer"},
    "get_context": {"task": "write a tutorial", "max_tokens": 400},
}


def listed(state: State, era: Era = "2026-07-28") -> list[dict[str, Any]]:
    told = meet(state, lambda client: client.list_tools(), era)
    return [tool.model_dump(by_alias=True, exclude_none=True) for tool in told.tools]


def test_the_tools_are_those_of_the_table_that_say_when() -> None:
    assert list(TOOLS) == list(CALLS)
    assert all(METHODS[method.name] is method for method in TOOLS.values())


@pytest.mark.parametrize("era", ERAS)
def test_the_list_names_them_in_the_order_of_the_table(state: State, era: Era) -> None:
    assert [tool["name"] for tool in listed(state, era)] == list(TOOLS)


def test_the_list_is_the_same_to_the_byte(state: State) -> None:
    first, second = (json.dumps(listed(state)) for _ in range(2))
    assert first == second


def test_a_tool_takes_the_params_of_its_method(state: State) -> None:
    for tool in listed(state):
        params = TOOLS[tool["name"]].params
        fields, task = msgspec.structs.fields(params), {params.TASK: "task"}
        named = {task.get(f.name, f.name) for f in fields if not is_for_programs(f.type)}
        assert set(tool["inputSchema"]["properties"]) == named
        wanted = {task.get(field.name, field.name) for field in fields if field.required}
        assert set(tool["inputSchema"].get("required", [])) == wanted
        assert all("description" in said for said in tool["inputSchema"]["properties"].values())


def test_only_a_report_changes_something(state: State) -> None:
    writing = [t["name"] for t in listed(state) if not t["annotations"]["readOnlyHint"]]
    assert writing == ["report_outcome"]
    assert not any(tool["annotations"]["openWorldHint"] for tool in listed(state))


def test_what_a_host_carries_is_within_its_budget(state: State) -> None:
    names = ("name", "description", "inputSchema")
    sent = [{name: tool[name] for name in names} for tool in listed(state)]
    text = json.dumps(sent, separators=(",", ":"), ensure_ascii=False) + INSTRUCTIONS
    assert estimate_tokens(text) <= 1300


@pytest.mark.parametrize("era", ERAS)
def test_every_tool_answers_as_its_schema_says(
    tmp_path: Path, shipped_index: Index, era: Era
) -> None:
    """The client checks each result against the schema."""

    async def all_of_them(learner: Learner) -> list[str]:
        server = make_server(learner.state)
        async with Client(server, mode=era) as client:
            told = [await client.call_tool(name, params) for name, params in CALLS.items()]
        for result in told:
            assert result.structured_content == json.loads(result.content[0].text)  # type: ignore[union-attr]
        return [name for name, result in zip(CALLS, told, strict=True) if result.is_error]

    assert learn(tmp_path, shipped_index, all_of_them) == []


def test_five_rows_cost_little(state: State) -> None:
    told = call(state, "query_agents", context="write and repair technical documentation")
    assert len(told.structured_content["agents"]) == 5
    assert estimate_tokens(told.content[0].text) <= 400


def test_a_row_has_nothing_that_is_empty(state: State) -> None:
    told = call(state, "query_agents", context="write a tutorial").structured_content
    assert all(value not in ("", [], None) for row in told["agents"] for value in row.values())
    assert not {"cache_hit", "generation", "source"} & told.keys()


def test_an_unknown_plan_is_said_to_be_none(tmp_path: Path, shipped_index: Index) -> None:
    async def ask(learner: Learner) -> Any:
        server = make_server(learner.state)
        async with Client(server) as client:
            return (await client.call_tool("get_pattern", {"goal": "fly"})).structured_content

    assert learn(tmp_path, shipped_index, ask) == {"found": False}


@pytest.mark.parametrize(
    ("tool", "params", "said"),
    [
        ("query_agents", {"limit": "5"}, "limit: must be a whole number, not a text"),
        ("query_agents", {}, "task: give at least one of capability, role, task."),
        ("query_skills", {}, "task: required"),
        ("query_skills", {"context": "x", "colour": 1}, "colour: unknown field"),
        ("query_agents", {"tasks": "x"}, "tags, user_only, task, capability, role."),
        ("get_entry", {"kind": "agent", "plugin": "studio", "name": "docs-writr"}, "Did you mean"),
        ("get_context", {"task": "x", "max_tokens": 1}, "max_tokens: must be at least 100"),
    ],
)
def test_a_bad_call_tells_the_model_what_to_mend(
    state: State, tool: str, params: dict[str, Any], said: str
) -> None:
    told = call(state, tool, **params)
    assert told.is_error and said in told.content[0].text
    cures = ("Mend the fields that it names, and ask again.", " studio:docs-writer?")
    assert told.content[0].text.endswith(cures)


def test_an_unknown_tool_is_the_protocols_error(state: State) -> None:
    error = refused(state, lambda client: client.call_tool("query_planets", {}))
    assert error.code == -32602
    assert "query_agents" in str(error)


def test_before_the_first_generation_a_call_says_so(starting: State) -> None:
    told = call(starting, "query_skills", context="notes")
    assert told.is_error and "first index" in told.content[0].text


def test_without_a_store_a_report_is_refused_with_the_reason(state: State) -> None:
    told = call(state, "report_outcome", **CALLS["report_outcome"])
    assert told.is_error and "no store" in told.content[0].text


def test_a_call_is_counted_as_its_method(state: State) -> None:
    call(state, "query_skills", context="notes")
    assert state.metrics.requests["querySkills"] == 1


def test_half_a_character_is_refused_as_a_parameter() -> None:
    with pytest.raises(InvalidParams, match="surrogate"):
        encoded({"context": "\ud800"})
