"""Finds the pattern whose goal a text says in other words.

By the cosine of their mean word vectors, words that the lexicon adds included. Between goals that
are almost equally near the choice is unsure, so the lead over the second counts too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from ..catalog.index import Segment
from ..records import Pattern
from ..text import Terms
from .past import PastMeaning
from .query import read_query
from .semantic import LIKE

LEAST = 0.52  # cosine + LEAD · lead; scripts/bench plans measures what it finds
LEAD = 0.5
STEP = 10  # goals read without a pause


class Goals:
    """Vectors of goals by their patterns' numbers, computed at the first search."""

    def __init__(self) -> None:
        self._vectors: PastMeaning | None = None
        self._known: dict[int, str] = {}

    def nearest(
        self,
        segment: Segment,
        terms: Terms,
        text: str,
        patterns: Mapping[int, Pattern],
        offers: Callable[[Pattern], bool],
    ) -> Pattern | None:
        """The nearest pattern that `offers` accepts; None where it is not near enough.

        `offers` is called from the nearest on, until it has accepted two.
        """
        meaning = read_query(segment, text, terms).meaning
        if meaning is None or not patterns:
            return None
        for _ in self.reading(segment, terms, patterns):
            pass
        likes = self._meanings(segment).likeness(meaning)
        least = LEAST * LIKE * meaning.length
        if (1 + LEAD) * max(likes.values()) < least:
            return None
        near = sorted(likes, key=lambda number: (-likes[number], number))
        known = (patterns[number] for number in near if number in patterns)
        first, second = [*islice(filter(offers, known), 2), None, None][:2]
        lead = likes[first.id] - (likes[second.id] if second else 0) if first else 0
        return first if first and likes[first.id] + LEAD * lead >= least else None

    def reading(
        self, segment: Segment, terms: Terms, patterns: Mapping[int, Pattern]
    ) -> Iterator[None]:
        """Compute the vectors of new goals; yields every few milliseconds, after STEP goals."""
        vectors, new = self._meanings(segment), 0
        for pattern in list(patterns.values()):
            if self._known.get(pattern.id) != pattern.goal:
                read = read_query(segment, pattern.goal, terms).words
                words = dict.fromkeys(word.term for word in read if not word.is_pair)
                vectors.put(pattern.id, words)
                self._known[pattern.id] = pattern.goal
                new += 1
                if new % STEP == 0:
                    yield

    def _meanings(self, segment: Segment) -> PastMeaning:
        self._vectors = self._vectors or PastMeaning(segment)
        return self._vectors
