"""Moves the confidence of one kind of entries by what became of the answers that were followed.

One number is added to the log odds of every confidence of the kind. It has no slope: a failure can
only lower the confidences, a success only raise them, each all of them. With few outcomes it stays
near 0, and it is never more than MOST.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

MOST = 1.0  # log odds: from .5 to .27 or .73
USUAL = 0.5  # log odds by which catalogues usually differ from the fit
EVERY = 600.0  # seconds; each move makes kept answers untrue
ROUNDS = 60


class Outcome(NamedTuple):
    """A confidence that was said, whether the entry did the work, and how often that happened."""

    confidence: float
    right: bool
    times: int = 1


@dataclass(frozen=True, slots=True)
class Shift:
    """`moved_at` is in seconds of any clock that never goes back."""

    log_odds: float = 0.0
    moved_at: float = -math.inf


def moved(before: Shift, outcomes: Iterable[Outcome], now: float) -> Shift:
    """What holds at `now`; the same as before until EVERY seconds have gone by."""
    if now - before.moved_at < EVERY:
        return before
    return Shift(log_odds(outcomes), now)


def log_odds(outcomes: Iterable[Outcome]) -> float:
    """The likeliest shift, by bisection: of the outcomes, with a normal prior of spread USUAL.

    Their confidences are those of the fit, before any shift. Any order gives the same.
    """
    counts: dict[tuple[float, bool], int] = {}
    for said, right, times in outcomes:
        odds = _log_odds_of(said)
        counts[odds, right] = counts.get((odds, right), 0) + times
    ordered = sorted(counts.items())
    low, high = -MOST, MOST
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        if _slope(ordered, middle) > 0:
            low = middle
        else:
            high = middle
    return round((low + high) / 2, 4)


def _slope(counts: list[tuple[tuple[float, bool], int]], shift: float) -> float:
    """Of the log likelihood; it falls as the shift grows."""
    pulls = (times * (right - _share(odds + shift)) for (odds, right), times in counts)
    return math.fsum(pulls) - shift / USUAL**2


def _share(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _log_odds_of(share: float) -> float:
    kept = min(0.999, max(0.001, share))
    return math.log(kept / (1 - kept))
