from __future__ import annotations

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.queries import AgentQuery, Answer
from orchestr8_index.search.answer import answer_agents
from orchestr8_index.search.confidence import features
from orchestr8_index.search.confidence_fit import ABSTAIN_BELOW, COEFFICIENTS
from orchestr8_index.search.rank import rank
from orchestr8_index.text import Terms

from ..catalog.small import index_of, write_agent

FAR = "sourdough recipe"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    root = tmp_path_factory.mktemp("tree")
    body = "Works in small steps, saves time, reports what is wrong and mends it. " * 5
    for number in range(30):
        name = f"worker-{number}"
        write_agent(root, "many", name, f"Keeps service {number} running in time.", body)
    write_agent(root, "many", "postgres-tuner", "Tunes slow PostgreSQL queries.", body)
    return index_of(root, tmp_path_factory.mktemp("data"))


def ask(index: Index, **params: object) -> Answer:
    return answer_agents(index, AgentQuery(**params), Terms())  # type: ignore[arg-type]


def test_a_question_that_nobody_can_answer_gets_no_rows(index: Index) -> None:
    answer = ask(index, context=FAR)
    assert answer.rows == [] and 0 < answer.confidence < ABSTAIN_BELOW
    assert len(answer.near_misses) == 3


def test_the_reasoning_says_what_nobody_mentions(index: Index) -> None:
    reasoning = ask(index, context=FAR).reasoning
    assert "No agent mentions 'sourdough'" in reasoning
    assert f"below {ABSTAIN_BELOW:g}" in reasoning


def test_the_caller_may_ask_for_more_or_less(index: Index) -> None:
    assert ask(index, context=FAR, min_confidence=0.0).rows
    sure = ask(index, context="slow PostgreSQL queries")
    assert sure.rows and sure.confidence > 0.5
    assert ask(index, context="slow PostgreSQL queries", min_confidence=0.999).rows == []


def test_names_and_labels_are_never_doubted(index: Index) -> None:
    assert ask(index, context="worker-7").rows[0].name == "worker-7"


def test_no_known_word_is_no_confidence_at_all(index: Index) -> None:
    answer = ask(index, context="xqzv wwkp")
    assert answer.confidence == 0 and answer.rows == []


def test_the_features_are_those_of_the_coefficients(index: Index) -> None:
    agents = index.segments["agent"]
    seen = features(agents, rank(agents, "slow queries", Terms()))
    assert list(seen) == list(COEFFICIENTS)
