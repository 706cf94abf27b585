"""What is done beside answering? Looks at the process, the audit written, answers renewed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from ..errors import StoreUnavailable
from ..store.ledger import write_audit
from . import hot
from .renewal import Renewal
from .state import State

LOOK_SECONDS = 1.0
log = logging.getLogger("orchestr8.serve")


class Upkeep:
    """Two tasks of the running loop; `stop` does what must be done last."""

    def __init__(self, state: State, look_seconds: float = LOOK_SECONDS) -> None:
        self._state, self._look_seconds = state, look_seconds
        self._renewal = Renewal(state)
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        settings = self._state.settings
        for asked in reversed(hot.load(settings.data_dir, settings.roots_digest)):
            self._state.hot.note(*asked)
        steps = (self._look, self._renewal.step)
        self._tasks = [asyncio.create_task(self._again_and_again(step)) for step in steps]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.write_audit()
        settings, hottest = self._state.settings, self._state.hot.hottest()
        if hottest:
            hot.save(settings.data_dir, settings.roots_digest, hottest)

    async def _again_and_again(self, step: Callable[[], Awaitable[float]]) -> None:
        """Each step says how many seconds to rest; one that fails does not end the others."""
        while True:
            try:
                rest = await step()
            except Exception:  # a background loop
                log.exception("a step of the upkeep failed")
                rest = self._look_seconds
            await asyncio.sleep(rest)

    async def _look(self) -> float:
        self._state.gate.memory.look()
        self._state.gate.keys.look()
        self._state.signs.samples.look()
        self._state.watched.look()
        await self.write_audit()
        return self._look_seconds

    async def write_audit(self) -> None:
        """A store that is not open yet keeps the rows waiting; one that fails loses them."""
        outcomes = self._state.keeper.ready if self._state.keeper else None
        if outcomes is None:
            return
        rows = self._state.gate.audit.take()
        if not rows:
            return
        try:
            await outcomes.store.write(lambda connection: write_audit(connection, rows))
        except StoreUnavailable as error:
            log.error("the audit was not written", extra={"reason": str(error)})
