"""How likely is the first hit right, and what follows from it?

A logistic regression on features of the ranking. Three thresholds change what an answer says:
`confidence_fit.ABSTAIN_BELOW`, DOUBTFUL and SURE.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

from ..catalog.bm25f import QUERY_SCALE, SAT_SCALE
from ..catalog.index import Segment
from ..records import Calibration
from .confidence_fit import SHIPPED_FIT
from .evidence import Record, posterior
from .rank import DEPTH, Hit, Ranking
from .semantic import LIKE, likeness

DOUBTFUL = 0.2
"""Below it an answer says that probably nobody fits: of 100 such first hits 14 are right, of those
of short, colloquial questions 24.

The rows are still returned, since an asker can judge them at little cost. Only below ABSTAIN_BELOW,
which is far lower (one of twenty is right), is the answer empty: there rows would mislead.
"""
SURE = 0.5
"""From here on the first hit is more likely right than not: take it."""
SPEAK = 0.65
"""From here on a hook offers entries: it was not asked, and its lines cost tokens in every prompt.

Of the 185 colloquial questions, on which the confidence is also fitted, 77 had at least this, and
72 of these a right first hit; from SURE on 96 of 112.
"""
SMALLEST, LARGE, LARGEST = 50, 300, 2_000  # entries; sizes are clamped to the outer two
MOST_WORDS = 20  # at which the length of a question is clamped
SIXTH = 4  # index of the sixth hit among the rivals
MOST_SHIFT, SHIFT_STEP, SHIFT_PRIOR = 1.0, 0.1, 4.0


def features(segment: Segment, ranking: Ranking) -> dict[str, float]:
    """The regression's features of a ranking with hits.

    `cosine`: nearness in meaning of the first hit; `spread`: length of the question's vector, short
    where its words point apart; `words`: the first hit's share of the highest score by words;
    `drop`, `lead`: how far the sixth and the second hit are below it; `long`: the question's words.
    """
    plain = ranking.plain or ranking
    query = plain.query
    place, meaning = ranking.hits[0].place, query.meaning
    first = next((hit for hit in plain.hits if hit.place == place), Hit(place, 0, 0.0))
    rivals = _rivals(segment, plain, place)
    words = (first.score - plain.meant.get(place, 0)) / (query.by_words or 1)
    cosine = likeness(segment.table, meaning, [place])[0] / LIKE if meaning else 0.0
    spread = meaning.length if meaning else 0.0
    drop, long = _drop(first, rivals), min(MOST_WORDS, len(query.own))
    size = math.log(min(max(segment.size, SMALLEST), LARGEST))
    return {
        "cosine": cosine,
        "cosine_squared": cosine**2,
        "cosine_long": cosine * math.log1p(long),
        "long": float(long),
        "lead_drop": _lead(first, rivals) * drop,
        "drop_squared": drop**2,
        "drop_large": drop * max(0.0, size - math.log(LARGE)),
        "spread_size": spread * size,
        "words_spread": words * spread,
        "relative_squared": first.relative**2,
    }


def _lead(first: Hit, rivals: Sequence[Hit]) -> float:
    second = rivals[0].score if rivals else 0
    lead = (first.score - second) / (QUERY_SCALE * SAT_SCALE)
    return math.copysign(math.log1p(abs(lead)), lead)


def _drop(first: Hit, rivals: Sequence[Hit]) -> float:
    sixth = rivals[SIXTH].score if len(rivals) > SIXTH else 0
    return 1 - sixth / max(first.score, sixth, 1)


def _rivals(segment: Segment, ranking: Ranking, place: int) -> list[Hit]:
    """The best SIXTH + 1 hits other than the entry and its clones."""
    others = {place, *segment.clones(place)}
    rivals = (hit for hit in ranking.hits[:DEPTH] if hit.place not in others)
    return list(islice(rivals, SIXTH + 1))


def confidence(segment: Segment, ranking: Ranking, shift: float = 0.0) -> float:
    """The probability that the first hit is right; exactly 0 only when nothing matched. `shift` is
    added to the log odds (`calibration_of`).

    No failure raises it and no success lowers it: the features are of the ranking by the text, and
    the first hit's record is added.
    """
    if not ranking.hits:
        return 0.0
    by_text = SHIPPED_FIT.probability(features(segment, ranking), shift)
    known = ranking.known
    return posterior(by_text, known.of(ranking.hits[0].place) if known else Record())


def calibration_of(judged: Sequence[tuple[float, bool]]) -> Calibration:
    """The maximum a posteriori shift of the log odds for past tasks (confidence of the first hit by
    the text alone, whether it did the task); SHIFT_PRIOR is the precision of a normal prior at 0.

    There is no slope, so all confidences move one way, and it moves in steps of SHIFT_STEP, so most
    outcomes change no answer.
    """
    odds = [math.log(sure / (1 - sure)) for sure, _ in judged if 0 < sure < 1]
    wins = sum(right for sure, right in judged if 0 < sure < 1)
    low, high = -MOST_SHIFT, MOST_SHIFT
    while high - low > SHIFT_STEP / 8:
        middle = (low + high) / 2
        too_low = sum(_logistic(z + middle) for z in odds) + SHIFT_PRIOR * middle < wins
        low, high = (middle, high) if too_low else (low, middle)
    shift = round((low + high) / 2 / SHIFT_STEP) * SHIFT_STEP
    count = len(odds)
    predicted = sum(_logistic(z + shift) for z in odds) / max(1, count)
    return Calibration(count, predicted, wins / max(1, count), shift)


def _logistic(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))
