from __future__ import annotations

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.queries import AgentQuery, Row, TermPoints
from orchestr8_index.search.answer import answer_agents
from orchestr8_index.search.explain import MEANING
from orchestr8_index.text import Terms

from ..catalog.small import index_of, write_agent


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    root = tmp_path_factory.mktemp("tree")
    body = "Looks for slow queries and adds an index. Reads query plans."
    write_agent(root, "data", "query-doctor", "Mends slow database queries.", body)
    write_agent(root, "data", "plan-writer", "Writes project plans and budgets.", body)
    write_agent(root, "data", "mute", "", "capabilities", 'capabilities: ["slow queries"]\n')
    return index_of(root, tmp_path_factory.mktemp("data"))


def rows(index: Index, **params: str) -> list[Row]:
    query = AgentQuery(explain=True, **params)  # type: ignore[arg-type]
    return answer_agents(index, query, Terms()).rows


def line(row: Row, term: str) -> TermPoints:
    return next(line for line in row.explanation if line.term == term)


@pytest.mark.parametrize(
    "params",
    [
        {"context": "why is our database so slow, are query plans missing?"},
        {"context": "query-doctor"},
        {"capability": "slow queries"},
        {"capability": "slow queries", "context": "database plans"},
        {"role": "query doctor", "context": "slow"},
    ],
)
def test_the_lines_add_up_to_the_score(index: Index, params: dict[str, str]) -> None:
    found = rows(index, **params)
    assert found
    for row in found:
        assert abs(sum(line.points for line in row.explanation) - row.score) < 1e-9


def test_a_word_is_divided_by_the_fields_it_stands_in(index: Index) -> None:
    first = rows(index, context="mend slow query plans")[0]
    assert set(line(first, "slow").fields) == {"description", "body"}
    assert set(line(first, "plans").fields) == {"body"}
    assert set(line(first, "query").fields) == {"name", "description", "body"}
    for each in first.explanation:
        if each.fields:
            assert abs(sum(each.fields.values()) - each.points) < 1e-5


def test_pairs_have_a_line_and_fields_of_their_own(index: Index) -> None:
    first = rows(index, context="slow queries")[0]
    assert line(first, "slow queries").fields.keys() <= {"description", "body"}


def test_meaning_and_rules_have_lines_of_their_own(index: Index) -> None:
    first = rows(index, context="query-doctor")[0]
    assert first.explanation[0].term == "is the name asked for"
    assert line(first, MEANING).points > 0
    assert line(first, MEANING).fields == {}


def test_rare_words_weigh_more(index: Index) -> None:
    first = rows(index, context="database query")[0]
    assert line(first, "database").weight > line(first, "query").weight
