"""How does experience change a score? Entries grow by the words of the tasks that they did.

    A_d(t) = successes of d on past tasks with t, less a quarter of its failures, not below 0
    a(t,d) = GAIN·ln(1 + g·A_d(t))          g = n_d / (n_d + 1),  n_d = d's successes
    learnt = (own score + Σ_t weight(t)·a(t,d)) · (‖own_d‖ / ‖own_d + a_d‖)^NORM_POWER

The norms are those of the saturated frequencies, pairs at PAIR_WEIGHT. An entry without history
scores exactly as without learning, and no history lifts an entry by more than MOST of the highest
possible score: whoever is ahead by more than that on the text alone stays ahead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..records import Experience
from .index import Segment
from .kernel import Totals
from .weigh import PAIR_WEIGHT, SAT_SCALE

GAIN = 1.2
NORM_POWER = 0.85
MOST = 0.35
QUARTERS = 4


def gain_of(quarters: int, wins: int) -> float:
    """a(t,d), in units of a saturated frequency."""
    if quarters <= 0 or wins <= 0:
        return 0.0
    return GAIN * math.log(1 + wins / (wins + 1) * quarters / QUARTERS)


class Learned:
    """Experience bound to one segment: positions instead of names, and the norms worked out.

    What is kept here is a memo of pure functions of the segment and the experience's revision.
    """

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._revision = 0
        self._factors: dict[int, float] = {}
        self._sats: dict[tuple[str, int], float] = {}

    def apply(
        self,
        totals: Totals,
        weights: Iterable[tuple[str, int]],
        highest: float,
        experience: Experience,
    ) -> dict[int, int]:
        """Change the totals of the entries with a history; returns what each gained by its words.

        `weights` are the query's (term, weight), known to the segment or not.
        """
        self._catch_up(experience)
        gained = self._gained(weights, experience)
        before = {place: totals.of(place) for place in gained}
        totals.scaled(self._factors)
        most = round(MOST * highest)
        for place, more in gained.items():
            score = round((before[place] + more) * self._factors.get(place, 1.0))
            totals.put(place, min(score, before[place] + most))
        return gained

    def wins(self, experience: Experience) -> dict[int, int]:
        """Successes by position."""
        position, wins = self._segment.position, experience.wins[self._segment.kind]
        return {position[entry]: won for entry, won in wins.items() if entry in position}

    def _gained(self, weights: Iterable[tuple[str, int]], experience: Experience) -> dict[int, int]:
        kind, position = self._segment.kind, self._segment.position
        by_term, wins = experience.terms[kind], experience.wins[kind]
        gained: dict[int, int] = {}
        for term, weight in weights:
            for entry, quarters in by_term.get(term, {}).items():
                place = position.get(entry)
                points = round(gain_of(quarters, wins.get(entry, 0)) * SAT_SCALE)
                if place is not None and points:
                    gained[place] = gained.get(place, 0) + weight * points
        return gained

    def _catch_up(self, experience: Experience) -> None:
        """Work out again the norms of the entries that have changed since the last question."""
        kind = self._segment.kind
        for entry in experience.changed_since(kind, self._revision):
            place = self._segment.position.get(entry)
            if place is None:
                continue
            factor = self._factor(entry, place, experience)
            if factor == 1.0:
                self._factors.pop(place, None)
            else:
                self._factors[place] = factor
        self._revision = experience.revision

    def _factor(self, entry: str, place: int, experience: Experience) -> float:
        """(‖own‖ / ‖extended‖)^NORM_POWER"""
        kind = self._segment.kind
        by_term, wins = experience.terms[kind], experience.wins[kind].get(entry, 0)
        own = extended = self._segment.norms[place] ** 2
        for word in sorted(experience.words[kind].get(entry, ())):
            gain = gain_of(by_term[word][entry], wins)
            share = PAIR_WEIGHT if " " in word else 1.0
            extended += share**2 * gain * (2 * self._sat(word, place) + gain)
        return float((own / extended) ** (NORM_POWER / 2)) if extended > own > 0 else 1.0

    def _sat(self, word: str, place: int) -> float:
        key = (word, place)
        if key not in self._sats:
            self._sats[key] = self._segment.sat(word, place) / SAT_SCALE
        return self._sats[key]
