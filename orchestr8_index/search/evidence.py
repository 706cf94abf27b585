"""What do past tasks say of this very question?

    won(q, d) = c·Σ W(t)·min(A_d(t), COUNTED) / Σ W(t)     c: the share of Σ W(t) with A_d(t) > 0

over the question's own words t with their weights W and d's successes A_d(t) on tasks with t: a
task asked again in the same words has as much of it as d has won it, a paraphrase the less, the
less of it it shares. `lost` is the same of failures.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ..records import Experience
from .boost import FLOOR, Learned
from .query import Query

COUNTED = 6  # successes of a word; more say no more
SURE_FROM = 3  # successes on the very task that put its entry first
EXTRA = 0.02  # of the highest score, for twice as many
PRIOR = 1  # the text's confidence counts as much as so many past tasks


@dataclass(slots=True)
class Record:
    """`won` and `lost`: past tasks like the question."""

    won: float = 0.0
    lost: float = 0.0

    @property
    def share(self) -> float:
        """How far the record speaks for the entry, in [0, 1]."""
        return min(1.0, max(0.0, self.won - self.lost) / SURE_FROM)


Records = Mapping[int, Record]


def records(learned: Learned, query: Query, experience: Experience) -> Records:
    """Of every entry that has won or lost with one of the question's words."""
    weights = {word.term: word.weight for word in query.own}
    whole = sum(weights.values()) or 1
    won: dict[int, list[tuple[int, int]]] = {}
    for term, weight in weights.items():
        for place, count in zip(*learned.won(term, experience), strict=True):
            won.setdefault(place, []).append((weight, count))
    found = {place: Record(_tasks(of, whole)) for place, of in won.items()}
    for place, words in learned.failed().items():
        of = [(weight, words[term]) for term, weight in weights.items() if term in words]
        if of:
            found.setdefault(place, Record()).lost = _tasks(of, whole)
    return found


def _tasks(counted: Sequence[tuple[int, int]], whole: int) -> float:
    covered = sum(weight for weight, _ in counted) / whole
    return covered * sum(weight * min(count, COUNTED) for weight, count in counted) / whole


def lifted(
    scored: Iterable[tuple[int, int]],
    of: Callable[[int], int],
    own: Mapping[int, int],
    known: Records,
    highest: int,
) -> list[tuple[int, int]]:
    """The scores with those raised whose entries have done this before, towards the best.

    `own` are the scores by the text's words alone: whoever is ahead there by more than FLOOR of the
    highest stays ahead.
    """
    scores = dict(scored)
    found, rivals = dict(scores), _Rivals(scores, own)
    for place, record in known.items():
        if not (share := record.share):
            continue
        score = scores.get(place) or of(place)
        best, least = rivals.of(place, own.get(place, 0) + FLOOR * highest)
        bound = (best + highest if least is None else least) - 1
        extra = EXTRA * highest * min(1.0, (record.won - record.lost) / (2 * SURE_FROM))
        rise = share**2 * max(0, best - score) * 63 / 64 + share * extra
        found[place] = max(score, min(bound, score + round(rise)))
    return sorted(found.items(), key=lambda hit: (-hit[1], hit[0]))


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
