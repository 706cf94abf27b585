"""Work between the requests of a project: renewing cached answers, calibrating the confidence.

After a report or a new generation the answers to recent questions are computed again in advance. On
the replay of a working day this keeps the cache's hit rate over 80 %.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from ..catalog.index import Segment
from ..errors import RequestError
from ..learn.experience import Memory, TaskOutcome
from ..methods import METHODS
from ..records import Kind
from ..search.confidence import calibration_of, confidence
from ..search.rank import rank
from ..store.notes import Question
from ..text import Terms
from .calls import renew
from .state import State

LOOK_SECONDS, EVERY_SECONDS = 0.5, 600.0
REST_SHARE, LEAST_REST = 20, 0.01  # it rests 20 times as long as it worked, at least so many s
Stamps = dict[str, tuple[int, int]]
"""Each cached method's `State.stamp` by its name; empty while there is no index."""
log = logging.getLogger("orchestr8.serve")


class Renewal:
    """Renews answers, once nothing changed from one step to the next, so that a burst is over."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._seen: Stamps = {}
        self._begun: Stamps = {}
        self._left: list[Question] = []

    async def step(self) -> float:
        """Look for changes, and renew one answer; gives the seconds to rest."""
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
        except RequestError:  # the next caller gets the error
            return True

    def _stamps(self) -> Stamps:
        state = self._state
        if state.refresh.index is None:
            return {}
        return {m.name: state.stamp(m.about) for m in METHODS.values() if m.cache}


class Calibrating:
    """Calibrates the confidence by a project's own outcomes.

    At most every ten minutes, as it invalidates cached answers; from the decisions alone, so that a
    restart gives the same result. Past tasks are ranked without experience, as what was learnt of
    one entry says nothing about the confidence in another.
    """

    def __init__(self, state: State, clock: Callable[[], float] = time.monotonic) -> None:
        self._state, self._clock = state, clock
        self._begun, self._seen = float("-inf"), (-1, -1)

    async def step(self) -> None:
        """Calibrate each kind, if ten minutes are over and there are new outcomes or entries."""
        state = self._state
        outcomes = state.store.ready
        if outcomes is None or state.refresh.index is None:
            return
        if self._clock() - self._begun < EVERY_SECONDS:
            return
        index, memory = state.index, outcomes.memory
        self._begun = self._clock()
        if self._seen != (seen := (index.generation, memory.revision)):
            self._seen = seen
            for kind, segment in index.segments.items():
                await self._calibrate(memory, kind, segment)

    async def _calibrate(self, memory: Memory, kind: Kind, segment: Segment) -> None:
        judged = []
        for text, outcome in list(memory.judged[kind].items()):
            started = time.perf_counter()
            judged.append(first_hit(segment, text, outcome, self._state.terms))
            await asyncio.sleep(REST_SHARE * (time.perf_counter() - started))
        pairs = [each for each in judged if each is not None]
        if pairs or kind in memory.calibrations:
            memory.calibrate(kind, calibration_of(pairs))


def first_hit(
    segment: Segment, text: str, outcome: TaskOutcome, terms: Terms
) -> tuple[float, bool] | None:
    """(confidence in the first hit by the text alone, whether it did the task); None without a hit,
    or when no entry of the outcome is in the index."""
    places = {segment.position[name] for name in outcome.entries if name in segment.position}
    ranking = rank(segment, text, terms)
    if not ranking.hits or not places:
        return None
    first = ranking.hits[0].place
    is_right = outcome.won and not places.isdisjoint({first, *segment.clones(first)})
    return confidence(segment, ranking), is_right
