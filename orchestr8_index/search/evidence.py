"""What do past tasks say of this very question?

    won(q, d) = c·Σ W(t)·min(A_d(t), COUNTED) / Σ W(t)     c: the share of Σ W(t) with A_d(t) > 0

over the question's own words t with their weights W and d's successes A_d(t) on tasks with t: a
task asked again in the same words has as much of it as d has won it, a paraphrase the less, the
less of it it shares. `lost` is the same of failures.
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
    """`won` and `lost`: past tasks like the question."""

    won: float = 0.0
    lost: float = 0.0


class Records:
    """Of every entry with a history."""

    def __init__(self, learned: Learned, query: Query, experience: Experience) -> None:
        weights = {word.term: word.weight for word in query.own}
        more = max(0, (sum(weights.values()) * COUNTED).bit_length() - HAS.bit_length() + 1)
        weights = {
            term: weight >> more for term, weight in weights.items()
        }  # of 700 words and more
        self.places, self.whole = list(learned.places), sum(weights.values()) or 1
        self._sums = learned.tasks(list(weights.items()), experience)

    def of(self, place: int) -> Record:
        """That of an entry without a history is empty."""
        if place not in self.places:
            return Record()
        at = 4 * self.places.index(place)
        won, has_won, lost, has_lost = self._sums[at : at + 4]
        return Record(self.tasks(won, has_won), self.tasks(lost, has_lost))

    def tasks(self, counted: int, has: int) -> float:
        return has / self.whole * counted / self.whole

    def every(self) -> Iterator[tuple[int, int, int, int, int]]:
        """(place, tasks won, the share of the question's words in them, and the same of tasks
        lost), as `Learned.tasks` has them."""
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
    """The best `depth` when the scores of those are raised, towards the best, who have done this
    before.

    `own` are the scores by the text's words alone: whoever is ahead there by more than FLOOR of the
    highest stays ahead.
    """
    scores, most = dict(scored), EXTRA * highest
    found, rivals = dict(scores), _Rivals(scores, own)
    top = scored[0][1] if scored else 0
    least = scored[depth - 1][1] if len(scored) >= depth else 0
    others, sure = totals.at(known.places), SURE_FROM * known.whole**2
    for score, (place, won, has_won, lost, has_lost) in zip(others, known.every(), strict=True):
        share = won * has_won / sure
        if score < least and score + share * (share * (top - score) + most) + 2 < least:
            continue  # it does not come among the best
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
    """The scores in the order of the scores by the text's words alone, each with the best up to
    there and the least from there on: where all entries have a record, each would look at all."""

    def __init__(self, scores: Mapping[int, int], own: Mapping[int, int]) -> None:
        order = sorted(scores, key=lambda place: own.get(place, 0))
        self._own = [own.get(place, 0) for place in order]
        self._best = [(0, -1, 0)]  # the best, who has it, and the best of the others
        for place in order:
            (best, who, next_best), score = self._best[-1], scores[place]
            beats = score > best
            after = (score, place, best) if beats else (best, who, max(next_best, score))
            self._best.append(after)
        self._least = [*accumulate((scores[place] for place in reversed(order)), min)][::-1]

    def of(self, place: int, ahead: float) -> tuple[int, int | None]:
        """(the best of those that are not ahead, but for this one; the least of those that are)"""
        at = bisect_right(self._own, ahead)
        best, who, next_best = self._best[at]
        least = self._least[at] if at < len(self._least) else None
        return next_best if who == place else best, least


def sureness(by_text: float, record: Record) -> float:
    """The confidence of a first hit, with what was learnt of it: a share of past tasks like the
    question that were won, with `by_text` for PRIOR of them."""
    return (PRIOR * by_text + record.won) / (PRIOR + record.won + record.lost)
