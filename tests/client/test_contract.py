"""Do both clients answer alike, from a server and without one? One suite, four times."""

from __future__ import annotations

import pytest

from orchestr8_index import AsyncOrchestrator, Orchestrator
from orchestr8_index.errors import InvalidParams
from orchestr8_index.queries import AgentAnswer, ContextAnswer, EntryAnswer

from ..processes import Running
from .asking import Asker
from .conftest import MakeAsker


def test_agents_by_context_have_their_fields(asker: Asker) -> None:
    answer = asker.query_agents("our database queries are slow", limit=2)
    assert isinstance(answer, AgentAnswer)
    assert answer.agents[0].name == "postgres-tuner"
    assert len(answer.agents) == 2 and answer.agents[0].capabilities
    assert answer.reasoning and 0 < answer.confidence <= 1 and answer.generation >= 1


def test_agents_by_role_come_first(asker: Asker) -> None:
    first = asker.query_agents("slow database queries", role="backend_developer").agents[0]
    assert (first.name, first.plugin, first.role) == (
        "api-designer",
        "build-and-ship",
        "backend_developer",
    )


def test_skills_and_workflows_are_found(asker: Asker) -> None:
    assert asker.query_skills("rewrite this text in plain words").skills[0].name == "plain-language"
    assert asker.query_workflows("review a change before it is merged").workflows


def test_who_answered_is_said(asker: Asker, request: pytest.FixtureRequest) -> None:
    answer = asker.query_agents("who said this")
    embedded = "embedded" in request.node.name
    assert answer.source == ("embedded" if embedded else "index")
    assert (answer.age_s is not None) == embedded


def test_nothing_found_is_an_empty_answer(asker: Asker) -> None:
    answer = asker.query_agents("xyzzy qwrtpsd")
    assert (answer.agents, answer.confidence) == ([], 0)


def test_an_entry_is_read_within_its_budget(asker: Asker) -> None:
    entry = asker.get_entry("agent", "studio", "docs-writer", max_tokens=30)
    assert isinstance(entry, EntryAnswer)
    assert entry.truncated and 0 < entry.tokens <= 30


def test_a_context_stays_within_its_budget(asker: Asker) -> None:
    context = asker.get_context("write the manual", max_tokens=400, kinds=["agent"])
    assert isinstance(context, ContextAnswer)
    assert context.agents and not context.skills
    assert context.receipt.tokens_used <= 400


def test_unknown_goals_have_no_pattern(asker: Asker) -> None:
    assert asker.get_pattern("a goal that nobody ever had") is None
    assert asker.find_patterns("a goal that nobody ever had", min_similarity=0.9) == []


def test_health_says_what_is_indexed(asker: Asker) -> None:
    health = asker.health()
    assert health.status in ("healthy", "embedded")
    assert health.indexes["agents"] == 24


@pytest.mark.parametrize(
    "ask, field",
    [
        (lambda a: a.query_agents(), "context"),
        (lambda a: a.query_agents("x" * 501), "context"),
        (lambda a: a.query_skills("text", limit=21), "limit"),
        (lambda a: a.query_skills("text", detail="long"), "detail"),
        (lambda a: a.query_workflows("", plugins=["p"]), "goal"),
        (lambda a: a.query_workflows("\ud800"), "params"),
        (lambda a: a.get_entry("agent", "studio", "nobody-has-this-name"), "name"),
        (lambda a: a.get_context("task", kinds=["plugin"]), "kinds"),
        (lambda a: a.find_patterns("goal", min_similarity=2), "min_similarity"),
        (lambda a: a.report_outcome("", "text", ["a"], "success"), "task_id"),
        (lambda a: a.report_outcome("t", "text", [], "success"), "agents_used"),
        (lambda a: a.report_outcome("t", "text", ["a"], "won"), "result"),
        (lambda a: a.store_pattern("goal", []), "agent_sequence"),
    ],
)
def test_bad_arguments_are_raised_by_name(asker: Asker, ask: object, field: str) -> None:
    assert callable(ask)
    with pytest.raises(InvalidParams) as raised:
        ask(asker)
    assert field in raised.value.problems


def test_any_iterable_of_names_will_do(asker: Asker) -> None:
    answer = asker.query_agents("write", plugins=(name for name in ["studio"]))
    assert {row.plugin for row in answer.agents} == {"studio"}


def test_both_clients_have_the_same_methods() -> None:
    public = [
        {name for name in vars(kind) if not name.startswith("_")}
        for kind in (Orchestrator, AsyncOrchestrator)
    ]
    assert public[0] == public[1]


def test_of_several_servers_the_next_one_is_asked(server: Running, make_asker: MakeAsker) -> None:
    """And the order stays as it has proved."""
    url = f"http://127.0.0.1:{server.port}"
    asker = make_asker(["http://127.0.0.1:1", url], cache_seconds=0)
    assert asker.query_agents("write the manual").source == "index"
    assert asker.query_agents("write the manual").source == "index"
