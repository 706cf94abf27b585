"""How does experience change a score? Entries grow by the words of the tasks that they did.

    A_d(t) = successes of d on past tasks with t, F_d(t) = its failures on such
    a(t,d) = GAIN·ln(1 + g·A_d(t))          g = n_d / (n_d + 1),  n_d = d's successes
    learnt = (own score + Σ_t weight(t)·a(t,d)) · (‖own_d‖ / ‖own_d + a_d‖)^NORM_POWER
             - Σ_t weight(t)·LOSS·F_d(t) / (F_d(t) + 1)

The norms are those of the saturated frequencies, pairs at PAIR_WEIGHT. An entry without history
keeps the score that its text has. The floor: history lifts no entry by more than MOST, and lowers
none by more than LEAST, of the highest possible score; so whoever is ahead by more than FLOOR on
the text alone stays ahead, whatever was reported about either.
"""

from __future__ import annotations

import math
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice

from ..catalog.bm25f import PAIR_WEIGHT, SAT_SCALE
from ..catalog.index import Segment
from ..records import Experience
from .past import PastMeaning
from .scorer import Totals
from .semantic import LIKE, Direction

GAIN = 1.2
NORM_POWER = 0.85
MOST, LEAST = 0.35, 0.25
FLOOR = MOST + LEAST
GUESS = 10  # after so many wins, half of what is given for meaning is given for past tasks
LOSS = 0.4  # of a saturated frequency
KNOWN_TERMS = 2048
STEP = 100  # words, some 12 µs each
BOUND: weakref.WeakKeyDictionary[Segment, Learned] = weakref.WeakKeyDictionary()
Gains = tuple["array[int]", "array[int]", "array[int]"]
"""(entries, what a term gives each of them, the successes of each on tasks with it)"""


@lru_cache(4096)
def gain_of(won: int, wins: int) -> float:
    """a(t,d), in units of a saturated frequency."""
    if won <= 0 or wins <= 0:
        return 0.0
    return GAIN * math.log(1 + wins / (wins + 1) * won)


@lru_cache(4096)
def points_of(won: int, wins: int) -> int:
    """The same in the kernel's integer units."""
    return round(gain_of(won, wins) * SAT_SCALE)


@dataclass(slots=True)
class _Own:
    """The saturated frequencies of learnt words in an entry's own text, where it has them; the
    first `looked` of `words`, which only grows, were looked up."""

    words: Mapping[str, int]
    looked: int = 0
    sats: dict[str, float] = field(default_factory=dict)


def learned_of(segment: Segment) -> Learned:
    """What was learnt, bound to this segment: made once, and gone with it."""
    if (bound := BOUND.get(segment)) is None:
        bound = BOUND[segment] = Learned(segment)
    return bound


class Learned:
    """Experience bound to one segment: positions instead of names, and the norms worked out.

    What is kept here is a memo of pure functions of the segment and the experience's revision.
    """

    def __init__(self, segment: Segment) -> None:
        self._segment = weakref.proxy(segment)  # whose file this must not hold
        self._source: Callable[..., object] | None = None
        self._revision = -1
        self._factors: dict[int, float] = {}
        self._places: dict[str, int] = {}  # of the entries that have won
        self._wins: dict[int, int] = {}
        self._failed: dict[int, Mapping[str, int]] = {}
        self._gains: dict[str, Gains] = {}
        self._own: dict[int, _Own] = {}
        self._past = PastMeaning(segment)

    def apply(
        self,
        totals: Totals,
        weights: Iterable[tuple[str, int]],
        highest: float,
        experience: Experience,
    ) -> None:
        """Change the totals of the entries with a history.

        `weights` are the query's (term, weight), known to the segment or not.
        """
        self.catch_up(experience)
        weights = list(weights)
        gained, lost = self._gained(weights, experience), self._lost(weights)
        most, least = round(MOST * highest), round(LEAST * highest)
        before = {place: totals.of(place) for place in {**gained, **lost}}
        for place in self._factors:  # who may lose more than LEAST
            if place not in before and (own := totals.of(place)) > least:
                before[place] = own
        totals.scaled(self._factors)
        for place, own in before.items():
            score = round((own + gained.get(place, 0)) * self._factors.get(place, 1.0))
            score = min(score, own + most) - lost.get(place, 0)
            totals.put(place, max(0, score, own - least))

    def won(self, term: str, experience: Experience) -> tuple[array[int], array[int]]:
        """(entries, the successes of each on tasks with the term)"""
        places, _, counts = self._gains_of(term, experience)
        return places, counts

    def failed(self) -> Mapping[int, Mapping[str, int]]:
        """Of the entries with failures, the failures on tasks with each word."""
        return self._failed

    def remember(
        self, given: list[int], places: Sequence[int], strength: int, question: Direction
    ) -> None:
        """Change what was `given` to the entries at `places` for nearness in meaning.

        The longer an entry's record, the more counts what its tasks were about, and the less what
        its own words mean.
        """
        past = self._past.likeness(question)
        for at, place in enumerate(places):
            if wins := self._wins.get(place, 0):
                like = strength * past.get(place, 0) // LIKE
                given[at] = (given[at] * GUESS + like * wins) // (GUESS + wins)

    def _gained(self, weights: Iterable[tuple[str, int]], experience: Experience) -> dict[int, int]:
        gained: dict[int, int] = {}
        for term, weight in weights:
            places, points, _ = self._gains_of(term, experience)
            for place, of_term in zip(places, points, strict=True):
                gained[place] = gained.get(place, 0) + weight * of_term
        return gained

    def _lost(self, weights: Iterable[tuple[str, int]]) -> dict[int, int]:
        lost: dict[int, int] = {}
        for place, words in self._failed.items():
            counts = [(weight, words[term]) for term, weight in weights if term in words]
            points = sum(weight * count / (count + 1) for weight, count in counts)
            if points:
                lost[place] = round(points * LOSS * SAT_SCALE)
        return lost

    def _gains_of(self, term: str, experience: Experience) -> Gains:
        """As long as nothing is learnt."""
        known = self._gains.get(term)
        if known is None:
            if len(self._gains) >= KNOWN_TERMS:
                self._gains.clear()
            known = self._gains[term] = self._look_up_gains(term, experience)
        return known

    def _look_up_gains(self, term: str, experience: Experience) -> Gains:
        kind, places_of = self._segment.kind, self._places
        words, wins = experience.words[kind], experience.wins[kind]
        places, points, counts = array("I"), array("I"), array("I")
        for entry in experience.terms[kind].get(term, ()):
            count = words[entry][term]
            gain = points_of(count, wins.get(entry, 0))
            place = places_of.get(entry)
            if gain and place is not None:
                places.append(place)
                points.append(gain)
                counts.append(count)
        return places, points, counts

    def catch_up(self, experience: Experience) -> None:
        """Know what the experience says now."""
        for _ in self.catching_up(experience):
            pass

    def catching_up(self, experience: Experience) -> Iterator[None]:
        """Work out again the norms of the entries that have changed since the last time.

        In steps of about STEP words, for a new segment has all of them to do; what is learnt
        between two steps is left to the next time.
        """
        kind, revision = self._segment.kind, experience.revision
        if experience.changed_since != self._source:  # another owner: nothing known holds
            self._source, self._revision = experience.changed_since, -1
            self._factors.clear()
        if revision == self._revision:
            return
        position, wins = self._segment.position, experience.wins[kind]
        failed = experience.failed[kind].items()
        placed = ((entry, position.find(entry)) for entry in wins)
        self._places = {entry: place for entry, place in placed if place is not None}
        self._wins = {place: wins[entry] for entry, place in self._places.items()}
        self._failed = {position[entry]: words for entry, words in failed if entry in position}
        self._gains.clear()
        changed = list(experience.changed_since(kind, self._revision))
        for entry in changed:
            place = position.get(entry)
            if place is None:
                continue
            words = experience.words[kind].get(entry, {})
            yield from self._look_up(place, words)
            factor = self._factor(place, words, wins.get(entry, 0))
            if factor == 1.0:
                self._factors.pop(place, None)
            else:
                self._factors[place] = factor
        self._revision = revision

    def _factor(self, place: int, words: Mapping[str, int], wins: int) -> float:
        """(‖own‖ / ‖extended‖)^NORM_POWER; the sum is exact, whatever the words' order."""
        sats, own = self._own[place].sats, self._segment.norms[place] ** 2
        more = math.fsum(
            (PAIR_WEIGHT**2 if " " in word else 1.0) * gain * (2 * sats.get(word, 0.0) + gain)
            for word, won in words.items()
            if (gain := gain_of(won, wins))
        )
        return float((own / (own + more)) ** (NORM_POWER / 2)) if own > 0 and more > 0 else 1.0

    def _look_up(self, place: int, words: Mapping[str, int]) -> Iterator[None]:
        """How often the entry's own text has these words, and what they mean."""
        own = self._own.get(place)
        if own is None or own.words is not words:
            own = self._own[place] = _Own(words)
            self._past.begin(place)
        while own.looked < len(words) and self._own[place] is own:
            some = list(islice(words, own.looked, own.looked + STEP))
            for word in some:
                self._past.add(place, word)
                if sat := self._segment.sat(word, place):
                    own.sats[word] = sat / SAT_SCALE
            own.looked += len(some)
            if len(some) == STEP:
                yield
        self._past.close(place)
