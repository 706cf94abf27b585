"""Counts of answers and errors, durations, the process's resources, and series of them over time.

A scrape reads the last sample of the process, so that it costs nothing.
"""

from __future__ import annotations

import math
import os
import threading
import time
from array import array
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..sharing import SHARING
from ..store.database import size_bytes
from ..table import is_failure
from .cache import AnswerCache
from .memory import memory_mb

WAITING = {each.name for each in SHARING if "wait_ms" in each.params.__struct_fields__}
"""Methods with long polling, whose duration says nothing about the server."""
SPAN, STEP = 60.0, 10.0  # seconds
LEAST_CALLS = 20  # the least number of calls in SPAN to judge by
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
EVERY_SECONDS = 60.0  # between two samples
FIRST_SECONDS = 5.0  # between the first samples, growing, as a start changes much
COLUMNS = "at questions errors hits misses p50 p95 p99 memory_mb database_mb generation".split()


class Histogram:
    """Durations in milliseconds, in buckets of 5 %, which is the error of a percentile."""

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

    def since(self, before: Histogram) -> Histogram:
        """The durations added after the copy `before`; `longest` stays that of all."""
        added = deepcopy(self)
        added.counts = [new - old for new, old in zip(self.counts, before.counts, strict=True)]
        added.total, added.sum = self.total - before.total, self.sum - before.sum
        return added

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
    """Counts since the start; `timed` are answers without long polls, `slow` those over 500 ms."""

    at: float
    calls: int
    failed: int
    timed: int
    slow: int


class Metrics:
    """The server's counts since its start; durations are in milliseconds, by method."""

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
        """Called once a second: note the totals every 10 seconds, for `reasons`."""
        if self._steady() >= self._minute[-1].at + STEP:
            self._minute.append(self._totals())

    @property
    def reasons(self) -> list[str]:
        """Sentences for /health when too many calls of the last minute failed or were slow."""
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
        """The durations of all queries together, under the names of the original product."""
        figures = self.queries.summary()
        return {f"{name}_query_time_ms": figures[name] for name in ("avg", "p50", "p95", "p99")}


@dataclass(slots=True)
class Samples:
    """The last sample of the process's resources, taken at `at` of the monotonic clock; `taken`
    counts samples. `open_files` is 0 without /proc."""

    data_dir: Path
    every: float = EVERY_SECONDS
    taken: int = 0
    at: float = 0.0
    memory_mb: float = 0.0
    database_mb: float = 0.0
    open_files: int = 0
    threads: int = 0
    cpu_seconds: float = 0.0
    _next: float = 0.0

    @property
    def latest(self) -> Samples:
        return self if self.taken else self.take()

    def take(self) -> Samples:
        self.taken, self.at, self.memory_mb = self.taken + 1, time.monotonic(), memory_mb()
        self.database_mb = round(size_bytes(self.data_dir) / 1_000_000, 3)
        self.open_files, self.threads = open_files(), threading.active_count()
        self.cpu_seconds = round(time.process_time(), 3)
        return self

    def take_if_due(self) -> bool:
        """Take a sample if one is due; gives whether it was."""
        if time.monotonic() < self._next:
            return False
        self.take()
        self._next = time.monotonic() + min(self.every, FIRST_SECONDS * self.taken)
        return True


def open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd")) - 1
    except OSError:
        return 0


class Series:
    """A time series: for each `every` seconds the counts, and the measures at the end."""

    def __init__(
        self,
        every: float,
        most: int,
        metrics: Metrics,
        caches: tuple[AnswerCache, ...],
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keeps `most` points. `clock` gives their times, the monotonic `steady` says when to take
        one."""
        self.every, self._most, self._clock, self._steady = every, most, clock, steady
        self._metrics, self._caches = metrics, caches
        self._rows = {name: array("d") for name in COLUMNS}
        self._before = self._counted()
        self._spent = Histogram()
        self._next = steady() + every

    def _counted(self) -> tuple[int, ...]:
        hits, misses = (sum(getattr(c, name) for c in self._caches) for name in ("hits", "misses"))
        return self._metrics.queries.total, self._metrics.errors.total(), hits, misses

    def step(self, measured: tuple[float, ...]) -> None:
        """Take a point if one is due. `measured`: memory and database in MB, generation."""
        if self._steady() < self._next:
            return
        now = self._counted()
        spent = self._metrics.queries.since(self._spent)
        shares = [round(spent.percentile(share), 3) for share in (0.5, 0.95, 0.99)]
        counts = [new - old for new, old in zip(now, self._before, strict=True)]
        row = (round(self._clock(), 3), *counts, *shares, *measured)
        for column, value in zip(self._rows.values(), row, strict=True):
            column.append(value)
            if len(column) > self._most:
                del column[0]
        self._before, self._spent = now, deepcopy(self._metrics.queries)
        self._next = self._steady() + self.every

    def after(self, moment: float) -> dict[str, list[float]]:
        """The points after a time, by column."""
        times = list(self._rows["at"])  # unordered if the clock was set back
        first = times.index(moment) + 1 if moment in times else sum(at <= moment for at in times)
        return {name: [round(v, 3) for v in column[first:]] for name, column in self._rows.items()}
