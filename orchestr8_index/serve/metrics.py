"""Counts of answers and errors, and a histogram of durations that gives true percentiles."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..sharing import SHARING
from ..table import is_failure

WAITING = {each.name for each in SHARING if "wait_ms" in each.params.__struct_fields__}
"""Methods whose calls wait for other agents for as long as they were told to."""
SPAN, STEP = 60.0, 10.0  # seconds
LEAST_CALLS = 20  # in that time: one slow call, or one that failed, says nothing
SLOW_MS, SHARE = 500, 0.05
FAILING = (
    "More than 5 % of the calls of the last minute failed: `orchestr8-index usage` has the errors "
    "by name, docs/errors.md the cure of each."
)
SLOW = (
    "One answer in twenty of the last minute took more than 500 ms: look for load beside the "
    "server, for the disk, and in a team for PostgreSQL's commits."
)
LOWEST, GROWTH, BUCKETS = 0.005, 1.05, 340  # milliseconds: 5 µs to 75 s in steps of 5 %
BOUNDS: Sequence[float] = [LOWEST * GROWTH**step for step in range(BUCKETS)]


class Histogram:
    """Durations in milliseconds. A percentile is exact to one bucket: 5 %."""

    def __init__(self) -> None:
        self.counts = [0] * (BUCKETS + 1)
        self.total = 0
        self.sum = 0.0
        self.longest = 0.0

    def add(self, milliseconds: float) -> None:
        self.counts[bisect_left(BOUNDS, milliseconds)] += 1
        self.total += 1
        self.sum += milliseconds
        self.longest = max(self.longest, milliseconds)

    def copy(self) -> Histogram:
        made = Histogram()
        made.counts = self.counts.copy()
        made.total, made.sum, made.longest = self.total, self.sum, self.longest
        return made

    def since(self, before: Histogram) -> Histogram:
        """What was added after `before` was copied; `longest` stays that of all."""
        made = self.copy()
        made.counts = [new - old for new, old in zip(self.counts, before.counts, strict=True)]
        made.total, made.sum = self.total - before.total, self.sum - before.sum
        return made

    @property
    def mean(self) -> float:
        return self.sum / self.total if self.total else 0.0

    def percentile(self, share: float) -> float:
        """The smallest bound that `share` of all durations do not exceed; 0 without any."""
        wanted, seen = math.ceil(share * self.total), 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if wanted and seen >= wanted:
                return min(BOUNDS[min(bucket, BUCKETS - 1)], self.longest)
        return 0.0

    def summary(self) -> dict[str, float]:
        shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
        percentiles = {name: round(self.percentile(share), 3) for name, share in shares.items()}
        return {"count": self.total, "avg": round(self.mean, 3), **percentiles}


class CallTotals(NamedTuple):
    """Since the start, at a moment of the monotonic clock: calls, those that failed, answers that
    wait for nobody, and those of them that were slow."""

    at: float
    calls: int
    failed: int
    timed: int
    slow: int


class Metrics:
    """What the server counts from its start on. Durations are of query methods, in milliseconds."""

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self.requests: Counter[str] = Counter()
        self.errors: Counter[int] = Counter()
        self.durations: dict[str, Histogram] = {}
        self.queries = Histogram()
        self._slow, self._steady = 0, steady
        self._minute = deque([self._totals()], maxlen=int(SPAN / STEP) + 1)

    def answered(self, method: str, milliseconds: float, is_query: bool) -> None:
        self.requests[method] += 1
        if method not in self.durations:
            self.durations[method] = Histogram()
        self.durations[method].add(milliseconds)
        if is_query:
            self.queries.add(milliseconds)
        if milliseconds > SLOW_MS and method not in WAITING:
            self._slow += 1

    def failed(self, code: int) -> None:
        self.errors[code] += 1

    def _totals(self) -> CallTotals:
        failed = sum(times for code, times in self.errors.items() if is_failure(code))
        timed = sum(times for method, times in self.requests.items() if method not in WAITING)
        calls = self.requests.total() + self.errors.total()
        return CallTotals(self._steady(), calls, failed, timed, self._slow)

    def step(self) -> None:
        """Once a second: note how much was counted by now."""
        if self._steady() >= self._minute[-1].at + STEP:
            self._minute.append(self._totals())

    @property
    def reasons(self) -> list[str]:
        """What was wrong over the last minute, for /health."""
        self.step()
        now = self._totals()
        before = [each for each in self._minute if SPAN <= now.at - each.at < 2 * SPAN]
        if not before:
            return []
        _, calls, failed, timed, slow = (x - y for x, y in zip(now, before[-1], strict=True))
        is_failing = calls >= LEAST_CALLS and failed > SHARE * calls
        is_slow = timed >= LEAST_CALLS and slow > SHARE * timed
        return [FAILING] * is_failing + [SLOW] * is_slow

    def performance(self) -> dict[str, float]:
        """Of all queries together, as the original named them."""
        figures = self.queries.summary()
        return {f"{name}_query_time_ms": figures[name] for name in ("avg", "p50", "p95", "p99")}
