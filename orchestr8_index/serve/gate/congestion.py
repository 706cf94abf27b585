"""Is more asked than can be answered? Then who waited too long already is turned away at once.

A burst is worked off. Only when requests have been waiting too long again and again, for longer
than PATIENCE, is the server congested, and it stays so until nobody waits too long any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ...errors import Overloaded

PATIENCE, CALM = 0.25, 0.25  # seconds


class Congestion:
    def __init__(self, max_wait_ms: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_wait, self._clock = max_wait_ms / 1000, clock
        self._since = self._last = 0.0

    def check(self, arrived: float) -> None:
        """`arrived` is the moment at which the request was read. Raises Overloaded."""
        now = self._clock()
        if now - arrived <= self._max_wait:
            return
        if now - self._last > CALM:
            self._since = now
        self._last = now
        if now - self._since > PATIENCE:
            raise Overloaded("More is asked than can be answered.")
