"""Is a question read rightly? Nothing right is misread, and what is read is said."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.index import Index, Segment
from orchestr8_index.queries import AgentQuery, Answer
from orchestr8_index.search.answer import answer_agents
from orchestr8_index.search.compounds import is_known
from orchestr8_index.search.confidence import DOUBTFUL
from orchestr8_index.search.query import Word, read_query
from orchestr8_index.text import Terms

from ..trees import Files, agent

MakeIndex = Callable[[Files], Index]
TREE = {
    "agents/a.md": agent("layer-pointer", "Strides through every kubernetes manifest layer."),
    "agents/b.md": agent("backend-builder", "Builds backend services with queues."),
    "agents/c.md": agent("frontend-builder", "Builds frontend screens and a back end stub."),
    "agents/d.md": agent("terraform-writer", "Writes terraform modules for a data base."),
    "agents/e.md": agent("python-debugger", "Debugging of python programs."),
}
WORDS = "lawyer strike printer complaint scanner protest invoice stride pointer layer".split()


@pytest.fixture
def index(make_index: MakeIndex) -> Index:
    return make_index(TREE)


@pytest.fixture
def segment(index: Index) -> Segment:
    return index.segments["agent"]


def ask(index: Index, text: str) -> Answer:
    return answer_agents(index, AgentQuery(context=text, min_confidence=0, explain=True), Terms())


def words(segment: Segment, text: str) -> list[Word]:
    return list(read_query(segment, text, Terms()).words)


@pytest.mark.parametrize("word", WORDS)
def test_a_known_word_is_never_corrected(segment: Segment, word: str) -> None:
    assert not any(each.instead_of for each in words(segment, f"our {word}"))


def test_an_english_word_is_no_misspelt_name(make_index: MakeIndex) -> None:
    index = make_index({"agents/a.md": agent("stride", "Walks.")})
    answer = ask(index, "strike")  # meaning may hold the two for near, a name they are not
    assert "Read 'strike'" not in answer.reasoning and answer.confidence < DOUBTFUL


@given(st.sampled_from(WORDS), st.sampled_from(["lawyr", "manifext", "kuberntes", "zzyzx"]))
def test_whether_a_word_is_known_does_not_hang_on_its_company(one: str, other: str) -> None:
    terms = Terms()
    assert terms(f"{one} {other}")[0] == terms.stem(one)


def test_a_correction_is_said_and_never_raises_the_confidence(index: Index) -> None:
    misspelt = ask(index, "layer of the manifext")
    assert "Read 'manifext' as 'manifest'." in misspelt.reasoning
    assert misspelt.confidence <= ask(index, "layer").confidence
    assert misspelt.confidence <= ask(index, "layer of the manifest").confidence


def test_a_question_of_one_misspelt_word_is_answered_with_doubt(index: Index) -> None:
    alone = ask(index, "manifext")
    assert alone.rows[0].name == "layer-pointer"
    assert 0 < alone.confidence <= ask(index, "manifest").confidence / 2 + 1e-3


def test_a_short_form_is_read_as_what_it_stands_for(index: Index) -> None:
    answer = ask(index, "tf plan")
    assert answer.rows[0].name == "terraform-writer"
    assert "Read 'tf' as 'terraform'." in answer.reasoning
    assert "terraform, read from 'tf'" in [line.term for line in answer.rows[0].explanation]


def test_what_a_word_stands_for_weighs_less_than_the_word(segment: Segment) -> None:
    own = {each.term: each.weight for each in words(segment, "terraform")}
    read = {each.term: each.weight for each in words(segment, "tf")}
    assert read["terraform"] < own["terraform"]


def test_a_message_finds_who_reads_its_language(index: Index) -> None:
    assert ask(index, "ZeroDivisionError: division by zero").rows[0].name == "python-debugger"


def test_nothing_is_added_that_no_entry_has(segment: Segment) -> None:
    found = words(segment, "our Stripe webhooks fail, k8s too")
    assert all(each.place is not None for each in found if each.read_from)


@pytest.mark.parametrize("said", ["back end", "back-end", "backend", "Backend", "BackEnd"])
def test_a_compound_is_one_however_it_is_written(index: Index, said: str) -> None:
    assert ask(index, f"build the {said}").rows[0].name == "backend-builder"


@pytest.mark.parametrize("said", ["database", "data base"])
def test_a_compound_that_entries_write_apart_is_found(index: Index, said: str) -> None:
    assert ask(index, f"mend the {said}").rows[0].name == "terraform-writer"


@given(st.sampled_from(["since", "last", "yesterday", "maybe"]), st.sampled_from(["ago", "yet"]))
def test_function_words_carry_nothing(one: str, other: str) -> None:
    assert Terms()(f"{one} {other}") == []


def test_a_word_of_the_lexicon_is_known(segment: Segment) -> None:
    assert is_known(segment, "grafana") and not is_known(segment, "zzyzxq")
