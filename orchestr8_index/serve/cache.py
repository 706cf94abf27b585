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
MOST, LATELY, WITHIN_SECONDS, MOST_BYTES = 256, 160, 3600.0, 4096  # of RecentQuestions
CacheKey = tuple[str, bytes, str, tuple[int, int]]
"""(method, digest of the params, id of a key with patterns of its own or "", (generation, revision
of the experience))."""


class AnswerCache:
    """A cache of encoded answers for `life` seconds; a life of 0 caches nothing.

    `renewed` counts the answers that were computed in advance.
    """

    def __init__(
        self,
        life: float,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        least = max_bytes / max_entries  # the least weight of an entry: both bounds in one
        self._make: Callable[[float], TTLCache[tuple[str, CacheKey], bytes]] = lambda life: (
            TTLCache(max_bytes, life, timer=clock, getsizeof=lambda answer: max(len(answer), least))
        )
        self._shared = [self._make(life)]
        self._max_bytes, self._owner = max_bytes, ""
        self.hits = self.misses = self.renewed = 0

    @property
    def _answers(self) -> TTLCache[tuple[str, CacheKey], bytes]:
        return self._shared[0]

    def set_life(self, life: float) -> None:
        """Change the life for all caches that share this one's bounds, and empty them."""
        self._shared[0] = self._make(life)

    def beside(self, owner: str) -> AnswerCache:
        """A cache for another project (`owner`) within the same bounds."""
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
        """Like `get`, without counting a hit or miss."""
        try:  # TTLCache.get looks up twice, and costs twice as much
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
    """When each question was asked last; the least recently asked is dropped first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_at: Newest[Question, float] = Newest(MOST)

    def note(self, method: str, params: bytes) -> None:
        if len(params) <= MOST_BYTES:
            self._asked_at[method, params] = self._clock()

    def lately(self) -> list[Question]:
        """The questions of the last WITHIN_SECONDS, newest first, LATELY at most."""
        since = self._clock() - WITHIN_SECONDS
        last = itertools.islice(reversed(self._asked_at.items()), LATELY)
        return [question for question, moment in last if moment >= since]
