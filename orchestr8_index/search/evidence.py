"""Past tasks that share the question's words, as evidence for and against each entry.

    won(q, d) = c·Σ W(t)·min(A_d(t), COUNTED) / Σ W(t)     c: the share of Σ W(t) with A_d(t) > 0

over the question's own words t with their weights W and d's successes A_d(t) on tasks with t: the
same task counts as often as d has won it, up to COUNTED, a paraphrase by the share of its words
that they have in common. `lost` is the same sum over failures.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from ..records import Experience
from .boost import COUNTED, FLOOR, HAS, Learned
from .query import Query
from .scorer import Totals

SURE_FROM = 3  # successes on the very task that put its entry first
EXTRA = 0.02  # of the highest score, for twice as many
PRIOR = 1  # the text's confidence counts as much as so many past tasks

Scored = tuple[int, int]
"""(entry, score)"""


class Record(NamedTuple):
    """How many past tasks like the question an entry `won` and `lost`, by shared words."""

    won: float = 0.0
    lost: float = 0.0


class Records:
    """The Record of every entry with a history, for one query."""

    def __init__(self, learned: Learned, query: Query, experience: Experience) -> None:
        weights = {word.term: word.weight for word in query.own}
        more = max(0, (sum(weights.values()) * COUNTED).bit_length() - HAS.bit_length() + 1)
        # scaled down only for questions of some 700 words or more
        weights = {term: weight >> more for term, weight in weights.items()}
        self.places, self.whole = list(learned.places), sum(weights.values()) or 1
        self._sums = learned.tasks(list(weights.items()), experience)

    def of(self, place: int) -> Record:
        """The record of the entry at `place`; zeros for one without a history."""
        if place not in self.places:
            return Record()
        at = 4 * self.places.index(place)
        won, has_won, lost, has_lost = self._sums[at : at + 4]
        return Record(self.tasks(won, has_won), self.tasks(lost, has_lost))

    def tasks(self, counted: int, has: int) -> float:
        return has / self.whole * counted / self.whole

    def every(self) -> Iterator[tuple[int, int, int, int, int]]:
        """(place, the four sums of `Learned.tasks`)"""
        sums = self._sums
        return zip(self.places, sums[::4], sums[1::4], sums[2::4], sums[3::4], strict=True)


def lifted(
    scored: Sequence[Scored],
    totals: Totals,
    own: Mapping[int, int],
    known: Records,
    highest: int,
    depth: int,
) -> list[Scored]:
    """The best `depth` after raising, towards the best score, entries that did tasks like this one.

    `own` are the scores by the text's words alone: an entry that leads there by more than FLOOR of
    `highest` stays ahead.
    """
    scores, most = dict(scored), EXTRA * highest
    found, rivals = dict(scores), _Rivals(scores, own)
    top = scored[0][1] if scored else 0
    least = scored[depth - 1][1] if len(scored) >= depth else 0
    others, sure = totals.at(known.places), SURE_FROM * known.whole**2
    for score, (place, won, has_won, lost, has_lost) in zip(others, known.every(), strict=True):
        share = won * has_won / sure
        if score < least and score + share * (share * (top - score) + most) + 2 < least:
            continue  # it cannot be among the best
        more = known.tasks(won, has_won) - known.tasks(lost, has_lost)
        if more <= 0:
            continue
        score = scores.get(place) or score
        best, ahead = rivals.of(place, own.get(place, 0) + FLOOR * highest)
        bound = (best + highest if ahead is None else ahead) - 1
        share, extra = min(1.0, more / SURE_FROM), most * min(1.0, more / (2 * SURE_FROM))
        rise = share**2 * max(0, best - score) * 63 / 64 + share * extra
        found[place] = max(score, min(bound, score + round(rise)))
    return sorted(found.items(), key=lambda hit: (-hit[1], hit[0]))[:depth]


class _Rivals:
    """Scores sorted by `own`, with prefix maxima and suffix minima: O(log n) per lookup, as every
    entry may have a record."""

    def __init__(self, scores: Mapping[int, int], own: Mapping[int, int]) -> None:
        order = sorted(scores, key=lambda place: own.get(place, 0))
        self._own = [own.get(place, 0) for place in order]
        self._best = [(0, -1, 0)]  # the best, who has it, and the best of the others
        for place in order:
            (best, holder, next_best), score = self._best[-1], scores[place]
            beats = score > best
            after = (score, place, best) if beats else (best, holder, max(next_best, score))
            self._best.append(after)
        self._least = [*accumulate((scores[place] for place in reversed(order)), min)][::-1]

    def of(self, place: int, ahead: float) -> tuple[int, int | None]:
        """(best score of the others whose `own` is at most `ahead`, least score of the rest)"""
        at = bisect_right(self._own, ahead)
        best, holder, next_best = self._best[at]
        least = self._least[at] if at < len(self._least) else None
        return next_best if holder == place else best, least


def posterior(by_text: float, record: Record) -> float:
    """The confidence in a first hit given its record: the share won of past tasks like the
    question, with the confidence `by_text` as a prior worth PRIOR tasks."""
    return (PRIOR * by_text + record.won) / (PRIOR + record.won + record.lost)
