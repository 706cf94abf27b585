"""Adds up postings by two kernels with one result: plain Python for small segments, numpy above.

Both add the same integers, so they rank alike to the last bit. numpy costs the server 11 MB and is
imported only for a segment of at least index.NUMPY_FROM entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import add
from typing import Any, Protocol

from ..catalog.index import Runs, Segment

COLUMNS = 8  # per wanted entry; the maxima of the columns give a bound for the best
Part = tuple[Runs, int, int]
"""(runs, position, weight): one query term or pair that the segment has."""


class Totals(Protocol):
    """The scores of all entries for one query."""

    def at(self, places: Sequence[int]) -> list[int]: ...

    def put(self, places: Sequence[int], scores: Sequence[int]) -> None: ...

    def plus(self, given: Sequence[int]) -> Totals:
        """New totals: each entry's score plus the number at its position."""

    def best(self, depth: int) -> list[tuple[int, int]]:
        """The `depth` highest above 0 as (entry, score), ties by position."""


def add_up(segment: Segment, parts: Iterable[Part]) -> Totals:
    """The sum of weighted postings for each entry, by numpy in a large segment."""
    return (NumpyTotals if segment.uses_numpy else PlainTotals)(segment, parts)


class PlainTotals:
    def __init__(self, segment: Segment, parts: Iterable[Part]) -> None:
        self._scores = scores = [0] * segment.size
        for runs, place, weight in parts:
            entries, sats = runs.arrays(place)
            for entry, sat in zip(entries.tolist(), sats.tolist(), strict=True):
                scores[entry] += weight * sat

    def at(self, places: Sequence[int]) -> list[int]:
        return [self._scores[place] for place in places]

    def put(self, places: Sequence[int], scores: Sequence[int]) -> None:
        for place, score in zip(places, scores, strict=True):
            self._scores[place] = score

    def plus(self, given: Sequence[int]) -> PlainTotals:
        more = object.__new__(type(self))
        more._scores = list(map(add, self._scores, given))
        return more

    def best(self, depth: int) -> list[tuple[int, int]]:
        scores = self._scores
        order = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)  # stable
        return [(entry, score) for entry in order[:depth] if (score := scores[entry]) > 0]


class NumpyTotals:
    """The same scores by numpy; sums stay below 2**53, where doubles are exact."""

    def __init__(self, segment: Segment, parts: Iterable[Part]) -> None:
        import numpy as np

        found = [(np.frombuffer(b"", "H"), np.frombuffer(b"", "H"), 0.0)]
        for runs, place, weight in parts:
            entries, sats = runs.arrays(place)
            of = np.frombuffer(entries, runs.typecode)
            found.append((of, np.frombuffer(sats, "H"), float(weight)))
        of_each, sats_of_each, weights = zip(*found, strict=True)
        scores = np.concatenate(sats_of_each, dtype=float)
        scores *= np.repeat(weights, list(map(len, of_each)))
        places = np.concatenate(of_each, dtype=np.intp, casting="unsafe")
        self._totals: Any = np.bincount(places, scores, minlength=segment.size)

    def at(self, places: Sequence[int]) -> list[int]:
        return list(map(int, self._totals[list(places)].tolist()))

    def put(self, places: Sequence[int], scores: Sequence[int]) -> None:
        self._totals[list(places)] = scores

    def plus(self, given: Sequence[int]) -> NumpyTotals:
        more = object.__new__(type(self))
        more._totals = self._totals + given
        return more

    def best(self, depth: int) -> list[tuple[int, int]]:
        import numpy as np

        totals = self._totals
        rows = max(1, len(totals) // (COLUMNS * depth))
        columns = len(totals) // rows
        highest = totals[: rows * columns].reshape(rows, columns).max(axis=0)
        least = np.partition(highest, -depth)[-depth] if columns > depth else 1.0
        found = np.flatnonzero(totals >= max(least, 1))
        best = found[np.argsort(-totals[found], kind="stable")[:depth]]
        return list(zip(best.tolist(), totals[best].astype(np.int64).tolist(), strict=True))
