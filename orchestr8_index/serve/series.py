"""How did it go in the last hour, and in the last day? Points of equal distance, kept in memory."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable

from .cache import AnswerCache
from .metrics import Histogram, Metrics

COLUMNS = "at questions errors hits misses p50 p95 p99 memory_mb database_mb generation".split()


class Series:
    """Of each span of `every` seconds: how much was counted, and what was measured at its end."""

    def __init__(
        self,
        every: float,
        most: int,
        metrics: Metrics,
        caches: tuple[AnswerCache, ...],
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` says when a point was taken; `steady`, which nobody sets, when one is due."""
        self.every, self._most, self._clock, self._steady = every, most, clock, steady
        self._metrics, self._caches = metrics, caches
        self._rows = {name: array("d") for name in COLUMNS}
        self._before = self._counted()
        self._spent = Histogram()
        self._next = steady() + every

    def _counted(self) -> tuple[int, ...]:
        hits, misses = (sum(getattr(c, name) for c in self._caches) for name in ("hits", "misses"))
        counted = self._metrics
        return counted.queries.total, sum(counted.errors.values()), hits, misses

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
        self._before, self._spent = now, self._metrics.queries.copy()
        self._next = self._steady() + self.every

    def after(self, moment: float) -> dict[str, list[float]]:
        """The points after a moment, by column."""
        taken = list(self._rows["at"])  # not in order, where the clock was set back
        first = taken.index(moment) + 1 if moment in taken else sum(at <= moment for at in taken)
        return {name: [round(v, 3) for v in column[first:]] for name, column in self._rows.items()}
