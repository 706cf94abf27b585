"""How alike two goals are: 0.5·cosine + 0.3·keyword + 0.2·string, each in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Collection

COSINE, KEYWORD, STRING = 0.5, 0.3, 0.2


def similarity(
    goal: str,
    other: str,
    terms: Collection[str],
    others: Collection[str],
    least: float = 0.0,
) -> float:
    """`terms` and `others` are the goals' distinct terms; the string part is rapidfuzz's ratio.

    Where the words show that it is below `least`, the strings are not compared, and it is 0.
    """
    worded = of_words(terms, others)
    if worded + STRING < least:
        return 0.0
    from rapidfuzz import fuzz

    return worded + STRING * fuzz.ratio(goal.casefold(), other.casefold()) / 100


def of_words(terms: Collection[str], others: Collection[str]) -> float:
    """The parts of cosine and keyword: shared terms over the geometric mean, and over the union."""
    shared = len(frozenset(terms).intersection(others))
    if not shared:
        return 0.0
    cosine = shared / math.sqrt(len(terms) * len(others))
    keyword = shared / (len(terms) + len(others) - shared)
    return COSINE * cosine + KEYWORD * keyword
