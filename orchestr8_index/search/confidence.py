"""How likely is the first hit right, and what follows from it?

A logistic regression on what the ranking saw. Three confidences change what is said:
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
from .evidence import Record, sureness
from .rank import DEPTH, Hit, Ranking
from .semantic import LIKE, likeness

DOUBTFUL = 0.2
"""Below it whoever asked is told that probably nobody fits: of 100 such first hits 14 are right, of
those of short, colloquial questions 24.

The rows are there all the same, since an asker can look at them, and they cost little. Only below
ABSTAIN_BELOW, which is far lower (one of twenty), is the answer an empty list: there the rows
themselves would mislead.
"""
SURE = 0.5
"""From here on the first hit is more likely right than not: take it."""
SPEAK = 0.65
"""From here on a hook speaks unasked: nobody has asked it, and its lines cost every prompt.

Of the 185 colloquial questions, on which the confidence is also fitted, 77 had at least this, and
72 of these a right first hit; from SURE on 97 of 113.
"""
SMALLEST, LARGE, LARGEST = 50, 300, 2_000  # entries, between which a catalogue's size counts
MOST_WORDS = 20  # of a question; more make it no longer
SIXTH = 4  # among the rivals
MOST_SHIFT, SHIFT_STEP, SHIFT_PRIOR = 1.0, 0.1, 4.0


def features(segment: Segment, ranking: Ranking) -> dict[str, float]:
    """Of a ranking with hits: its first one, its rivals and the question.

    `cosine`: how near the first hit is in meaning; `spread`: the length of the question's vector,
    short where its words point apart. `words`: its share of the score by words alone. `drop`: how
    far the sixth is below it, `lead`: how far the second is. `long`: how many words it has. A lead
    counts as far as few entries have a part in it, a drop more where there are many entries.
    """
    plain, query = ranking.plain or ranking, ranking.query
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
    """The first hits that are neither the entry nor its clones, as many as are looked at."""
    others = {place, *segment.clones(place)}
    rivals = (hit for hit in ranking.hits[:DEPTH] if hit.place not in others)
    return list(islice(rivals, SIXTH + 1))


def confidence(segment: Segment, ranking: Ranking, shift: float = 0.0) -> float:
    """A probability in (0, 1); exactly 0 only when nothing matched at all. `shift`: what outcomes
    have moved the log odds by.

    No report of a failure raises it, and no success lowers it for the same task: what the text says
    is worked out without experience, and the records are added to it.
    """
    if not ranking.hits:
        return 0.0
    by_text = SHIPPED_FIT.probability(features(segment, ranking), shift)
    known = ranking.known
    return sureness(by_text, known.of(ranking.hits[0].place) if known else Record())


def calibration_of(judged: Sequence[tuple[float, bool]]) -> Calibration:
    """Of past tasks (how sure the first hit was by the text alone, whether it did the task): the
    likeliest shift, that none is at first counting as SHIFT_PRIOR does.

    No slope, and in steps: whatever is right or wrong moves the confidence of all answers one way,
    and most outcomes move it not at all.
    """
    odds = [math.log(sure / (1 - sure)) for sure, _ in judged if 0 < sure < 1]
    wanted = sum(right for sure, right in judged if 0 < sure < 1)
    low, high = -MOST_SHIFT, MOST_SHIFT
    while high - low > SHIFT_STEP / 8:
        middle = (low + high) / 2
        short = sum(_chance(z + middle) for z in odds) + SHIFT_PRIOR * middle < wanted
        low, high = (middle, high) if short else (low, middle)
    shift = round((low + high) / 2 / SHIFT_STEP) * SHIFT_STEP
    count = len(odds)
    predicted = sum(_chance(z + shift) for z in odds) / max(1, count)
    return Calibration(count, predicted, wanted / max(1, count), shift)


def _chance(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))
