"""How are postings added up? Two kernels, one result: plain Python for small segments, numpy above.

Both add the same integers, so they rank alike to the last bit. numpy costs the server 11 MB and is
imported only for a segment of at least index.NUMPY_FROM entries.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from itertools import chain

from .index import Runs, Segment

Part = tuple[Runs, int, int]
"""(runs, position, weight): one query term or pair that the segment has."""
Kernel = Callable[[Segment, Iterable[Part], int], list[tuple[int, int]]]


def choose(segment: Segment) -> Kernel:
    return numpy_kernel if segment.uses_numpy else plain_kernel


def plain_kernel(segment: Segment, parts: Iterable[Part], depth: int) -> list[tuple[int, int]]:
    """The `depth` best as (entry, score), ties by position."""
    scores = [0] * segment.size
    touched: list[Iterable[int]] = []
    for runs, place, weight in parts:
        entries, sats = runs.arrays(place)
        touched.append(entries)
        for entry, sat in zip(entries, sats, strict=True):
            scores[entry] += weight * sat
    found = set(chain.from_iterable(touched))
    best = heapq.nsmallest(depth, ((-scores[entry], entry) for entry in found))
    return [(entry, -score) for score, entry in best]


def numpy_kernel(segment: Segment, parts: Iterable[Part], depth: int) -> list[tuple[int, int]]:
    """The same; sums stay below 2**53, where doubles are exact."""
    import numpy as np

    entries, scores = [], []
    for runs, place, weight in parts:
        raw_entries, raw_sats = runs.raw(place)
        entries.append(np.frombuffer(raw_entries, runs.typecode))
        scores.append(np.frombuffer(raw_sats, "H") * float(weight))
    if not entries:
        return []
    totals = np.bincount(np.concatenate(entries), np.concatenate(scores))
    found = np.flatnonzero(totals)
    if len(found) > depth:
        cut = np.partition(totals[found], len(found) - depth)[len(found) - depth]
        found = found[totals[found] >= cut]
    order = np.lexsort((found, -totals[found]))[:depth]
    return [(int(entry), int(totals[entry])) for entry in found[order]]
