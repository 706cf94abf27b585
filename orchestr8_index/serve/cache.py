"""The cache of answers, by method, params and generation, and the questions asked lately.

Bounded by entries, bytes and age; the least recently used goes first (cachetools.TTLCache).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from copy import copy

from cachetools import TTLCache

from ..memo import Newest
from ..store.notes import Question

MAX_ENTRIES, MAX_BYTES = 256, 4_000_000
MOST, LATELY, WITHIN_SECONDS, MOST_BYTES = 256, 160, 3600.0, 4096  # of questions asked lately
"""(method, its params as JSON)."""
CacheKey = tuple[str, bytes, str, tuple[int, int]]
"""(method, digest of the params, who knows something alone, (generation, revision of the
experience))."""


class AnswerCache:
    """One life per instance, in seconds; a life of 0 keeps nothing.

    `renewed` counts the answers that were worked out before somebody asked.
    """

    def __init__(
        self,
        life: float,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        least = max_bytes / max_entries  # an entry weighs at least this much: both bounds in one
        self._make: Callable[[float], TTLCache[tuple[str, CacheKey], bytes]] = lambda life: (
            TTLCache(max_bytes, life, timer=clock, getsizeof=lambda answer: max(len(answer), least))
        )
        self._kept = [self._make(life)]
        self._max_bytes, self._owner = max_bytes, ""
        self.hits = self.misses = self.renewed = 0

    @property
    def _answers(self) -> TTLCache[tuple[str, CacheKey], bytes]:
        return self._kept[0]

    def set_life(self, life: float) -> None:
        """Of all that share its bounds, from now on; what is kept goes."""
        self._kept[0] = self._make(life)

    def beside(self, owner: str) -> AnswerCache:
        """One within the same bounds, for the answers of another project."""
        other = copy(self)
        other._owner = owner
        other.hits = other.misses = other.renewed = 0
        return other

    def get(self, key: CacheKey) -> bytes | None:
        answer = self.peek(key)
        self.misses += answer is None
        self.hits += answer is not None
        return answer

    def peek(self, key: CacheKey) -> bytes | None:
        """As `get`, uncounted."""
        try:  # its `get` looks twice, and costs twice as much
            return self._answers[self._owner, key]
        except KeyError:
            return None

    def __contains__(self, key: CacheKey) -> bool:
        return (self._owner, key) in self._answers

    def put(self, key: CacheKey, answer: bytes) -> None:
        if len(answer) <= self._max_bytes:
            self._answers[self._owner, key] = answer

    def clear(self) -> None:
        for each in [each for each in self._answers if each[0] == self._owner]:
            self._answers.pop(each, None)

    def __len__(self) -> int:
        return sum(owner == self._owner for owner, _ in self._answers)


class RecentQuestions:
    """When each was asked last. The one not asked for longest makes way."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_at: Newest[Question, float] = Newest(MOST)

    def note(self, method: str, params: bytes) -> None:
        if len(params) <= MOST_BYTES:
            self._asked_at[method, params] = self._clock()

    def lately(self) -> list[Question]:
        """The last first: LATELY at most, asked within WITHIN_SECONDS."""
        since = self._clock() - WITHIN_SECONDS
        last = itertools.islice(reversed(self._asked_at.items()), LATELY)
        return [question for question, moment in last if moment >= since]
