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


SLOW = {
    "agents/a.md": agent("database-tuner", "Makes a slow database query fast."),
    "agents/b.md": agent("prod-logger", "Writes prod logs."),
    "agents/c.md": agent("responder", "Leads the response to an incident or outage in production."),
    "agents/d.md": agent("packager", "Python packaging and dependency trouble."),
    "agents/e.md": agent("module-namer", "Names a module."),
}


@pytest.mark.parametrize(
    "text",
    [
        "die langsame Datenbankabfrage",
        "las consultas de la base de datos son lentas",
        "データベースが遅い",
    ],
)
def test_a_question_in_another_language_is_read_in_english(
    make_index: MakeIndex, text: str
) -> None:
    answer = ask(make_index(SLOW), text)
    assert answer.rows[0].name == "database-tuner"
    assert "database" in answer.reasoning and "The entries are in English" in answer.reasoning


def test_whoever_finds_nothing_in_another_language_hears_to_ask_in_english(
    make_index: MakeIndex,
) -> None:
    answer = answer_agents(
        make_index(SLOW), AgentQuery(context="mein Rasenmäher springt nicht an"), Terms()
    )
    assert not answer.rows and "The entries are in English" in answer.reasoning


def test_a_catalogue_in_the_language_of_the_question_is_asked_as_it_stands(
    make_index: MakeIndex,
) -> None:
    index = make_index({"agents/a.md": agent("pfleger", "Pflegt die langsame Datenbank.")})
    answer = ask(index, "die langsame Datenbank")
    assert answer.rows and "word by word" not in answer.reasoning


def test_the_words_of_a_message_are_no_foreign_language(make_index: MakeIndex) -> None:
    index = make_index({"agents/a.md": agent("host", "Gives servers to whoever may use ssh.")})
    answer = ask(index, "Permission denied (publickey).")
    assert "word by word" not in answer.reasoning
    assert "ssh" in answer.reasoning


def test_a_word_that_told_a_symptom_does_not_outweigh_what_it_stands_for(
    make_index: MakeIndex,
) -> None:
    assert ask(make_index(SLOW), "prod is down").rows[0].name == "responder"


def test_an_error_is_its_language_more_than_the_words_of_its_message(
    make_index: MakeIndex,
) -> None:
    answer = ask(make_index(SLOW), "ModuleNotFoundError: No module named 'requests'")
    assert answer.rows[0].name == "packager"


def test_no_word_is_told_as_matching_and_as_unknown(make_index: MakeIndex) -> None:
    answer = ask(make_index(SLOW), "ModuleNotFoundError: No module named 'requests'")
    assert "Read 'modulenotfounderror' as" in answer.reasoning
    matches = answer.reasoning.partition("matches ")[2].partition(";")[0]
    assert "modulenotfounderror" not in matches
    assert "mentions 'modulenotfounderror'" not in answer.reasoning


def test_of_two_symptoms_the_one_that_more_words_tell_is_read(make_index: MakeIndex) -> None:
    index = make_index(
        {
            "agents/a.md": agent("shipper", "Docker container build and optimization."),
            "agents/b.md": agent("painter", "Web image compression and performance."),
        }
    )
    assert ask(index, "my docker image is huge").rows[0].name == "shipper"


def test_what_only_meaning_found_is_told_so(make_index: MakeIndex) -> None:
    answer = ask(make_index({"agents/a.md": agent("cook", "Bakes bread and cake.")}), "pastry")
    assert answer.rows and "near in meaning" in answer.reasoning


def test_how_a_file_is_called_weighs_less_than_what_it_is_written_in(index: Index) -> None:
    assert ask(index, "look at manifest").rows[0].name == "layer-pointer"
    answer = ask(index, "look at manifest.py")
    assert answer.rows[0].name == "python-debugger"
    assert "Read 'manifest.py' as 'python'" in answer.reasoning
