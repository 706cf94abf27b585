"""Who works on what right now? The tasks that hosts have handed to agents, as their events tell."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from msgspec.structs import replace

from ..memo import Newest
from ..views import DelegatedTask, DelegationList
from .events import Delegated

MOST_RUNNING, MOST_ENDED = 200, 50
LONGEST = 6 * 3600.0  # seconds; what nobody ended by then is over


class RunningTasks:
    """Hears of each task that begins or ends; what was never seen to begin is shown as ended."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._running: Newest[str, DelegatedTask] = Newest(MOST_RUNNING)
        self._ended: deque[DelegatedTask] = deque(maxlen=MOST_ENDED)

    def note(self, event: Delegated) -> None:
        now = self._clock()
        task = DelegatedTask(id=event.id, agent=event.agent, task=event.task, started=now)
        if event.state == "started":
            self._running.setdefault(event.id, task)
            return
        began = now - (event.duration_ms or 0) / 1000
        known = self._running.pop(event.id, replace(task, started=began))
        self._ended.appendleft(replace(known, ended=now, result=event.result or ""))

    def shown(self) -> DelegationList:
        """The latest first."""
        since = self._clock() - LONGEST
        running = [each for each in reversed(self._running.values()) if each.started > since]
        return DelegationList(running=running, ended=list(self._ended))
