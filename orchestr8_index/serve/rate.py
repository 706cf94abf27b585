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

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self._clock = rate, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def _full(self) -> float:
        return float(self.rate * BURST_SECONDS)

    def charge(self, name: str, tokens: int = 1) -> None:
        """Raises TooManyRequests with the seconds until there is a token again.

        What costs more than a full bucket holds takes it all and leaves a debt.
        """
        if not self.rate:
            return
        left = self._take(name, tokens, min(tokens, self._full))
        if left < min(tokens, self._full):
            missing = min(tokens, self._full) - left
            raise TooManyRequests("Too many requests.", max(1, round(missing / self.rate + 0.5)))

    def drain(self, name: str, tokens: int) -> None:
        """Take what was let through elsewhere; it leaves a debt of a full bucket at most."""
        self._take(name, min(tokens, self._full), 0)

    def _take(self, name: str, tokens: float, least: float) -> float:
        """Where so many are left; returns what was left before."""
        now = self._clock()
        left, since = self._buckets.pop(name, (self._full, now))
        left = min(self._full, left + (now - since) * self.rate)
        self._buckets[name] = (left - tokens if left >= least else left, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return left


class BucketsOfAll:
    """A caller's rate for each method over all servers; `note` is called with what was let through,
    `drain` with what others let through. Whatever they say, this server grants its own share."""

    def __init__(self, rate: float, servers: Callable[[], int]) -> None:
        self._all, self._own, self._servers = Buckets(rate), Buckets(rate), servers
        self.note: Callable[[str, int], None] = lambda name, tokens: None
        self.drain = self._all.drain

    def set_rate(self, rate: float) -> None:
        self._all.rate = rate

    def charge(self, who: str, method: str) -> None:
        """Raises TooManyRequests."""
        if not self._all.rate:
            return
        name = f"{who}:{method}"
        self._own.rate = self._all.rate / max(1, self._servers())
        try:
            self._all.charge(name)
        except TooManyRequests:
            self._own.charge(name)
            self._all.drain(name, 1)
        else:
            self._own.drain(name, 1)
        self.note(name, 1)
