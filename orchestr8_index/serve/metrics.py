"""Counts of answers and errors, and a histogram of durations that gives true percentiles."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

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


class Metrics:
    """What the server counts from its start on. Durations are of query methods, in milliseconds."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.errors: Counter[int] = Counter()
        self.durations: dict[str, Histogram] = {}
        self.queries = Histogram()

    def answered(self, method: str, milliseconds: float, is_query: bool) -> None:
        self.requests[method] += 1
        if method not in self.durations:
            self.durations[method] = Histogram()
        self.durations[method].add(milliseconds)
        if is_query:
            self.queries.add(milliseconds)

    def failed(self, code: int) -> None:
        self.errors[code] += 1

    def performance(self) -> dict[str, float]:
        """Of all queries together, as the original named them."""
        figures = self.queries.summary()
        return {f"{name}_query_time_ms": figures[name] for name in ("avg", "p50", "p95", "p99")}
