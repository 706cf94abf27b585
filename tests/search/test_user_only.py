"""Is only that recommended which may be run, and by the name that the host takes?"""

from __future__ import annotations

from typing import Any

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.errors import InvalidParams
from orchestr8_index.queries import AgentQuery, ContextQuery, EntryQuery, SkillQuery, WorkflowQuery
from orchestr8_index.search.answer import answer_agents, answer_skills, answer_workflows
from orchestr8_index.search.context import get_context
from orchestr8_index.search.excerpt import get_entry
from orchestr8_index.text import Terms

from ..trees import agent, build_tree, write_tree

TERMS = Terms()
FILES = {
    "skills/push/SKILL.md": agent(
        "push", "Pushes a parcel to the depot.\ndisable-model-invocation: true"
    ),
    "skills/weigh/SKILL.md": agent("weigh", "Weighs a parcel before it goes to the depot."),
    ".github/agents/carter.agent.md": agent("carter", "Carts a parcel to the depot."),
    ".claude/agents/porter.md": agent("porter", "Carries a parcel to the depot."),
    "commands/depot/sort.md": "---\ndescription: Sort each parcel of the depot\n---\nSort.",
}
ASKED = "push the parcel to the depot"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    place = tmp_path_factory.mktemp("user-only")
    return build_tree(write_tree(place / "tree", FILES), data_dir=place / "data").index


def test_a_person_sees_what_only_a_person_may_start_marked(index: Index) -> None:
    rows = answer_skills(index, SkillQuery(context=ASKED), TERMS).rows
    assert [(row.name, row.user_only) for row in rows] == [("push", True), ("weigh", False)]


def test_a_model_does_not_and_the_next_one_is_less_sure(index: Index) -> None:
    whole = answer_skills(index, SkillQuery(context=ASKED), TERMS)
    query = SkillQuery(context=ASKED, user_only=False, min_confidence=0)
    answer = answer_skills(index, query, TERMS)
    assert [row.name for row in answer.rows] == ["weigh"]
    assert answer.confidence < whole.confidence and "user_only: true" in answer.reasoning


def test_a_context_offers_it_only_if_asked(index: Index) -> None:
    plain, asked = (
        get_context(index, ContextQuery(task=ASKED, user_only=said), TERMS)
        for said in (False, True)
    )
    assert "push" not in [row.name for row in plain.skills]
    assert "push" in [row.name for row in asked.skills]


def test_its_text_is_for_those_who_ask_for_it(index: Index) -> None:
    said = {"kind": "skill", "plugin": "tree", "name": "push"}
    assert get_entry(index, EntryQuery(**said)).user_only  # type: ignore[arg-type]
    with pytest.raises(InvalidParams, match="only the user may start it"):
        get_entry(index, EntryQuery(**said, user_only=False))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "names"), [("claude", ["porter"]), ("copilot", ["carter", "porter"])]
)
def test_a_host_gets_no_agents_of_folders_that_it_does_not_read(
    index: Index, host: str, names: list[str]
) -> None:
    query = AgentQuery(context="a parcel for the depot", host=host, min_confidence=0)  # type: ignore[arg-type]
    assert sorted(row.name for row in answer_agents(index, query, TERMS).rows) == names


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        (
            {"host": "codex"},
            ".claude:porter matches, but Codex does not load it: it is Claude Code's.",
        ),
        ({"plugins": ["no"]}, "Entries match, but none passes the filters on plugins."),
    ],
)
def test_an_answer_that_is_empty_for_that_says_why_and_is_not_sure(
    index: Index, choice: dict[str, Any], why: str
) -> None:
    query = AgentQuery(context="carries a parcel", min_confidence=0, **choice)
    answer = answer_agents(index, query, TERMS)
    assert (answer.rows, answer.confidence) == ([], 0)
    assert why in answer.reasoning


def test_a_row_carries_the_name_that_the_host_takes(index: Index) -> None:
    query = WorkflowQuery(goal="sort each parcel")
    (row,) = answer_workflows(index, query, TERMS).rows
    assert (row.name, row.call) == ("depot:sort", "/depot:sort")
    assert answer_workflows(index, WorkflowQuery(goal=row.call), TERMS).rows[0].name == "depot:sort"
