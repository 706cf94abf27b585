"""Is the text what Prometheus reads, with the same figures as the JSON?"""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestr8_index.serve.prometheus import exposition
from orchestr8_index.serve.state import State

from .asking import call


def samples(state: State) -> dict[tuple[str, str], float]:
    """Values by sample name and the value of its only or last label."""
    families = text_string_to_metric_families(exposition(state).decode())
    return {
        (sample.name, "".join(list(sample.labels.values())[-1:])): sample.value
        for family in families
        for sample in family.samples
    }


def test_entries_are_told_by_kind(state: State) -> None:
    found = samples(state)
    assert [found["orchestr8_entries", kind] for kind in ("agents", "skills", "workflows")] == [
        24,
        8,
        8,
    ]


def test_requests_and_errors_are_counted(state: State) -> None:
    call(state, "querySkills", context="release notes")
    call(state, "nope")
    found = samples(state)
    assert found["orchestr8_requests_total", "querySkills"] == 1
    assert found["orchestr8_errors_total", "-32601"] == 1


def test_the_cache_is_told(state: State) -> None:
    for _ in range(3):
        call(state, "querySkills", context="release notes")
    found = samples(state)
    assert found["orchestr8_cache_hits_total", ""] == 2
    assert found["orchestr8_cache_misses_total", ""] == 1


def test_durations_are_a_cumulative_histogram_in_seconds(state: State) -> None:
    for milliseconds in (1.0, 10.0, 100_000.0):
        state.metrics.answered("querySkills", milliseconds, True)
    text = exposition(state).decode()
    assert 'orchestr8_request_duration_seconds_bucket{le="+Inf",method="querySkills"} 3.0' in text
    assert samples(state)["orchestr8_request_duration_seconds_sum", "querySkills"] == (
        pytest.approx(100.011)
    )


def test_buckets_never_fall(state: State) -> None:
    for milliseconds in (0.001, 0.5, 1.0, 10.0, 100_000.0):
        state.metrics.answered("querySkills", milliseconds, True)
    lines = [line for line in exposition(state).decode().splitlines() if "_bucket{" in line]
    counts = [float(line.rsplit(" ", 1)[1]) for line in lines]
    assert counts == sorted(counts)
    assert counts[-1] == 5


def test_a_degraded_server_is_not_healthy(state: State) -> None:
    assert samples(state)["orchestr8_healthy", ""] == 1
    state.refresh.failure = "The disk is full."
    assert samples(state)["orchestr8_healthy", ""] == 0


def test_a_starting_server_can_be_scraped(starting: State) -> None:
    assert samples(starting)["orchestr8_generation", ""] == 0
