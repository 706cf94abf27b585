"""Answers that a report or a new generation changed are worked out again before somebody asks.

What was asked lately is answered between the requests. On the replay of a working day this keeps
the cache's hit rate over 80 %.
"""

from __future__ import annotations

import logging
import time

from ..errors import RequestError
from ..methods import METHODS
from .cache import Question
from .calls import renew
from .state import State

LOOK_SECONDS = 0.5
REST_SHARE, LEAST_REST = 20, 0.01  # it rests so many times as long as it worked; seconds
Stamps = dict[str, tuple[int, int]]
"""What the answers of each method depend on, by its name; empty while there is no index."""
log = logging.getLogger("orchestr8.serve")


class Renewal:
    """Begins once nothing has changed from one step to the next: a burst is worked off first."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._seen: Stamps = {}
        self._begun: Stamps = {}
        self._left: list[Question] = []

    async def step(self) -> float:
        """Compare, or renew one answer; returns the seconds to rest."""
        before, self._seen = self._seen, self._stamps()
        if self._seen != before:
            self._left = []
        elif self._seen != self._begun:
            self._begun, self._left = self._seen, self._state.recent.lately()
            log.debug("answers are renewed", extra={"questions": len(self._left)})
        while self._left:
            started = time.perf_counter()
            if await self._renew(*self._left.pop(0)):
                return max(LEAST_REST, REST_SHARE * (time.perf_counter() - started))
        return LOOK_SECONDS

    async def _renew(self, name: str, params: bytes) -> bool:
        try:
            return await renew(self._state, name, params)
        except RequestError:  # who asks again is told
            return True

    def _stamps(self) -> Stamps:
        state = self._state
        if state.refresh.index is None:
            return {}
        return {m.name: state.stamp(m.about) for m in METHODS.values() if m.cache}
