from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.index import Segment
from orchestr8_index.catalog.kind_data import FEW, NONE, Embedder
from orchestr8_index.catalog.word_vectors import SHIPPED, UNIT, Words
from orchestr8_index.errors import SnapshotUnreadable
from orchestr8_index.search import semantic as meaning
from orchestr8_index.search.query import read_query
from orchestr8_index.search.rank import NEAR, rank
from orchestr8_index.text import Terms

from ..catalog.small import index_of, write_agent

WORDS = Words()


def likeness(first: str, second: str) -> float:
    one, two = (WORDS.vector(place_of(word)) for word in (first, second))
    pairs = zip(memoryview(one).cast("b"), memoryview(two).cast("b"), strict=True)
    return sum(a * b for a, b in pairs) / UNIT**2


def place_of(word: str) -> int:
    place = WORDS.find(Terms()(word)[0])
    assert place is not None
    return place


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Segment:
    root = tmp_path_factory.mktemp("tree")
    write_agent(root, "ops", "helm-keeper", "Writes charts and deploys to a kubernetes cluster.")
    write_agent(root, "ops", "bread-baker", "Bakes bread and deploys nothing at all.")
    write_agent(root, "ops", "silent", "")
    write_agent(root, "data", "query-tuner", "Tunes SQL of PostgreSQL and MySQL databases.")
    index = index_of(root, tmp_path_factory.mktemp("data"))
    return index.segments["agent"]


def test_related_words_are_nearer_than_unrelated_ones() -> None:
    assert likeness("kubernetes", "helm") > 0.4 > 0.2 > likeness("kubernetes", "recipe")


def test_a_word_is_found_wherever_it_stands() -> None:
    every = WORDS.every_word()
    assert [WORDS.find(every[i]) for i in (0, 7_000, len(every) - 1)] == [0, 7_000, len(every) - 1]
    assert WORDS.find("zzzzzzz") is None


def test_words_stay_small_and_name_their_sources() -> None:
    assert SHIPPED.stat().st_size <= 8e6
    assert "MIT" in SHIPPED.with_name("words.notice.md").read_text(encoding="utf-8")


def test_a_damaged_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "words.vec").write_bytes(b"nothing of the kind")
    with pytest.raises(SnapshotUnreadable):
        Words(tmp_path / "words.vec")


def test_an_entry_is_embedded_by_its_own_text_alone() -> None:
    embedder, words = Embedder(WORDS), [place_of("kubernetes"), NONE, place_of("pods")]
    alone = embedder.embed(words)
    embedder.embed([place_of("bread")])
    assert embedder.embed(words) == alone
    length = math.sqrt(sum(value**2 for value in memoryview(alone).cast("b")))
    assert abs(length - UNIT) < UNIT * 0.1


def test_entries_without_known_words_have_no_meaning() -> None:
    assert not any(Embedder(WORDS).embed([NONE]))


def test_many_words_are_found_like_few() -> None:
    words = WORDS.every_word()
    embedder, asked = Embedder(WORDS), ["xqzv", *words[: FEW + 9]]
    assert [embedder.place(word) for word in asked] == [NONE, *range(FEW + 9)]


def test_meaning_decides_between_equal_words(agents: Segment) -> None:
    first = rank(agents, "deploys docker containers", Terms()).hits[0]
    assert agents.entry(first.place).name == "helm-keeper"


def test_all_entries_are_compared_like_some(agents: Segment) -> None:
    query = read_query(agents, "deploy containers to a cluster", Terms())
    assert query.meaning is not None
    every = meaning.likeness(agents.table, query.meaning)
    assert meaning.likeness(agents.table, query.meaning, range(agents.size)) == every
    assert max(every) > 0


def test_an_entry_is_found_without_any_word_of_the_question(agents: Segment) -> None:
    ranking = rank(agents, "docker swarm", Terms())
    assert not ranking.query.known
    assert agents.entry(ranking.hits[0].place).name == "helm-keeper"


@pytest.mark.parametrize(
    "question", ["Abfragen der Datenbank", "consultas de la base de datos", "数据库查询"]
)
def test_a_question_in_another_language_finds_who_is_described_in_english(
    agents: Segment, question: str
) -> None:
    assert agents.entry(rank(agents, question, Terms()).hits[0].place).name == "query-tuner"


def test_nobody_is_found_by_a_meaning_that_is_far(agents: Segment) -> None:
    ranking = rank(agents, "docker swarm", Terms())
    assert 0 < len(ranking.hits) < agents.size
    assert all(hit.score >= NEAR * ranking.query.strength for hit in ranking.hits)


@given(st.lists(st.sampled_from("deploy chart bread container soup cluster zebra".split())))
def test_a_segment_ranks_alike_with_and_without_numpy(agents: Segment, words: list[str]) -> None:
    plain = rank(agents, " ".join(words), Terms())
    agents.uses_numpy = True
    try:
        assert rank(agents, " ".join(words), Terms()) == plain
    finally:
        agents.uses_numpy = False


def test_a_question_is_the_weighted_mean_of_its_words(agents: Segment) -> None:
    word = WORDS.find("helm")
    alone = meaning.meaning_of(agents, [word, None])
    direction = memoryview(WORDS.vector(word or 0)).cast("b").tolist()
    largest = max(map(abs, direction))
    assert alone is not None and alone.largest == 256 * largest
    assert memoryview(alone.signed).cast("b").tolist() == [
        value * 127 // largest for value in direction
    ]
    assert abs(alone.length - 1) < 0.1
    assert meaning.meaning_of(agents, [None]) is None


def test_meaning_weighs_less_in_a_large_catalogue() -> None:
    assert meaning.strength(200, 1_000, 100) == 900
    assert meaning.strength(20_000, 1_000, 100) == 90
    assert meaning.strength(200, 1_000, 4) == 2_520


def test_a_score_never_exceeds_what_it_divides_by(agents: Segment) -> None:
    for text in ("helm-keeper", "kubernetes cluster", "silent"):
        assert all(0 < hit.relative <= 1 for hit in rank(agents, text, Terms()).hits)
