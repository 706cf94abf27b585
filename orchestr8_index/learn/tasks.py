"""The words of a task (its distinct terms and adjacent pairs, and a key), and how alike two are."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

from ..text import Terms

COSINE, KEYWORD, STRING = 0.5, 0.3, 0.2


@dataclass(frozen=True, slots=True)
class Task:
    """`terms` are single, `pairs` are "first second"; an equal `key` means equal words.

    Texts of one key are near-equal: they differ in case, endings, punctuation and stop words at
    most. They have the same words, so it does not matter which of them came first.
    """

    terms: frozenset[str]
    pairs: frozenset[str]
    key: int

    @property
    def words(self) -> frozenset[str]:
        return self.terms | self.pairs


def read_task(text: str, terms: Terms) -> Task:
    """The distinct words and neighbouring pairs of a task's text."""
    found = [sys.intern(term) for term in terms(text)]
    single = frozenset(found)
    pairs = frozenset(sys.intern(f"{first} {second}") for first, second in pairwise(found))
    return Task(single, pairs, hashed("\0".join(sorted(single | pairs))))


def hashed(text: str) -> int:
    """A 64-bit number that is the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def similarity(
    goal: str, other: str, terms: Collection[str], others: Collection[str], least: float = 0.0
) -> float:
    """0.5·cosine + 0.3·keyword + 0.2·string, each in [0, 1]. `terms` and `others` are the
    goals' distinct terms; the string part is rapidfuzz's ratio.

    It is 0 without comparing the strings where the words alone show that it is below `least`.
    """
    of_terms = by_terms(terms, others)
    if of_terms + STRING < least:
        return 0.0
    from rapidfuzz import fuzz

    return of_terms + STRING * fuzz.ratio(goal.casefold(), other.casefold()) / 100


def by_terms(terms: Collection[str], others: Collection[str]) -> float:
    """0.5·cosine + 0.3·keyword; keyword is the Jaccard index of the two sets of terms."""
    shared = len(frozenset(terms).intersection(others))
    if not shared:
        return 0.0
    cosine = shared / math.sqrt(len(terms) * len(others))
    keyword = shared / (len(terms) + len(others) - shared)
    return COSINE * cosine + KEYWORD * keyword
