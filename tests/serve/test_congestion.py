"""Is a burst worked off, and a lasting overload turned away?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from orchestr8_index.errors import Overloaded
from orchestr8_index.serve.congestion import Congestion

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


class Turns:
    """Requests that come each 10 ms, `crowd` at once; `waits` is how long those let in wait."""

    def __init__(self, clock: Clock, crowd: int, waits: float = 0.0) -> None:
        self.congestion, self._clock = Congestion(80, clock), clock
        self._crowd, self._waits, self._soon = crowd, waits, list[Callable[[], Any]]()

    def turn(self) -> int:
        """How many are let in."""
        self._clock.now += 0.01
        for call in self._soon:
            call()
        self._soon.clear()
        taken = sum(self.congestion.admits(self._soon.append) for _ in range(self._crowd))
        for _ in range(taken):
            with contextlib.suppress(Overloaded):
                self.congestion.check(self._clock.now - self._waits)
        return taken

    def overload(self) -> None:
        for _ in range(30):
            self._clock.now += 0.01
            with contextlib.suppress(Overloaded):
                self.congestion.check(self._clock.now - 0.1)


def test_without_congestion_everybody_is_let_in(clock: Clock) -> None:
    turns = Turns(clock, crowd=500, waits=0.079)
    assert [turns.turn() for _ in range(100)] == [500] * 100


def test_in_congestion_more_are_let_in_as_long_as_nobody_is_late(clock: Clock) -> None:
    turns = Turns(clock, crowd=500)
    turns.overload()
    assert [turns.turn() for _ in range(4)] == [8, 4, 5, 6]  # the overload was late


def test_half_as_many_when_they_wait_too_long_but_never_none(clock: Clock) -> None:
    turns = Turns(clock, crowd=500, waits=0.03)
    turns.overload()
    assert [turns.turn() for _ in range(5)] == [8, 4, 2, 1, 1]


def test_congestion_ends_when_nobody_was_refused_for_a_moment(clock: Clock) -> None:
    turns = Turns(clock, crowd=500)
    turns.overload()
    assert turns.turn() < 500
    clock.now += 0.3
    assert turns.turn() == 500


def test_who_was_not_too_many_is_never_refused(clock: Clock) -> None:
    turns = Turns(clock, crowd=4)
    turns.overload()
    assert [turns.turn() for _ in range(50)] == [4] * 50


def test_a_burst_is_worked_off(clock: Clock) -> None:
    assert refused(Congestion(45, clock), clock, waited=0.2, seconds=0.15) == 0


def test_who_waited_too_long_in_a_lasting_overload_is_turned_away(clock: Clock) -> None:
    congestion = Congestion(45, clock)
    assert refused(congestion, clock, waited=0.1, seconds=1.0) > 70
    assert refused(congestion, clock, waited=0.01, seconds=0.1) == 0


def test_after_a_calm_moment_it_is_patient_again(clock: Clock) -> None:
    congestion = Congestion(45, clock)
    refused(congestion, clock, waited=0.1, seconds=1.0)
    clock.now += 1
    assert refused(congestion, clock, waited=0.1, seconds=0.15) == 0
