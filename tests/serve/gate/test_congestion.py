"""Is a burst worked off, and a lasting overload turned away?"""

from __future__ import annotations

import pytest

from orchestr8_index.errors import Overloaded
from orchestr8_index.serve.gate.congestion import Congestion

from .test_rate import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def refused(congestion: Congestion, clock: Clock, waited: float, seconds: float) -> int:
    """How many of requests that come each 10 ms, and have waited so long, are turned away."""
    count = 0
    for _ in range(round(seconds * 100)):
        clock.now += 0.01
        try:
            congestion.check(clock.now - waited)
        except Overloaded:
            count += 1
    return count


def test_a_burst_is_worked_off(clock: Clock) -> None:
    assert refused(Congestion(45, clock), clock, waited=0.2, seconds=0.2) == 0


def test_who_waited_too_long_in_a_lasting_overload_is_turned_away(clock: Clock) -> None:
    congestion = Congestion(45, clock)
    assert refused(congestion, clock, waited=0.1, seconds=1.0) > 70
    assert refused(congestion, clock, waited=0.01, seconds=0.1) == 0


def test_after_a_calm_moment_it_is_patient_again(clock: Clock) -> None:
    congestion = Congestion(45, clock)
    refused(congestion, clock, waited=0.1, seconds=1.0)
    clock.now += 1
    assert refused(congestion, clock, waited=0.1, seconds=0.2) == 0
