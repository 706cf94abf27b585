"""The words of a task: its distinct terms and adjacent pairs, and a key."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from itertools import pairwise

from ..text import Terms


@dataclass(frozen=True, slots=True)
class Task:
    """`terms` are single, `pairs` are "first second"; an equal `key` means equal words.

    Texts of one key are near-equal: they differ in case, endings, punctuation and stop words at
    most. What counts for one counts alike for another, so that it does not matter which came first.
    """

    terms: frozenset[str]
    pairs: frozenset[str]
    key: int

    @property
    def words(self) -> frozenset[str]:
        return self.terms | self.pairs


def read_task(text: str, terms: Terms) -> Task:
    found = [sys.intern(term) for term in terms(text)]
    single = frozenset(found)
    pairs = frozenset(sys.intern(f"{first} {second}") for first, second in pairwise(found))
    return Task(single, pairs, hashed("\0".join(sorted(single | pairs))))


def hashed(text: str) -> int:
    """A 64-bit number that is the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
