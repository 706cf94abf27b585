"""Which sequence of agents worked for goals like this?"""

from __future__ import annotations

import pytest

from orchestr8_index.learn.experience import Memory
from orchestr8_index.learn.patterns import (
    PER_SEQUENCE,
    Patterns,
    best,
    is_offered,
    is_retired,
    missing_agents,
)
from orchestr8_index.records import Decision, Pattern
from orchestr8_index.text import Terms

from .reporting import decision

CERTS = "rotate the TLS certs of the gateway"


@pytest.fixture
def patterns() -> Patterns:
    return Patterns(Memory(Terms()).task)


def add(patterns: Patterns, number: int, text: str = CERTS, **given: object) -> Pattern | None:
    counted = patterns.add(assigned(patterns, number, text, **given))
    return counted[0] if counted else None


def assigned(patterns: Patterns, number: int, text: str = CERTS, **given: object) -> Decision:
    made = patterns.assign(decision(f"t{number}", text, id=number, **given))
    patterns.release(made)
    return made


def test_a_success_founds_a_pattern_with_its_task_as_the_goal(patterns: Patterns) -> None:
    founded = patterns.add(assigned(patterns, 1, agents_used=("p:a", "p:b")))
    assert founded and founded[1]
    assert (founded[0].goal, founded[0].agent_sequence) == (CERTS, ("p:a", "p:b"))
    assert founded[0].parallel_groups == [["p:a"], ["p:b"]]


@pytest.mark.parametrize("result", ["failure", "partial"])
def test_only_a_success_founds(patterns: Patterns, result: str) -> None:
    assert add(patterns, 1, result=result) is None
    assert list(patterns) == []


def test_who_is_alike_joins_and_who_is_not_founds(patterns: Patterns) -> None:
    first = add(patterns, 1)
    assert add(patterns, 2, "rotate TLS certs of the gateways") is first
    assert add(patterns, 3, "write release notes") is not first
    assert add(patterns, 4, CERTS, agents_used=("p:b",)) is not first
    assert [p.success_count for p in patterns] == [2, 1, 1]


def test_the_most_alike_is_joined(patterns: Patterns) -> None:
    """The oldest was: which one that is was forgotten by a restart."""
    add(patterns, 1, "rotate TLS certs")
    near = add(patterns, 2, "deploy gateway proxies with fresh config")
    assert add(patterns, 3, "rotate gateway proxies with fresh config") is near


def test_a_partial_result_counts_for_none(patterns: Patterns) -> None:
    add(patterns, 1)
    assert add(patterns, 2, result="partial") is None


def test_means_are_over_the_counted_uses(patterns: Patterns) -> None:
    for number, spent in enumerate((10.0, None, 30.0)):
        made = add(patterns, number, duration_ms=spent, tokens_saved=number)
    assert made and (made.duration_total, made.duration_count) == (40.0, 2)
    assert (made.tokens_total, made.tokens_count) == (3, 3)


def test_a_sequence_has_a_bound(patterns: Patterns) -> None:
    for number in range(PER_SEQUENCE + 5):
        add(patterns, number, f"task{number}")
    assert len(list(patterns)) == PER_SEQUENCE
    assert add(patterns, 99, "task3") is not None


def test_two_successes_make_it_known(patterns: Patterns) -> None:
    first = add(patterns, 1)
    assert first and not is_offered(first)
    add(patterns, 2)
    assert is_offered(first)


@pytest.mark.parametrize(
    ("won", "lost", "retired"),
    [(1, 3, False), (1, 4, True), (2, 4, False), (0, 5, True), (3, 7, False), (2, 5, True)],
)
def test_under_three_tenths_after_five_uses_it_retires(won: int, lost: int, retired: bool) -> None:
    pattern = Pattern(id=1, goal="g", agent_sequence=("p:a",), success_count=won)
    pattern.failure_count, pattern.stored = lost, True
    assert (is_retired(pattern), is_offered(pattern)) == (retired, not retired)


def test_a_retired_pattern_is_kept_and_comes_back(patterns: Patterns) -> None:
    for number in range(8):
        add(patterns, number, result="success" if number < 2 else "failure")
    (only,) = patterns
    assert is_retired(only) and patterns.near(CERTS) == [] and patterns.vote(CERTS) is None
    add(patterns, 9)
    assert patterns.near(CERTS)[0][0] is only


def test_a_stored_pattern_is_offered_at_once(patterns: Patterns) -> None:
    drafted, created = patterns.draft(CERTS, ("p:a",), "2026")
    assert created and list(patterns) == []
    patterns.keep(drafted)
    assert [p.id for p, _ in patterns.near(CERTS)] == [drafted.id]


def test_storing_what_was_founded_keeps_its_record(patterns: Patterns) -> None:
    founded = add(patterns, 1)
    drafted, created = patterns.draft(CERTS, ("p:a",), "2027")
    patterns.keep(drafted)
    assert founded and not created
    assert (founded.stored, founded.success_count, founded.updated_at) == (True, 1, "2027")


def test_a_draft_whose_pattern_went_meanwhile_begins_anew(patterns: Patterns) -> None:
    add(patterns, 1)
    drafted, _ = patterns.draft(CERTS, ("p:a",), "2027")
    patterns.remove(decision(text=CERTS, pattern=drafted.id), lambda number: None)
    patterns.keep(drafted)
    assert [(p.id, p.success_count, p.stored) for p in patterns] == [(drafted.id, 0, True)]


def test_what_is_removed_leaves_its_pattern_to_the_next_or_takes_it_along(
    patterns: Patterns,
) -> None:
    first = assigned(patterns, 1)
    patterns.add(first)
    second = assigned(patterns, 2, f"{CERTS} now")
    patterns.add(second)
    patterns.remove(first, lambda number: second)
    assert [(p.goal, p.success_count) for p in patterns] == [(f"{CERTS} now", 1)]
    patterns.remove(second, lambda number: None)
    assert (list(patterns), patterns.near(CERTS), patterns.gone) == ([], [], {first.pattern})


def test_a_report_that_is_not_written_founds_nothing(patterns: Patterns) -> None:
    made, follower = (patterns.assign(decision(id=n, text=CERTS)) for n in (1, 2))
    assert made.pattern == follower.pattern
    patterns.release(made)
    assert patterns.add(follower)
    patterns.release(follower)
    assert [p.success_count for p in patterns] == [1]
    patterns.release(patterns.assign(decision(id=3, text="write release notes")))
    assert len(patterns.by_id) == 1


def test_nearest_goals_vote_for_their_sequence(patterns: Patterns) -> None:
    for number, agents in enumerate([("p:a",), ("p:a",), ("p:b",)]):
        text = f"rotate the certs of gateway number{number % 2}"
        add(patterns, number, text, agents_used=agents)
        add(patterns, number + 10, text, agents_used=agents)
    voted = patterns.vote("rotate certs")
    assert voted and voted[0].agent_sequence == ("p:a",)
    assert patterns.vote("zebra") is None


def test_ranked_by_similarity_times_success_rate() -> None:
    sure = Pattern(id=1, goal="g", agent_sequence=(), success_count=9, failure_count=1)
    alike = Pattern(id=2, goal="g", agent_sequence=(), success_count=1, failure_count=1)
    unused = Pattern(id=3, goal="g", agent_sequence=(), stored=True)
    ranked = best([(unused, 0.9), (alike, 1.0), (sure, 0.8)])
    assert [pattern.id for pattern, _ in ranked] == [1, 2, 3]


def test_agents_that_are_gone_are_named_once() -> None:
    pattern = Pattern(id=1, goal="g", agent_sequence=("p:a", "p:x", "p:x"))
    assert missing_agents(pattern, {"p:a"}.__contains__) == ["p:x"]


def test_a_decision_without_agents_makes_no_pattern(patterns: Patterns) -> None:
    """So reads a row whose list of agents was altered on the disk."""
    assert add(patterns, 1, agents_used=()) is None
