"""Is more asked than can be answered? Then only so many are let in that none waits too long.

A burst is worked off. Only when requests have been waiting too long again and again, for longer
than PATIENCE, is the server congested, and it stays so until nobody was late or refused for CALM
seconds. Meanwhile each turn of the loop takes only some of the requests that it reads: one more as
long as they wait for less than a quarter of what is allowed, half as many when they wait for longer
(additive increase, multiplicative decrease; Chiu and Jain 1989). A turn then stays short, and who
is refused is told so at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..errors import Overloaded

PATIENCE, CALM = 0.15, 0.25  # seconds
FIRST_SHARE, AIM = 8, 0.25  # requests of a turn; of the longest wait
SENTENCE = "More is asked than can be answered."


class Congestion:
    def __init__(self, max_wait_ms: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_wait, self._clock = max_wait_ms / 1000, clock
        self._since = self._last = 0.0
        self._share, self._taken, self._refused = FIRST_SHARE, 0, 0
        self._late = False

    def admits(self, soon: Callable[[Callable[[], Any]], Any]) -> bool:
        """May a request that was just read wait for its turn? `soon` calls in the next turn."""
        now = self._clock()
        if not self._lasts(now):
            self._share = FIRST_SHARE
            return True
        if self._taken == self._refused == 0:
            soon(self._next_turn)
        if self._taken < self._share:
            self._taken += 1
            return True
        self._refused += 1
        self._last = now
        return False

    def check(self, arrived: float) -> None:
        """`arrived` is the moment at which the request was read. Raises Overloaded."""
        now = self._clock()
        waited = now - arrived
        self._late |= waited > self._max_wait * AIM
        if waited <= self._max_wait:
            return
        if now - self._last > CALM:
            self._since = now
        self._last = now
        if self._lasts(now):
            raise Overloaded(SENTENCE)

    def _lasts(self, now: float) -> bool:
        return now - self._last <= CALM and self._last - self._since > PATIENCE

    def _next_turn(self) -> None:
        if self._late:
            self._share = max(1, self._share // 2)
        elif self._refused:
            self._share += 1
        self._taken = self._refused = 0
        self._late = False
