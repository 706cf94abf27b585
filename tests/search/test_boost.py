"""How does experience change a score, and how much may it?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestr8_index.catalog.index import Index, Segment
from orchestr8_index.learn.experience import Memory
from orchestr8_index.queries import AgentQuery
from orchestr8_index.records import no_experience
from orchestr8_index.search import scorer as kernel
from orchestr8_index.search.answer import answer_agents
from orchestr8_index.search.boost import (
    BOUND,
    FLOOR,
    GAIN,
    LEAST,
    MOST,
    STEP,
    Learned,
    gain_of,
    learned_of,
)
from orchestr8_index.search.confidence import calibration_of, confidence
from orchestr8_index.search.evidence import Records, lifted
from orchestr8_index.search.query import read_query
from orchestr8_index.search.rank import parts, rank
from orchestr8_index.serve.renewal import first_hit
from orchestr8_index.text import Terms

from ..learn.reporting import decision
from ..trees import Files, agent

TUNER, WRITER, PAINTER = "tree:sql-tuner", "tree:writer", "tree:painter"


def taught(*tasks: tuple[str, str], result: str = "success") -> Memory:
    """Experience from (entry, task) pairs."""
    memory = Memory(Terms())
    for number, (entry, text) in enumerate(tasks):
        memory.add(decision(f"t{number}", text, agents_used=(entry,), result=result))
    return memory


def scores(segment: Segment, text: str, memory: Memory | None = None) -> dict[str, int]:
    known = memory.experience if memory else None
    hits = rank(segment, text, Terms(), known, segment.size).hits
    return {segment.entry(hit.place).qualified: hit.score for hit in hits}


def test_the_gain_of_a_word() -> None:
    # three successes of an entry with three: g = 3/4, A = 3
    assert gain_of(3, 3) == pytest.approx(GAIN * math.log(1 + 0.75 * 3))
    assert gain_of(0, 3) == gain_of(-2, 3) == gain_of(4, 0) == 0.0


def test_no_experience_changes_nothing(segment: Segment) -> None:
    plain = rank(segment, "a query plan", Terms())
    assert rank(segment, "a query plan", Terms(), no_experience()) == plain
    assert rank(segment, "a query plan", Terms(), Memory(Terms()).experience) == plain


def test_a_task_that_was_done_is_found_again(segment: Segment) -> None:
    memory = taught((PAINTER, "cure the xqzv"))
    assert scores(segment, "xqzv") == {}
    assert list(scores(segment, "xqzv", memory)) == [PAINTER]


def many() -> Memory:
    """Experience with more words than are looked up in one step."""
    words = [f"word{number}" for number in range(STEP)]
    tasks = [(WRITER, " ".join(words)), (WRITER, "a query plan"), (PAINTER, "cure the xqzv")]
    return taught(*tasks)


def test_what_is_bound_beforehand_is_what_a_question_would_bind(
    segment: Segment, make_index: Callable[[Files], Index]
) -> None:
    memory = many()
    late = scores(segment, "a query plan", memory)
    BOUND.pop(segment, None)
    steps = list(Learned(segment).catching_up(memory.experience))
    assert len(steps) >= 2
    BOUND[segment] = bound = Learned(segment)
    bound.catch_up(memory.experience)
    assert list(bound.catching_up(memory.experience)) == []
    assert scores(segment, "a query plan", memory) == late


@pytest.mark.parametrize("asked", [True, False])
def test_what_is_learnt_between_two_steps_counts(segment: Segment, asked: bool) -> None:
    memory = many()
    for _ in learned_of(segment).catching_up(memory.experience):
        memory.add(decision("later", "mend a tap for the writer", agents_used=(WRITER,)))
        memory.add(decision("gone", "words of a moment", agents_used=(PAINTER,)))
        memory.remove(decision("gone", "words of a moment", agents_used=(PAINTER,)))
        if asked:
            scores(segment, "mend a tap", memory)
    found = scores(segment, "mend a tap or plan", memory)
    BOUND.pop(segment, None)
    assert found == scores(segment, "mend a tap or plan", memory)


def test_words_that_came_for_others_that_went_are_looked_up(segment: Segment) -> None:
    memory = taught((WRITER, "cure the xqzv and the heron"))
    scores(segment, "a plan", memory)
    memory.remove(decision("t0", "cure the xqzv and the heron", agents_used=(WRITER,)))
    memory.add(decision("t1", "a query plan for a database", agents_used=(WRITER,)))
    kept = scores(segment, "a plan", memory)
    BOUND.pop(segment, None)
    assert scores(segment, "a plan", memory) == kept


def test_an_entry_without_history_keeps_its_score(segment: Segment) -> None:
    memory = taught((WRITER, "make queries fast"), (WRITER, "plan a database"))
    before, after = (scores(segment, "a plan with colours", known) for known in (None, memory))
    assert after[PAINTER] == before[PAINTER] and after[TUNER] == before[TUNER]
    assert after[WRITER] != before[WRITER]


def test_a_failure_lowers_the_score_of_who_failed_alone(segment: Segment) -> None:
    memory = taught((WRITER, "a query plan"), result="failure")
    before, after = scores(segment, "a query plan"), scores(segment, "a query plan", memory)
    assert 0 < after.pop(WRITER) < before.pop(WRITER) and after == before
    assert scores(segment, "manuals", memory) == scores(segment, "manuals")


def test_failures_take_from_what_successes_gave(segment: Segment) -> None:
    memory = taught((PAINTER, "cure the xqzv"), (PAINTER, "cure a xqzv now"))
    text = "xqzv manuals for fast queries"
    before = scores(segment, text, memory)[PAINTER]
    memory.add(decision("f", "cure xqzv", agents_used=(PAINTER,), result="failure"))
    assert 0 < scores(segment, text, memory)[PAINTER] < before


def test_other_tasks_make_an_entry_longer(segment: Segment) -> None:
    memory = taught(*((WRITER, f"{word} for xqzvs") for word in ("songs", "poems", "letters")))
    assert scores(segment, "manuals", memory)[WRITER] < scores(segment, "manuals")[WRITER]


def test_what_is_forgotten_leaves_no_trace(segment: Segment) -> None:
    memory = taught((WRITER, "paint xqzvs"), (PAINTER, "paint xqzvs"))
    assert scores(segment, "paint walls", memory) != scores(segment, "paint walls")
    for number, entry in enumerate((WRITER, PAINTER)):
        memory.remove(decision(f"t{number}", "paint xqzvs", agents_used=(entry,)))
    assert scores(segment, "paint walls", memory) == scores(segment, "paint walls")


def test_another_memory_of_the_same_revision_is_another(segment: Segment) -> None:
    """Norms that one experience had worked out were taken for another's."""
    first, second = taught((WRITER, "cure xqzvs")), taught((PAINTER, "cure xqzvs"))
    scores(segment, "manuals about colours", first)
    again = scores(segment, "manuals about colours", second)
    BOUND.pop(segment, None)
    assert scores(segment, "manuals about colours", second) == again


def test_an_entry_that_is_no_longer_there_is_passed_over(segment: Segment) -> None:
    assert scores(segment, "xqzv", taught(("tree:gone", "cure xqzvs"))) == {}


def test_the_reasoning_tells_of_it(make_index: Callable[[Files], Index]) -> None:
    index = make_index({"agents/a.md": agent("one"), "agents/b.md": agent("two")})
    memory = taught(("tree:two", "rotate the TLS certs"))
    query = AgentQuery(context="rotate certs", explain=True)
    told = answer_agents(index, query, Terms(), memory.experience)
    assert told.rows[0].name == "two"
    assert "has won 1 task, 'rotate the TLS certs'" in told.reasoning
    assert any("experience" in line.term for line in told.rows[0].explanation)


# --- properties --------------------------------------------------------------------------------

WORDS = "review code api test data plan design database release notes security xqzv".split()
TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
TASKS = st.lists(
    st.tuples(st.integers(0, 23), TEXT, st.sampled_from(["success", "success", "failure"])),
    max_size=30,
)


def memory_of(segment: Segment, tasks: Iterable[tuple[int, str, Any]], times: int = 1) -> Memory:
    memory = Memory(Terms())
    for number, (place, text, result) in enumerate(list(tasks) * times):
        entry = segment.entry(place).qualified
        given = {"agents_used": (entry,), "result": result, "caller": str(number)}
        memory.add(decision(f"t{number}", text, **given))
    return memory


def both(segment: Segment, text: str, memory: Memory, made: Any) -> tuple[Any, Any, float]:
    """(totals by the text alone, totals with experience, highest), under the same weights."""
    query = read_query(segment, text, Terms(), memory.experience)
    own, learnt = (made(segment, parts(segment, query)) for _ in range(2))
    Learned(segment).apply(learnt, query.weights, query.by_words, memory.experience)
    return own, learnt, query.by_words


@given(TASKS, TEXT, st.sampled_from([1, 40]))
def test_no_history_lifts_an_entry_over_the_floor(
    shipped_index: Index, tasks: list[Any], text: str, times: int
) -> None:
    """FLOOR is the X of the promise: who is ahead by more on the text alone stays ahead."""
    segment = shipped_index.segments["agent"]
    memory = memory_of(segment, tasks, times)
    own, learnt, highest = both(segment, text, memory, kernel.PlainTotals)
    before, after = (totals.at(range(segment.size)) for totals in (own, learnt))
    for one, other in zip(before, after, strict=True):
        assert -LEAST - 1e-6 <= (other - one) / highest <= MOST + 1e-6
    for first in range(segment.size):
        for second in range(segment.size):
            if (before[first] - before[second]) / highest > FLOOR + 1e-6:
                assert after[first] > after[second]


@given(TASKS, TEXT)
def test_whoever_has_no_history_scores_as_before(
    shipped_index: Index, tasks: list[Any], text: str
) -> None:
    segment = shipped_index.segments["agent"]
    memory = memory_of(segment, tasks)
    own, learnt, _ = both(segment, text, memory, kernel.PlainTotals)
    strangers = sorted(set(range(segment.size)) - {place for place, _, _ in tasks})
    assert learnt.at(strangers) == own.at(strangers)


@given(TASKS, TEXT)
def test_both_kernels_learn_alike(shipped_index: Index, tasks: list[Any], text: str) -> None:
    segment = shipped_index.segments["agent"]
    memory = memory_of(segment, tasks)
    plain, fast = (
        both(segment, text, memory, made)[1].best(segment.size)
        for made in (kernel.PlainTotals, kernel.NumpyTotals)
    )
    assert plain == fast


@given(TASKS, TEXT, st.integers(1, 6))
def test_nobody_who_is_passed_over_would_come_among_the_best(
    shipped_index: Index, tasks: list[Any], text: str, depth: int
) -> None:
    segment = shipped_index.segments["agent"]
    known = memory_of(segment, tasks, 2).experience
    own, learnt, highest = both(segment, text, memory_of(segment, tasks, 2), kernel.PlainTotals)
    query, bound = read_query(segment, text, Terms(), known), Learned(segment)
    bound.catch_up(known)
    best, records = learnt.best(depth), Records(bound, query, known)
    assume(best)
    plain = dict(own.best(depth))
    few, all_of_them = (
        lifted(best, learnt, plain, records, int(highest), most) for most in (len(best), 40)
    )
    assert few == all_of_them[: len(best)]


@given(TASKS, TASKS, TEXT, st.randoms(use_true_random=False))
def test_norms_kept_between_questions_are_those_worked_out_anew(
    shipped_index: Index, early: list[Any], late: list[Any], text: str, draw: Random
) -> None:
    """Whatever was reported and removed, in whatever order, with questions between."""
    segment = shipped_index.segments["agent"]
    memory, told = Memory(Terms()), list[Any]()
    for number, (place, task, result) in enumerate([*early, *late]):
        entry = segment.entry(place).qualified
        told.append(decision(f"u{number}", task, agents_used=(entry,), result=result))
        memory.add(told[-1])
        if draw.random() < 0.4:
            memory.remove(told.pop(draw.randrange(len(told))))
        if draw.random() < 0.5:
            scores(segment, text, memory)
    kept = scores(segment, text, memory)
    BOUND.pop(segment, None)
    assert scores(segment, text, memory) == kept


# --- what was learnt is heard ------------------------------------------------------------------


def heard(segment: Segment, text: str, memory: Memory) -> tuple[dict[str, float], str, float]:
    """(relative scores, the first entry, its confidence)"""
    judged = memory.judged["agent"].items()
    pairs = [first_hit(segment, task, outcome, Terms()) for task, outcome in judged]
    memory.calibrate("agent", calibration_of([pair for pair in pairs if pair]))
    known = memory.experience
    ranking = rank(segment, text, Terms(), known, segment.size)
    found = {segment.entry(hit.place).qualified: hit.relative for hit in ranking.hits}
    sure = confidence(segment, ranking, known.shifts["agent"])
    return found, next(iter(found), ""), sure


def after_one_more(
    segment: Segment, tasks: list[Any], told: tuple[int, str], result: str, asked: str
) -> tuple[str, Any, Any]:
    memory = memory_of(segment, tasks)
    entry, before = segment.entry(told[0]).qualified, heard(segment, asked, memory)
    given = {"agents_used": (entry,), "result": result, "caller": "one more"}
    memory.add(decision("one more", told[1], **given))
    return entry, before, heard(segment, asked, memory)


@given(TASKS, st.tuples(st.integers(0, 23), TEXT), TEXT)
def test_no_failure_raises_score_or_confidence_of_who_failed(
    shipped_index: Index, tasks: list[Any], told: tuple[int, str], asked: str
) -> None:
    segment = shipped_index.segments["agent"]
    entry, before, after = after_one_more(segment, tasks, told, "failure", asked)
    assert after[0].get(entry, 0) <= before[0].get(entry, 0)
    if after[1] == before[1] == entry:
        assert after[2] <= before[2]


@given(TASKS, st.tuples(st.integers(0, 23), TEXT))
def test_no_success_lowers_score_or_confidence_for_the_same_task(
    shipped_index: Index, tasks: list[Any], told: tuple[int, str]
) -> None:
    segment = shipped_index.segments["agent"]
    entry, before, after = after_one_more(segment, tasks, told, "success", told[1])
    assert after[0].get(entry, 0) >= before[0].get(entry, 0)
    if after[1] == before[1] == entry:
        assert after[2] >= before[2]


def test_a_success_takes_nothing_however_its_words_were_read(shipped_index: Index) -> None:
    """What was learnt of all words left less to meaning, also in what the text alone says: the
    confidence in "cohorts postgresql" fell by a fifth. What was learnt of a misspelt or a foreign
    word is read as it stands, and that took some, too."""
    segment = shipped_index.segments["agent"]
    entries = [segment.entry(place) for place in range(segment.size)]
    texts = ["cohorts postgresql", "la consulta tarda 30 segundos", "die Tests schlagen alle fehl"]
    texts += ["500 pgsql dashbords", "LLMのJSONがよく壊れる", "los botones se ven feos"]
    for text in [*texts, *(entry.name.replace("-", " ") for entry in entries)]:
        before, first, sure = heard(segment, text, memory_of(segment, []))
        place = [entry.qualified for entry in entries].index(first)
        after, winner, surer = heard(segment, text, memory_of(segment, [(place, text, "success")]))
        assert winner == first and surer >= sure and after[first] >= before[first]


@given(st.integers(0, 23), TEXT)
def test_who_has_won_a_task_three_times_is_first_and_sure_for_it(
    shipped_index: Index, place: int, text: str
) -> None:
    segment = shipped_index.segments["agent"]
    memory = memory_of(segment, [(place, text, "success")] * 3)
    query = read_query(segment, text, Terms(), memory.experience)
    own, floor = kernel.add_up(segment, parts(segment, query)), FLOOR * query.by_words
    _, first, sure = heard(segment, text, memory)
    before = own.at(range(segment.size))
    if max(before) - before[place] <= floor:
        assert first == segment.entry(place).qualified and sure >= 0.6
