"""Does everybody get their share of questions a second, and no more?"""

from __future__ import annotations

import pytest

from orchestr8_index.errors import TooManyRequests
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.shares import BURST_SECONDS, MOST_CALLERS, Buckets
from orchestr8_index.serve.state import State

from ..clocks import Clock
from .asking import ask
from .lines import with_limits


def admitted(buckets: Buckets, name: str, asked: int) -> int:
    done = 0
    for _ in range(asked):
        try:
            buckets.charge(name)
        except TooManyRequests:
            continue
        done += 1
    return done


def test_a_burst_passes_then_the_rate_holds(clock: Clock) -> None:
    buckets = Buckets(10, clock)
    assert admitted(buckets, "a", 100) == 10 * BURST_SECONDS
    clock.now += 2
    assert admitted(buckets, "a", 100) == 20


def test_callers_do_not_share(clock: Clock) -> None:
    buckets = Buckets(1, clock)
    assert admitted(buckets, "a", 9) == admitted(buckets, "b", 9) == BURST_SECONDS


def test_it_says_how_long_to_wait(clock: Clock) -> None:
    buckets = Buckets(1, clock)
    admitted(buckets, "a", 9)
    with pytest.raises(TooManyRequests) as refused:
        buckets.charge("a", 3)
    clock.now += refused.value.seconds
    buckets.charge("a", 3)


def test_what_a_bucket_cannot_hold_is_let_through_full_and_owed(clock: Clock) -> None:
    buckets = Buckets(1, clock)
    buckets.charge("a", 100)
    clock.now += 50
    assert admitted(buckets, "a", 1) == 0
    clock.now += 50
    assert admitted(buckets, "a", 1) == 1


def test_without_a_rate_everything_passes() -> None:
    assert admitted(Buckets(0), "a", 1000) == 1000


def test_the_callers_remembered_are_bounded(clock: Clock) -> None:
    buckets = Buckets(1, clock)
    for number in range(MOST_CALLERS + 100):
        buckets.charge(str(number))
    assert len(buckets._buckets) == MOST_CALLERS


def test_over_the_rate_it_is_429_with_retry_after(module_state: State) -> None:
    app = make_web(with_limits(module_state, rate=1))
    for _ in range(BURST_SECONDS):
        assert ask(app, "GET", "/nowhere").status_code == 404
    answer = ask(app, "POST", "/", content=b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, -32029)
    assert int(answer.headers["retry-after"]) >= 1
    assert ask(app, "GET", "/health").status_code == 200


def test_each_call_of_a_batch_counts(module_state: State) -> None:
    app = make_web(with_limits(module_state, rate=1))
    call = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
    assert ask(app, "POST", "/", json=[call] * BURST_SECONDS).status_code == 200
    assert ask(app, "POST", "/", json=call).status_code == 429
