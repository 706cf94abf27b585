"""The rate limit: for each caller a bucket of tokens, which fills again by the second."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from ..errors import TooManyRequests

BURST_SECONDS = 4  # a bucket holds what this many seconds bring
MOST_CALLERS = 10_000


class Buckets:
    """`rate` tokens a second for each name; a rate of 0 charges nobody."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._full, self._clock = rate, float(rate * BURST_SECONDS), clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def charge(self, name: str, tokens: int = 1) -> None:
        """Raises TooManyRequests with the seconds until there is a token again.

        What costs more than a full bucket holds takes it all and leaves a debt.
        """
        if not self._rate:
            return
        now = self._clock()
        left, since = self._buckets.pop(name, (self._full, now))
        left = min(self._full, left + (now - since) * self._rate)
        admitted = left >= min(tokens, self._full)
        self._buckets[name] = (left - tokens if admitted else left, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        if not admitted:
            missing = min(tokens, self._full) - left
            raise TooManyRequests("Too many requests.", max(1, round(missing / self._rate + 0.5)))
