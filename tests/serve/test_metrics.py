"""Are the percentiles true, and are the right things counted?"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.serve.metrics import BOUNDS, FAILING, SLOW, Histogram, Metrics

durations = st.lists(st.floats(BOUNDS[0], BOUNDS[-1]), min_size=1, max_size=200)


def filled(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(durations, st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_within_five_percent(values: list[float], share: float) -> None:
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    assert exact * 0.999999 <= filled(values).percentile(share) <= exact * 1.050001


@given(durations)
def test_the_mean_is_exact(values: list[float]) -> None:
    assert filled(values).mean == pytest.approx(sum(values) / len(values))


def test_nothing_measured_is_zero() -> None:
    assert (Histogram().percentile(0.99), Histogram().mean) == (0.0, 0.0)


def test_a_percentile_never_exceeds_the_longest() -> None:
    assert filled([0.001, 0.002]).percentile(0.99) == 0.002


def test_what_is_longer_than_every_bucket_counts_as_the_last() -> None:
    histogram = filled([1e9])
    assert (histogram.total, histogram.percentile(0.5)) == (1, BOUNDS[-1])


def test_performance_names_mean_and_percentiles() -> None:
    metrics = Metrics()
    metrics.answered("querySkills", 2.0, True)
    assert metrics.performance() == {
        "avg_query_time_ms": 2.0,
        "p50_query_time_ms": 2.0,
        "p95_query_time_ms": 2.0,
        "p99_query_time_ms": 2.0,
    }


def test_only_query_methods_count_as_queries() -> None:
    metrics = Metrics()
    metrics.answered("querySkills", 2.0, True)
    metrics.answered("getHealth", 900.0, False)
    assert metrics.queries.total == 1
    assert metrics.requests == {"querySkills": 1, "getHealth": 1}


def test_errors_are_counted_by_code() -> None:
    metrics = Metrics()
    for code in (-32602, -32602, -32700):
        metrics.failed(code)
    assert metrics.errors == {-32602: 2, -32700: 1}


Counted = list[tuple[float, int, int, int, int]]
"""(second, quick answers, slow ones, failures, refusals)."""


@pytest.mark.parametrize(
    ("counted", "now", "reasons"),
    [
        ([], 1000, []),
        ([(5, 94, 0, 6, 0)], 61, [FAILING]),
        ([(5, 94, 0, 6, 0)], 59, []),  # it is not a minute yet
        ([(5, 95, 0, 5, 0)], 61, []),  # not over 5 %
        ([(5, 90, 0, 0, 99)], 61, []),  # a lock that is busy, a server that is full
        ([(5, 0, 0, 19, 0)], 61, []),  # too few to say anything
        ([(5, 94, 6, 0, 0)], 61, [SLOW]),
        ([(5, 18, 1, 0, 0)], 61, []),
        ([(5, 94, 6, 6, 0), (65, 20, 0, 0, 0)], 85, []),  # over
        ([(5, 94, 6, 6, 0)], 999, []),  # nobody looked meanwhile
        ([(5, 900, 0, 0, 0), (65, 15, 5, 5, 0)], 85, [FAILING, SLOW]),  # not the hour before
    ],
)
def test_errors_and_slow_answers_of_a_minute_are_a_reason(
    counted: Counted, now: float, reasons: list[str]
) -> None:
    moment = [0.0]
    metrics = Metrics(lambda: moment[0])
    for second in range(int(now) + 1 if now < 100 else 10):
        moment[0] = float(second)
        metrics.step()
        for at, quick, slow, failures, refusals in counted:
            if at == second:
                for ms in [1] * quick + [501] * slow:
                    metrics.answered("queryAgents", ms, True)
                for code in [-32602] * failures + [-32042, -32032] * refusals:
                    metrics.failed(code)
    moment[0] = now
    assert metrics.reasons == reasons


def test_a_call_that_waits_for_others_is_not_slow() -> None:
    moment = [0.0]
    metrics = Metrics(lambda: moment[0])
    for _ in range(100):
        metrics.answered("readInbox", 9000, False)
    moment[0] = 61
    assert metrics.reasons == []
