"""The questions asked lately: what is renewed when answers change."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from collections.abc import Callable

MOST, LATELY, WITHIN_SECONDS, MOST_BYTES = 256, 160, 3600.0, 4096
Question = tuple[str, bytes]
"""(method, its params as JSON)."""


class RecentQuestions:
    """When each was asked last. The one not asked for longest makes way."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_at: OrderedDict[Question, float] = OrderedDict()

    def note(self, method: str, params: bytes) -> None:
        if len(params) > MOST_BYTES:
            return
        question = (method, params)
        self._asked_at[question] = self._clock()
        self._asked_at.move_to_end(question)
        if len(self._asked_at) > MOST:
            self._asked_at.popitem(last=False)

    def lately(self) -> list[Question]:
        """The last first: LATELY at most, asked within WITHIN_SECONDS."""
        since = self._clock() - WITHIN_SECONDS
        last = itertools.islice(reversed(self._asked_at.items()), LATELY)
        return [question for question, moment in last if moment >= since]
