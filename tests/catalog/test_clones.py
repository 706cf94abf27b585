from __future__ import annotations

from pathlib import Path

import pytest

from orchestr8_index.catalog.clones import overlap
from orchestr8_index.catalog.index import Index
from orchestr8_index.queries import AgentQuery, Answer
from orchestr8_index.search.answer import answer_agents
from orchestr8_index.text import Terms

from .small import index_of, write_agent

TEXT = "Designs kubernetes clusters, ingress, autoscaling and upgrades without downtime."


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    root: Path = tmp_path_factory.mktemp("tree")
    write_agent(root, "cloud", "kubernetes-architect", TEXT, more="model: opus\n")
    write_agent(root, "cicd", "cicd-kubernetes-architect", TEXT, more="model: sonnet\n")
    write_agent(root, "ops", "Kubernetes_Architect", TEXT + " Everywhere.")
    write_agent(root, "zoo", "kubernetes-architect", "Feeds the elephants of a zoo.")
    write_agent(root, "web", "kubernetes-writer", TEXT)
    return index_of(root, tmp_path_factory.mktemp("data"))


def ask(index: Index, **params: object) -> Answer:
    return answer_agents(index, AgentQuery(**params), Terms())  # type: ignore[arg-type]


def test_near_clones_take_one_place(index: Index) -> None:
    rows = ask(index, context="kubernetes clusters with ingress", limit=10).rows
    architects = [row for row in rows if row.also]
    assert len(architects) == 1 and len(rows) == 3
    assert len(architects[0].also) == 2 and architects[0].also == sorted(architects[0].also)


def test_the_same_name_with_another_text_keeps_its_place(index: Index) -> None:
    rows = ask(index, context="elephants", limit=10).rows
    assert [(row.plugin, row.also) for row in rows] == [("zoo", [])]


def test_the_one_asked_for_by_name_takes_the_place(index: Index) -> None:
    row = ask(index, context="cicd:cicd-kubernetes-architect").rows[0]
    assert row.plugin == "cicd"
    assert row.also == ["cloud:kubernetes-architect", "ops:Kubernetes_Architect"]


def test_filters_come_before_folding(index: Index) -> None:
    row = ask(index, context="kubernetes clusters", models=["sonnet"]).rows[0]
    assert (row.plugin, row.also) == ("cicd", [])


def test_clones_do_not_lower_the_confidence(index: Index) -> None:
    assert ask(index, context="kubernetes architect ingress autoscaling").confidence > 0.3


def test_overlap_is_the_share_of_common_terms() -> None:
    assert overlap({"a", "b"}, {"b", "c"}) == 1 / 3
    assert overlap(set(), set()) == 1
