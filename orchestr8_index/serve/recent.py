"""The questions asked lately: what is renewed when answers change."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

from ..memo import Newest

MOST, LATELY, WITHIN_SECONDS, MOST_BYTES = 256, 160, 3600.0, 4096
Question = tuple[str, bytes]
"""(method, its params as JSON)."""


class RecentQuestions:
    """When each was asked last. The one not asked for longest makes way."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_at: Newest[Question, float] = Newest(MOST)

    def note(self, method: str, params: bytes) -> None:
        if len(params) > MOST_BYTES:
            return
        self._asked_at[method, params] = self._clock()

    def lately(self) -> list[Question]:
        """The last first: LATELY at most, asked within WITHIN_SECONDS."""
        since = self._clock() - WITHIN_SECONDS
        last = itertools.islice(reversed(self._asked_at.items()), LATELY)
        return [question for question, moment in last if moment >= since]
