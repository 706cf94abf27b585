"""Which of the goals that were reached is meant by this one, in other words?

By the cosine of what their words mean, each with what the lexicon reads into them. Of goals that
are nearly as near none is surely meant, so the lead over the second counts with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..catalog.index import Segment
from ..text import Terms
from .past import PastMeaning
from .query import read_query
from .semantic import LIKE

LEAST = 0.52  # cosine and LEAD of the lead; scripts/bench plans says what it finds
LEAD = 0.5


class Goals:
    """Vectors of goals by their number, made when they are first looked for."""

    def __init__(self) -> None:
        self._vectors: PastMeaning | None = None
        self._known: dict[int, str] = {}

    def nearest(
        self, segment: Segment, terms: Terms, text: str, goals: Mapping[int, str]
    ) -> int | None:
        """The number of the goal that the text means; None where none is near enough."""
        meaning = read_query(segment, text, terms).meaning
        if meaning is None or not goals:
            return None
        likes = self._learnt(segment, terms, goals).likeness(meaning)
        near = sorted(((likes[number], -number) for number in goals), reverse=True)
        first, second = near[0][0], near[1][0] if len(near) > 1 else 0
        whole = LIKE * meaning.length
        enough = first + LEAD * (first - second) >= LEAST * whole
        return -near[0][1] if enough else None

    def _learnt(self, segment: Segment, terms: Terms, goals: Mapping[int, str]) -> PastMeaning:
        if self._vectors is None:
            self._vectors = PastMeaning(segment)
        for number, goal in goals.items():
            if self._known.get(number) != goal:
                read = read_query(segment, goal, terms).words
                words = dict.fromkeys(word.term for word in read if not word.is_pair)
                self._vectors.put(number, words)
                self._known[number] = goal
        return self._vectors
