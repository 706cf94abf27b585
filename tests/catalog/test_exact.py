"""Do exact things win, however they are spelt? Names, slips of the pen, words of any script."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.queries import AgentQuery, Answer, WorkflowQuery
from orchestr8_index.search.answer import NEARLY_CERTAIN, answer_agents, answer_workflows
from orchestr8_index.text import Terms

from ..trees import Files, agent

FILES: Files = {
    "plugins/shop/commands/commit-push.md": "---\ndescription: Sends work.\n---\nPush.",
    **{
        f"plugins/shop/agents/{name}.md": agent(name, said)
        for name, said in [
            ("security-auditor", "Looks for holes in the walls."),
            ("wall-painter", "Security security: looks after walls that a securty man needs."),
            ("cpp-pro", "Writes modern C++ for machines."),
            ("net-pro", "Writes .NET services."),
            ("cluster-keeper", "Keeps k8s going."),
            ("chart-maker", "Draws charts: 📊 for people."),
            ("cafe-owner", "Runs a café."),
            ("nihongo", "日本語の文章を書く。"),
            ("graph-asker", "Asks with GraphQL and PostgreSQL."),
            ("getter", "Calls parseHttpHeader where needed."),
        ]
    },
}


@pytest.fixture
def index(make_index: Callable[[Files], Index]) -> Index:
    return make_index(FILES)


def ask(index: Index, text: str, **more: object) -> Answer:
    query = AgentQuery(context=text, **more)  # type: ignore[arg-type]
    return answer_agents(index, query, Terms())


def first(answer: Answer) -> str:
    return answer.rows[0].name if answer.rows else ""


@pytest.mark.parametrize(
    "text", ["securty-auditor", "shop:securiti-auditor", "security auditorr", "SECURTY_AUDITOR"]
)
def test_a_misspelt_name_wins_and_says_so(index: Index, text: str) -> None:
    answer = ask(index, text)
    assert first(answer) == "security-auditor" and answer.confidence >= 0.9
    assert f"'{text}' was read as the name '" in answer.reasoning


def test_a_misspelt_command_wins(index: Index) -> None:
    answer = answer_workflows(index, WorkflowQuery(goal="/comit-push"), Terms())
    assert first(answer) == "commit-push" and answer.confidence >= 0.9
    assert "'/comit-push' was read as the name 'commit push'" in answer.reasoning


def test_an_exact_name_needs_no_reading(index: Index) -> None:
    answer = ask(index, "security-auditor")
    assert first(answer) == "security-auditor" and answer.confidence >= 0.99
    assert "was read as" not in answer.reasoning


def test_a_misspelt_name_in_a_sentence_is_a_misspelt_word(index: Index) -> None:
    answer = ask(index, "what does the securty-auditor do about walls")
    assert "was read as" not in answer.reasoning and answer.confidence != NEARLY_CERTAIN


def test_a_misspelt_name_still_has_to_pass_the_filters(index: Index) -> None:
    assert ask(index, "securty-auditor", plugins=["other"]).rows == []


def test_the_rule_is_part_of_the_explanation(index: Index) -> None:
    row = ask(index, "securty-auditor", explain=True).rows[0]
    assert row.explanation[0].term.startswith("'securty-auditor' was read as")
    assert sum(line.points for line in row.explanation) == pytest.approx(row.score, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("C++", "cpp-pro"),
        ("a service in .NET", "net-pro"),
        ("my K8S is down", "cluster-keeper"),
        ("📊", "chart-maker"),
        ("CAFE", "cafe-owner"),
        ("the cafe\u0301 is full", "cafe-owner"),
        ("文章", "nihongo"),
        ("graphQL", "graph-asker"),
        ("http header", "getter"),
        ("parsehttpheader", "getter"),
    ],
)
def test_words_are_found_in_any_spelling(index: Index, text: str, name: str) -> None:
    assert first(ask(index, text)) == name


def test_a_context_of_500_characters_is_read_to_its_end(index: Index) -> None:
    text = ("please " * 80)[:484] + "C++ for machines"
    assert len(text) == 500 and first(ask(index, text)) == "cpp-pro"


@pytest.mark.parametrize("text", ["the", "please can you help me with this", "?!", " \n "])
def test_a_question_without_words_is_told_so(index: Index, text: str) -> None:
    answer = ask(index, text)
    assert (answer.rows, answer.confidence) == ([], 0.0)
    assert answer.reasoning.startswith("The question has no words to search for")


def test_a_word_that_counts_in_pairs_is_named_once(index: Index) -> None:
    assert ask(index, "뷁쉚훩").reasoning.startswith("No agent mentions '뷁쉚훩'. ")
