"""Adds experience to scores: an entry's vector grows by the words of the tasks that it did.

    A_d(t) = successes of d on past tasks with t, F_d(t) = its failures on them
    a(t,d) = GAIN·ln(1 + g·A_d(t))          g = n_d / (n_d + 1),  n_d = d's successes
    learnt = (own score + Σ_t weight(t)·a(t,d)) · (‖own_d‖ / ‖own_d + a_d‖)^NORM_POWER
             - Σ_t weight(t)·LOSS·F_d(t) / (F_d(t) + 1)

The norms are those of the saturated frequencies, pairs at PAIR_WEIGHT. An entry without history
keeps its score. History raises no score by more than MOST, and lowers none by more than LEAST, of
the highest possible score; so an entry that leads by more than FLOOR on the text alone stays ahead,
whatever was reported.

The numbers of a term for all entries with a history are packed in one long integer of 64-bit lanes:
the sums over 200 entries then take one product and one addition per term, some 3 µs.
"""

from __future__ import annotations

import math
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, NamedTuple

from ..catalog.bm25f import PAIR_WEIGHT, SAT_SCALE
from ..catalog.index import Segment
from ..memo import Memo, keep
from ..records import Experience
from .past import PastMeaning
from .scorer import Totals
from .semantic import LIKE, Direction

GAIN = 1.2
NORM_POWER = 0.85
MOST, LEAST = 0.35, 0.25
FLOOR = MOST + LEAST
TEXT_PRIOR = 10  # wins at which past tasks and the entry's own text count alike for its meaning
LOSS = 0.4  # of a saturated frequency
COUNTED = 6  # tasks per word; more do not count
HAS = 1 << 32  # added once to a count of tasks above 0
LANE = 8  # bytes
COLUMNS_BYTES, FEWEST_COLUMNS = 1 << 21, 64
STEP = 100  # words, some 12 µs each
BOUND: weakref.WeakKeyDictionary[Segment, Learned] = weakref.WeakKeyDictionary()
Weights = Sequence[tuple[str, int]]
"""(term, weight) of a query, known to the segment or not."""


@lru_cache(4096)
def gain_of(won: int, wins: int) -> float:
    """a(t,d) as a saturated frequency; `won` is A_d(t), `wins` is n_d."""
    if won <= 0 or wins <= 0:
        return 0.0
    return GAIN * math.log(1 + wins / (wins + 1) * won)


@lru_cache(512)
def gains_of(wins: int) -> Mapping[int, int]:
    """A_d(t) → a(t,d) in the kernel's integer units, for an entry with so many wins."""
    return Memo(512, lambda won: round(gain_of(won, wins) * SAT_SCALE))


LOSSES: Mapping[int, int] = Memo(
    512, lambda failed: round(LOSS * SAT_SCALE * failed / (failed + 1))
)
"""F_d(t) → the points lost per weight, in the kernel's integer units."""


class Column(NamedTuple):
    """A term's lanes, two per entry with a history: `moved` has the points it gains and loses per
    weight, `tasks` how many tasks with the term it won and failed, at most COUNTED, plus HAS if
    any."""

    moved: int = 0
    tasks: int = 0


class _Tasks(NamedTuple):
    """An entry's successes, or failures: lane, tasks by word, and number of tasks → points."""

    lane: int
    words: Mapping[str, int]
    points: Mapping[int, int]


@dataclass(slots=True)
class _Own:
    """`sats`: saturated frequencies of learnt words in an entry's own text, without zeros. The
    first `looked` of `words`, which only grows, were looked up."""

    words: dict[str, int]
    looked: int = 0
    sats: dict[str, float] = field(default_factory=dict)


def learned_of(segment: Segment) -> Learned:
    """The experience bound to this segment; made once per segment and freed with it."""
    if (bound := BOUND.get(segment)) is None:
        bound = BOUND[segment] = Learned(segment)
    return bound


class Learned:
    """Experience bound to one segment: positions instead of names, and precomputed norms.

    All state is a cache of pure functions of the segment and the experience's revision.
    `places` are the entries with a history, in the order of their first task.
    """

    def __init__(self, segment: Segment) -> None:
        self._segment = weakref.proxy(segment)  # else its file would stay open
        self._source: Callable[..., object] | None = None
        self._revision = -1
        self.places: list[int] = []
        self._slots: dict[str, int | None] = {}
        self._factors: list[float] = []
        self._wins: dict[int, int] = {}
        self._won: dict[str, _Tasks] = {}
        self._failed: dict[str, _Tasks] = {}
        self._columns: dict[str, Column] = {}
        self._own: dict[int, _Own] = {}
        self._past = PastMeaning(segment)

    def apply(
        self, totals: Totals, weights: Weights, highest: float, experience: Experience
    ) -> None:
        """Replace the totals of entries with a history; `highest` is the highest possible score."""
        self.catch_up(experience)
        moved = self._sums([(w, self._column(t, experience).moved) for t, w in weights])
        most, least = round(MOST * highest), round(LEAST * highest)
        owns, learnt = totals.at(self.places), list[int]()
        of_each = zip(owns, moved[::2], moved[1::2], self._factors, strict=True)
        for own, gained, lost, factor in of_each:
            score = round((own + gained) * factor)
            if score > own + most:
                score = own + most
            score -= lost
            lowest = own - least if own > least else 0
            learnt.append(score if score > lowest else lowest)
        totals.put(self.places, learnt)

    def tasks(self, weights: Weights, experience: Experience) -> list[int]:
        """Four sums for each of `places`: Σ weight · tasks won with the term (at most COUNTED),
        Σ weight of the terms with any, and these two of tasks failed.

        The weights' sum must be below HAS / COUNTED.
        """
        return self._sums([(w, self._column(t, experience).tasks) for t, w in weights], "I")

    def _sums(
        self, columns: Iterable[tuple[int, int]], typecode: Literal["Q", "I"] = "Q"
    ) -> list[int]:
        total = sum([weight * column for weight, column in columns if column])
        size = LANE * 2 * len(self.places)
        return memoryview(total.to_bytes(size, "little")).cast(typecode).tolist()

    def mix_meanings(
        self, given: list[int], places: Sequence[int], strength: int, question: Direction
    ) -> None:
        """Mix the likeness of past tasks into `given`, the points for meaning of the entries at
        `places`: the more tasks an entry won, the more these count against its own text."""
        past, known = self._past.likeness(question), self._wins
        for at, place in enumerate(places):
            if wins := known.get(place):
                like = strength * past[place] // LIKE
                given[at] = (given[at] * TEXT_PRIOR + like * wins) // (TEXT_PRIOR + wins)

    def _column(self, term: str, experience: Experience) -> Column:
        """The term's Column; the latest are cached until something is learnt."""
        known = self._columns.get(term)
        if known is None:
            most = max(FEWEST_COLUMNS, COLUMNS_BYTES // (1 + 4 * LANE * len(self.places)))
            known = keep(self._columns, most, term, self._count(term, experience))
        return known

    def _count(self, term: str, experience: Experience) -> Column:
        kind, whole = self._segment.kind, bytes(LANE * 2 * len(self.places))
        won, failed = experience.terms[kind].get(term, ()), experience.blamed[kind].get(term, ())
        if not won and not failed:
            return Column()
        moved, tasks = array("Q", whole), array("Q", whole)
        for known, entries in ((self._won, won), (self._failed, failed)):
            for entry in entries:
                if (of_entry := known.get(entry)) is not None:
                    lane, words, points = of_entry
                    count = words[term]
                    moved[lane] = points[count]
                    tasks[lane] = HAS + (count if count < COUNTED else COUNTED)
        return Column(int.from_bytes(moved, "little"), int.from_bytes(tasks, "little"))

    def catch_up(self, experience: Experience) -> None:
        """Update the caches to the experience's revision."""
        for _ in self.catching_up(experience):
            pass

    def catching_up(self, experience: Experience) -> Iterator[None]:
        """As `catch_up`, but it yields after every STEP words, since a new segment has all entries
        to do. What is learnt between two steps is left to the next call."""
        kind, revision = self._segment.kind, experience.revision
        if experience.changed_since != self._source:  # another owner: every cache is invalid
            self._source, self._revision = experience.changed_since, -1
            every: Any = (self._slots, self.places, self._factors, self._wins)
            for each in (*every, self._won, self._failed):
                each.clear()
        if revision == self._revision:
            return
        self._columns.clear()
        changed = list(experience.changed_since(kind, self._revision))
        for entry in changed:
            slot = self._slot(entry)
            if slot is None:
                continue
            place, words = self.places[slot], experience.words[kind].get(entry, {})
            yield from self._look_up(place, words)
            self._wins[place] = wins = experience.wins[kind].get(entry, 0)
            failed = experience.failed[kind].get(entry, {})
            self._won[entry] = _Tasks(2 * slot, words, gains_of(wins))
            self._failed[entry] = _Tasks(2 * slot + 1, failed, LOSSES)
            self._factors[slot] = self._factor(place, experience.counts(kind, entry), words)
        self._revision = revision

    def _slot(self, entry: str) -> int | None:
        """The entry's index in `places`, to which it is added; None if the segment lacks it."""
        if entry not in self._slots:
            place = self._segment.position.find(entry)
            self._slots[entry] = None if place is None else len(self.places)
            if place is not None:
                self._columns.clear()
                self.places.append(place)
                self._factors.append(1.0)
        return self._slots[entry]

    def _factor(
        self, place: int, counts: Mapping[tuple[int, bool], int], words: Mapping[str, int]
    ) -> float:
        """(‖own‖ / ‖own + learnt‖)^NORM_POWER, summed exactly, so in any order of words.

        `counts`: (wins, is a pair) → number of such words. So of 85,000 words only some 100 groups
        and the words of the entry's own text are visited.
        """
        own, wins, shares = (
            self._segment.norms[place] ** 2,
            self._wins[place],
            (1.0, PAIR_WEIGHT**2),
        )
        new = [n * shares[pair] * gain_of(won, wins) ** 2 for (won, pair), n in counts.items()]
        sats = self._own[place].sats.items()
        had = [2 * shares[" " in w] * sat * gain_of(words.get(w, 0), wins) for w, sat in sats]
        more = math.fsum(new + had)
        return float((own / (own + more)) ** (NORM_POWER / 2)) if own > 0 and more > 0 else 1.0

    def _look_up(self, place: int, words: dict[str, int]) -> Iterator[None]:
        """Look up new words: their frequencies in the entry's own text, and their vectors."""
        own = self._own.get(place)
        if own is None or own.words is not words:
            own = self._own[place] = _Own(words)
            self._past.begin(place)
        while own.looked < len(words) and self._own[place] is own:
            left = len(words) - own.looked
            last = islice(reversed(words), left)  # skips up to 70,000 known ones
            some = list(last if left <= STEP else islice(words, own.looked, own.looked + STEP))
            for word in some:
                self._past.add(place, word)
                if sat := self._segment.sat(word, place):
                    own.sats[word] = sat / SAT_SCALE
            own.looked += len(some)
            if len(some) == STEP:
                yield
        self._past.close(place)
