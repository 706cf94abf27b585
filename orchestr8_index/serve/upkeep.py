"""What is done beside answering? Looks at the process, the audit written, the cache warmed."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from ..errors import OperationError, RequestError, StoreUnavailable
from ..store.ledger import write_audit
from . import hot
from .calls import warm
from .state import State

LOOK_SECONDS, WARM_PAUSE = 1.0, 0.02
log = logging.getLogger("orchestr8.serve")


class Upkeep:
    """Two tasks of the running loop; `stop` does what must be done last."""

    def __init__(self, state: State, look_seconds: float = LOOK_SECONDS) -> None:
        self._state, self._look_seconds = state, look_seconds
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        self._tasks = [asyncio.create_task(self._look()), asyncio.create_task(self._warm())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.write_audit()
        settings, hottest = self._state.settings, self._state.hot.hottest()
        if hottest:
            hot.save(settings.data_dir, settings.roots_digest, hottest)

    async def _look(self) -> None:
        while True:
            try:
                self._state.gate.memory.look()
                self._state.gate.keys.look()
                self._state.signs.samples.look()
                self._state.watched.look()
                await self.write_audit()
            except Exception:  # a background loop
                log.exception("a look failed")
            await asyncio.sleep(self._look_seconds)

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

    async def _warm(self) -> None:
        """After the first build, between the requests; a question that fails now is left out."""
        state = self._state
        asked = hot.load(state.settings.data_dir, state.settings.roots_digest)
        if not asked:
            return
        with contextlib.suppress(OperationError, StoreUnavailable):
            if state.first_build is not None:
                await asyncio.shield(state.first_build)
            if state.keeper is not None:
                await state.keeper.outcomes()
        warmed = 0
        for method, params in asked:
            await asyncio.sleep(WARM_PAUSE)
            with contextlib.suppress(RequestError):
                await warm(state, method, params)
                warmed += 1
        log.info("the cache is warm", extra={"questions": warmed})
