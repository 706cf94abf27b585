"""How likely is the first hit right, and what follows from it?

A logistic regression on what the ranking saw. Three confidences change what is said:
`fitted.ABSTAIN_BELOW`, DOUBTFUL and SURE.
"""

from __future__ import annotations

import math

from .index import Segment
from .rank import DEPTH, Hit, Ranking
from .weigh import FIELDS, QUERY_SCALE, SAT_SCALE

DOUBTFUL = 0.2
"""Below it whoever asked is told that probably nobody fits: one of five such first hits is right.

The rows are there all the same, since an asker can look at them, and they cost little. Only below
ABSTAIN_BELOW, which is fitted and far lower (one of twenty), is the answer an empty list: there the
rows themselves would mislead. `tune` moves that one with the catalogue, and leaves this one.
"""
SURE = 0.5
"""From here on the first hit is more likely right than not: take it, and speak unasked.

Nobody has asked a hook, and each of its lines costs every prompt; so it is silent where an asked
answer would only be doubtful.
"""
NEAR_FIRST = 0.8  # whoever has this share of the first one's score is one of a crowd


def features(segment: Segment, ranking: Ranking) -> dict[str, float]:
    """Of a ranking with hits: its first one, its rivals, the question and the catalogue."""
    first, rivals = ranking.hits[0], _rivals(segment, ranking)
    second = rivals[0].score if rivals else 0
    terms = len(ranking.query.own)
    return {
        "relative": first.relative,
        "lead": math.log1p((first.score - second) / (QUERY_SCALE * SAT_SCALE)),
        "crowd": math.log1p(sum(hit.score > NEAR_FIRST * first.score for hit in rivals)),
        "terms": math.log1p(terms),
        "bodies": math.log1p(segment.lengths[FIELDS.index("body")]),
    }


def _rivals(segment: Segment, ranking: Ranking) -> list[Hit]:
    """The hits after the first one that are not its clones."""
    clones = segment.clones(ranking.hits[0].place)
    return [hit for hit in ranking.hits[1:DEPTH] if hit.place not in clones]


def confidence(segment: Segment, ranking: Ranking) -> float:
    """A probability in (0, 1); exactly 0 only when nothing matched at all."""
    if not ranking.hits:
        return 0.0
    return segment.fit.probability(features(segment, ranking))
