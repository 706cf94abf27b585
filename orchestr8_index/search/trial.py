"""Is a candidate better than what ships, or only luckier? Compared on questions held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from msgspec import Struct

from .logistic import calibration_error

CHANCE = 0.05  # the most that noise may pass, over all candidates together
LEAST_GAIN = 0.01  # of mean reciprocal rank
SHORT = 5
Made = TypeVar("Made")


class Scores(Struct, frozen=True):
    """Over the questions held out; `ece` is the calibration error, `loss` the mean log loss."""

    hit1: float
    r5: float
    mrr: float
    ndcg: float
    ece: float
    loss: float


class Trial(Struct, frozen=True):
    """One candidate beside what ships: questions it answers better and worse, and `p`, how often
    chance alone would do as much."""

    part: str
    name: str
    before: Scores
    after: Scores
    better: int
    worse: int
    p: float
    gains: bool


@dataclass
class Seen:
    """How one question was answered: the place of the first right entry, 0 for none."""

    place: int
    features: dict[str, float]
    said: float


def scores(seen: Sequence[Seen]) -> Scores:
    places, total = [each.place for each in seen], len(seen) or 1
    said, right = np.array([e.said for e in seen]), np.array([float(e.place == 1) for e in seen])
    return Scores(
        hit1=round(sum(place == 1 for place in places) / total, 4),
        r5=round(sum(0 < place <= SHORT for place in places) / total, 4),
        mrr=round(sum(map(reciprocal, places)) / total, 4),
        ndcg=round(sum(1 / math.log2(place + 1) for place in places if place) / total, 4),
        ece=round(calibration_error(said, right), 4),
        loss=round(float(np.mean(losses(seen))), 4),
    )


def reciprocal(place: int) -> float:
    return 1 / place if place else 0.0


def losses(seen: Sequence[Seen]) -> list[float]:
    return [-math.log(max(1e-6, e.said if e.place == 1 else 1 - e.said)) for e in seen]


def by_chance(better: int, worse: int) -> float:
    """How often a fair coin would fall at least so unevenly, in favour of better (sign test)."""
    total = better + worse
    return float(sum(math.comb(total, k) for k in range(better, total + 1)) / 2**total)


def by_chance_of_mean(gains: Sequence[float]) -> float:
    """How often gains of this spread would have so high a mean if there were none (paired z)."""
    mean, total = sum(gains) / len(gains), len(gains)
    error = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / max(1, total - 1) / total)
    return 0.5 * math.erfc(mean / error / math.sqrt(2)) if error else float(mean <= 0)


def judge(part: str, name: str, before: list[Seen], after: list[Seen], tried: int) -> Trial:
    """Vectors gain by the places of the right entries, a confidence by its log loss.

    `tried` candidates share CHANCE: who tries more must gain more clearly.
    """
    then, now = scores(before), scores(after)
    if part == "vectors":
        both = zip(before, after, strict=True)
        gains = [reciprocal(a.place) - reciprocal(b.place) for b, a in both]
        larger = now.mrr - then.mrr >= LEAST_GAIN and now.hit1 >= then.hit1
    else:
        gains = [b - a for b, a in zip(losses(before), losses(after), strict=True)]
        larger = now.loss < then.loss and now.ece < then.ece
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    p = by_chance(better, worse) if part == "vectors" else by_chance_of_mean(gains)
    kept = larger and p <= CHANCE / tried
    return Trial(part, name, then, now, better, worse, round(p, 4), kept)


def best(tried: Sequence[tuple[Trial, Made]]) -> tuple[Trial, Made] | None:
    """Of those that gain, the one that gains most."""
    gaining = [each for each in tried if each[0].gains]
    return max(gaining, key=lambda each: (each[0].after.mrr, -each[0].after.loss), default=None)
