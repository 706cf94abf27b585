"""The user's own outcomes move a kind's confidence by one bounded number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.search.confidence_fit import SHIPPED_FIT
from orchestr8_index.search.shift import EVERY, MOST, Outcome, Shift, log_odds, moved

OUTCOMES = st.lists(
    st.builds(Outcome, st.floats(0, 1), st.booleans(), st.integers(1, 50)), max_size=12
)


def test_without_outcomes_nothing_moves() -> None:
    assert log_odds([]) == 0


def test_outcomes_as_good_as_said_move_nothing() -> None:
    assert log_odds([Outcome(0.5, True, 40), Outcome(0.5, False, 40)]) == 0


def test_many_outcomes_meet_the_share_that_was_right() -> None:
    shift = log_odds([Outcome(0.5, True, 6_000), Outcome(0.5, False, 4_000)])
    assert abs(share_at(shift) - 0.6) < 0.005


def share_at(log_odds: float) -> float:
    seen = dict.fromkeys(SHIPPED_FIT.coefficients, 0.0)
    odds = SHIPPED_FIT.intercept
    return SHIPPED_FIT.probability(seen, log_odds - odds)


def test_few_outcomes_move_it_little() -> None:
    assert 0 > log_odds([Outcome(0.5, False)]) > -0.2


@given(OUTCOMES, st.floats(0, 1))
def test_a_failure_never_raises_it_and_a_success_never_lowers_it(
    outcomes: list[Outcome], said: float
) -> None:
    before = log_odds(outcomes)
    assert log_odds([*outcomes, Outcome(said, False)]) <= before
    assert log_odds([*outcomes, Outcome(said, True)]) >= before
    assert -MOST <= before <= MOST


@given(OUTCOMES)
def test_the_order_of_outcomes_does_not_matter(outcomes: list[Outcome]) -> None:
    assert log_odds(outcomes) == log_odds(outcomes[::-1])


def test_it_moves_at_most_every_ten_minutes() -> None:
    first = moved(Shift(), [Outcome(0.9, False, 2)], 100.0)
    assert first.log_odds < 0
    worse = [Outcome(0.9, False, 4)]
    assert moved(first, worse, 100.0 + EVERY - 1) == first
    assert moved(first, worse, 100.0 + EVERY).log_odds < first.log_odds


def test_a_confidence_is_shifted_in_its_log_odds() -> None:
    seen = dict.fromkeys(SHIPPED_FIT.coefficients, 0.1)
    plain = SHIPPED_FIT.probability(seen)
    assert SHIPPED_FIT.probability(seen, -0.5) < plain < SHIPPED_FIT.probability(seen, 0.5)
