"""How alike are two goals? 0.5·cosine + 0.3·keyword + 0.2·string, each in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Collection

COSINE, KEYWORD, STRING = 0.5, 0.3, 0.2


def similarity(goal: str, other: str, terms: Collection[str], others: Collection[str]) -> float:
    """`terms` and `others` are the goals' distinct terms; the string part is rapidfuzz's ratio."""
    from rapidfuzz import fuzz

    mine, theirs = frozenset(terms), frozenset(others)
    shared = len(mine & theirs)
    string = fuzz.ratio(goal.casefold(), other.casefold()) / 100
    if not shared:
        return STRING * string
    cosine = shared / math.sqrt(len(mine) * len(theirs))
    keyword = shared / len(mine | theirs)
    return COSINE * cosine + KEYWORD * keyword + STRING * string
