"""Are the percentiles true, and are the right things counted?"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.serve.metrics import BOUNDS, Histogram, Metrics

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
