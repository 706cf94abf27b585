"""Is the confidence as often right as it says? Worked out from a project's own outcomes.

Every ten minutes at most, so that kept answers live; from the decisions alone, so that a restart
comes to the same. Past tasks are asked again without experience: what was learnt of an entry, a
failure too, then says nothing about how sure another is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ..catalog.index import Segment
from ..learn.experience import Memory, TaskOutcome
from ..records import Kind
from ..search.confidence import calibration_of, confidence
from ..search.rank import rank
from ..text import Terms
from .state import State

EVERY_SECONDS = 600.0
REST_SHARE = 20  # it rests so many times as long as it worked


class Calibrating:
    """Of one project; `clock` in seconds."""

    def __init__(self, state: State, clock: Callable[[], float] = time.monotonic) -> None:
        self._state, self._clock = state, clock
        self._begun, self._seen = float("-inf"), (-1, -1)

    async def step(self) -> None:
        """Does nothing before its time, and where nothing is new."""
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
        found = [each for each in judged if each is not None]
        if found or kind in memory.calibrations:
            memory.calibrate(kind, calibration_of(found))


def first_hit(
    segment: Segment, text: str, outcome: TaskOutcome, terms: Terms
) -> tuple[float, bool] | None:
    """How sure the first hit is by the text alone, and whether it did the task; None where nothing
    is found, or others did it that are not here."""
    places = {segment.position[name] for name in outcome.entries if name in segment.position}
    ranking = rank(segment, text, terms)
    if not ranking.hits or not places:
        return None
    first = ranking.hits[0].place
    is_right = outcome.won and not places.isdisjoint({first, *segment.clones(first)})
    return confidence(segment, ranking), is_right
