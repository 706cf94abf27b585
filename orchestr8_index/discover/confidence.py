"""How likely is the first hit right, and what follows from it?

A logistic regression on what the ranking saw. Three confidences change what is said:
`fitted.ABSTAIN_BELOW`, DOUBTFUL and SURE.
"""

from __future__ import annotations

import math

from .index import Segment
from .meaning import SHARP
from .rank import DEPTH, Hit, Ranking
from .weigh import QUERY_SCALE, SAT_SCALE, highest
from .words import UNIT

DOUBTFUL = 0.2
"""Below it whoever asked is told that probably nobody fits: one of five such first hits is right.

The rows are there all the same, since an asker can look at them, and they cost little. Only below
ABSTAIN_BELOW, which is far lower (one of fourteen), is the answer an empty list: there the
rows themselves would mislead. `tune` moves that one with the catalogue, and leaves this one.
"""
SURE = 0.5
"""From here on the first hit is more likely right than not: take it, and speak unasked.

Nobody has asked a hook, and each of its lines costs every prompt; so it is silent where an asked
answer would only be doubtful.
"""
ENOUGH = 4  # words of a question; with fewer it says too little to be sure
SIXTH = 4  # among the rivals


def features(segment: Segment, ranking: Ranking) -> dict[str, float]:
    """Of a ranking with hits: its first one, its rivals and the question.

    `cosine`: how near the first hit is in meaning; `spread`: the length of the question's vector,
    short where its words point apart. `words`: its share of the score by words alone. `drop`: how
    far the sixth is below it. `strange`: the share of words that have no vector. `short`: how many
    words are missing to ENOUGH.
    """
    first, rivals, query = ranking.hits[0], _rivals(segment, ranking), ranking.query
    meant, own = ranking.meant, query.own
    by_words = first.score - meant.get(first.place, 0)
    words = by_words / (highest(sum(word.weight for word in query.words)) or 1)
    second = rivals[0].score if rivals else 0
    sixth = rivals[SIXTH].score if len(rivals) > SIXTH else 0
    return {
        "cosine": meant.get(first.place, 0) / (query.strength or 1),
        "spread": _length(query.vector or []),
        "words": words,
        "words_squared": words**2,
        "relative_squared": first.relative**2,
        "lead": math.log1p((first.score - second) / (QUERY_SCALE * SAT_SCALE)),
        "drop": 1 - sixth / first.score,
        "strange": sum(word.known_as is None for word in own) / max(1, len(own)),
        "short": float(max(0, ENOUGH - len(own))),
    }


def _length(vector: list[int]) -> float:
    """In units in which a word's direction is 1 long."""
    return math.hypot(*vector) / (UNIT * SHARP)


def _rivals(segment: Segment, ranking: Ranking) -> list[Hit]:
    """The hits after the first one that are not its clones."""
    clones = segment.clones(ranking.hits[0].place)
    return [hit for hit in ranking.hits[1:DEPTH] if hit.place not in clones]


def confidence(segment: Segment, ranking: Ranking, shift: float = 0.0) -> float:
    """A probability in (0, 1); exactly 0 only when nothing matched (`shift`: shift.py)."""
    if not ranking.hits:
        return 0.0
    return segment.fit.probability(features(segment, ranking), shift)
