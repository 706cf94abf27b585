"""How likely is the first hit right? A logistic regression on what the ranking saw.

Fitted once, on the public development sets named in ARCHITECTURE.md together with requests that
nobody there can answer; the coefficients below are the result, not tunables.
"""

from __future__ import annotations

import math

from .index import Segment
from .rank import Ranking, contributions

INTERCEPT = -4.765
RELATIVE, MARGIN, COVERAGE, LENGTH = 6.125, 3.307, -2.177, 1.525


def features(segment: Segment, ranking: Ranking) -> tuple[float, float, float, float]:
    """(relative score, margin to the second, share of the query weight matched, ln terms)."""
    query, hits = ranking.query, ranking.hits
    first = hits[0]
    clones = segment.clones.get(first.place, ())
    second = next((hit.score for hit in hits[1:] if hit.place not in clones), 0)
    given = contributions(segment, query, first.place)
    matched = sum(word.weight for word, _ in given if not word.is_pair)
    asked = [word for word in query.words if not word.is_pair]
    coverage = matched / (sum(word.weight for word in asked) or 1)
    return first.relative, 1 - second / first.score, coverage, math.log(1 + len(asked))


def confidence(segment: Segment, ranking: Ranking) -> float:
    """A probability in (0, 1); exactly 0 only when nothing matched at all."""
    if not ranking.hits:
        return 0.0
    relative, margin, coverage, length = features(segment, ranking)
    z = INTERCEPT + RELATIVE * relative + MARGIN * margin + COVERAGE * coverage + LENGTH * length
    return 1 / (1 + math.exp(-z))
