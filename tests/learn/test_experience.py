"""What has been learnt so far?"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.learn.experience import CAP, SAMPLES, Memory
from orchestr8_index.records import Decision
from orchestr8_index.text import Terms

from .reporting import decision


@pytest.fixture
def memory() -> Memory:
    return Memory(Terms())


def won(memory: Memory, word: str = "cert", entry: str = "p:a") -> int:
    return memory.experience.words["agent"].get(entry, {}).get(word, 0)


def test_successes_and_failures_are_counted_apart(memory: Memory) -> None:
    assert memory.add(decision()) == {"p:a": 4}
    assert memory.add(decision("t2", result="failure")) == {"p:a": -1}
    assert (won(memory), won(memory, "tls cert")) == (1, 1)
    assert memory.experience.failed["agent"]["p:a"]["cert"] == 1
    assert (memory.wins["agent"], memory.losses["agent"]) == ({"p:a": 1}, {"p:a": 1})


def test_removing_leaves_nothing(memory: Memory) -> None:
    memory.add(decision())
    memory.remove(decision())
    assert memory.counted() == Memory(Terms()).counted()


def test_the_entries_of_a_word_are_those_with_won(memory: Memory) -> None:
    memory.add(decision(agents_used=("p:b", "p:a")))
    assert list(memory.experience.terms["agent"]["cert"]) == ["p:a", "p:b"]
    memory.remove(decision(agents_used=("p:b",)))
    assert list(memory.experience.terms["agent"]["cert"]) == ["p:a"]


def test_one_caller_counts_at_most_cap_times_for_near_equal_texts(memory: Memory) -> None:
    for number in range(CAP + 5):
        text = "rotate the TLS certs" if number % 2 else "Rotate TLS certs!"
        memory.add(decision(f"t{number}", text))
    assert (memory.wins["agent"]["p:a"], won(memory)) == (CAP, CAP)
    assert memory.add(decision("t99")) == {"p:a": 0}


def test_another_caller_counts_anew(memory: Memory) -> None:
    for caller in ("x", "y"):
        for number in range(CAP + 1):
            memory.add(decision(f"{caller}{number}", caller=caller))
    assert memory.wins["agent"]["p:a"] == 2 * CAP


def test_failures_are_capped_too(memory: Memory) -> None:
    for number in range(CAP + 5):
        memory.add(decision(f"t{number}", result="failure"))
    assert memory.failed["agent"]["p:a"]["cert"] == CAP


@given(st.sets(st.sampled_from("cert key log disk page user role index".split()), min_size=1))
def test_distinct_tasks_are_never_capped(words: set[str]) -> None:
    memory = Memory(Terms())
    texts = [f"rotate {word}" for word in sorted(words)]
    for number, text in enumerate(texts):
        memory.add(decision(f"t{number}", text))
    assert memory.wins["agent"]["p:a"] == len(texts)


def test_within_the_cap_it_does_not_matter_which_went(memory: Memory) -> None:
    for number in range(CAP + 1):
        memory.add(decision(f"t{number}"))
    memory.remove(decision("t0"))
    assert won(memory) == CAP
    memory.remove(decision("t1"))
    assert won(memory) == CAP - 1


DECISIONS = st.lists(
    st.builds(
        decision,
        st.sampled_from("abcdef"),
        st.sampled_from(["rotate certs", "certs rotate", "Rotate certs!", "rotate keys"]),
        agents_used=st.sampled_from([("p:a",), ("p:a", "p:b")]),
        result=st.sampled_from(["success", "failure"]),
    ),
    max_size=12,
)


@given(DECISIONS, st.randoms(use_true_random=False))
def test_any_order_of_adding_and_removing_is_a_sum(made: list[Decision], draw: object) -> None:
    gone = made[: len(made) // 2]
    mixed, plain = Memory(Terms()), Memory(Terms())
    for each in [*made, *reversed(made)]:
        mixed.add(each)
    for each in [*made, *gone]:
        mixed.remove(each)
    for each in made[len(gone) :]:
        plain.add(each)
    assert mixed.counted() == plain.counted()


@given(DECISIONS)
def test_a_dump_comes_back_whole(made: list[Decision]) -> None:
    memory, again = Memory(Terms()), Memory(Terms())
    for each in made:
        memory.add(each)
    again.load(memory.dump())
    assert (again.counted(), again.revision) == (memory.counted(), memory.revision)


@given(DECISIONS, st.randoms(use_true_random=False))
def test_the_words_of_a_count_are_kept_in_step(made: list[Decision], draw: Random) -> None:
    memory, entries = Memory(Terms()), {each for one in made for each in one.agents_used}
    for entry in entries:
        memory.counts("agent", entry)
    for one in made:
        memory.add(one)
        if draw.random() < 0.4:
            memory.remove(one)
    for entry in entries:
        words = memory.words["agent"].get(entry, {})
        kept = {of: n for of, n in memory.counts("agent", entry).items() if of[0] and n}
        assert kept == Counter((won, " " in word) for word, won in words.items() if won)


def test_what_changed_is_told_by_revision(memory: Memory) -> None:
    memory.add(decision())
    middle = memory.revision
    memory.add(decision("t2", agents_used=("p:b",)))
    assert list(memory.changed_since("agent", middle)) == ["p:b"]
    assert list(memory.changed_since("agent", 0)) == ["p:b", "p:a"]
    assert list(memory.changed_since("skill", 0)) == []


def test_the_past_task_most_alike_is_named(memory: Memory) -> None:
    memory.add(decision("t1", "rotate the TLS certs"))
    memory.add(decision("t2", "write\n release  notes"))
    assert memory.alike("agent", "p:a", {"releas", "note"}) == "write release notes"
    assert memory.alike("agent", "p:a", {"zebra"}) == memory.alike("agent", "p:x", {"tls"}) == ""


def test_few_samples_are_kept(memory: Memory) -> None:
    for number in range(SAMPLES + 4):
        memory.add(decision(f"t{number}", f"task{number}"))
    assert memory.alike("agent", "p:a", {"task3"}) == ""
    assert memory.alike("agent", "p:a", {"task4"}) == "task4"


def test_an_agent_and_a_skill_of_one_name_are_two(memory: Memory) -> None:
    moved = memory.add(decision(skills_used=("p:a",)))
    assert (moved, memory.wins["agent"], memory.wins["skill"]) == (
        {"p:a": 8},
        {"p:a": 1},
        {"p:a": 1},
    )


def test_a_task_of_stop_words_is_a_win_without_words(memory: Memory) -> None:
    memory.add(decision(text="the and of"))
    assert (memory.wins["agent"], memory.words["agent"]) == ({"p:a": 1}, {})
