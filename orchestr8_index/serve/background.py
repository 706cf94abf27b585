"""The background tasks of the server, started with it and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from ..errors import StoreUnavailable
from .health import health, metrics
from .keys import RELOAD_SECONDS
from .memory import give_back
from .renewal import LOOK_SECONDS, Calibrating, Renewal
from .state import State
from .usage import keep_audit, keep_usage

STEP_SECONDS, BEAT = 1.0, 0.5
T = TypeVar("T")
log = logging.getLogger("orchestr8.serve")
requests = logging.getLogger("orchestr8.http")


@contextlib.asynccontextmanager
async def background(state: State) -> AsyncIterator[None]:
    """Run the store, the index, the watcher and the upkeep; on exit stop them in order."""
    address, upkeep = state.settings.notify_socket, Upkeep(state)
    state.store.begin()

    def built(_: object) -> None:
        if state.refresh.failure or (index := state.refresh.index) is None:
            log.error("the index could not be built", extra={"reason": state.refresh.failure})
        else:
            details = {"generation": index.generation, "counts": index.manifest.counts}
            log.info("the index is up to date", extra=details)
        notify(address, READY="1", STATUS=" ".join(health(state)["reasons"]) or "Serving.")

    state.refresh.begin().add_done_callback(built)
    if state.settings.watch:
        state.file_watch.begin()
    upkeep.begin()
    yield
    notify(address, STOPPING="1")
    store = state.store, state.shared
    for part in (upkeep, state.file_watch, state.refresh, state.projects, *store):
        await part.stop()
    log.info("final metrics", extra={"metrics": metrics(state)})
    if state.trace:
        await asyncio.to_thread(state.trace.stop)


class Upkeep:
    """The server's periodic tasks. `stop` also writes the audit and the usage."""

    def __init__(self, state: State, seconds: float = STEP_SECONDS) -> None:
        self._state, self._seconds = state, seconds
        self._renewals: dict[int, Renewal] = {}
        self._calibrating: dict[int, Calibrating] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        steps = [self._check, self._check_keys, self._renew, self._calibrate]
        if self._state.settings.database_url:
            from .publishing import Publishing  # imports the team's snapshot code

            steps.append(Publishing(self._state).step)
        self._tasks = [asyncio.create_task(self._repeat(step)) for step in steps]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.write_audit()
        await self.write_usage()

    async def _repeat(self, step: Callable[[], Awaitable[float]]) -> None:
        """Run a step for ever, sleeping for the seconds that it returns; a failure is logged."""
        while True:
            try:
                rest = await step()
            except Exception:  # a background loop
                log.exception("a step of the upkeep failed")
                rest = self._seconds
            await asyncio.sleep(to_beat(asyncio.get_running_loop().time(), rest))

    async def _renew(self) -> float:
        """One step of renewal for each project; gives the sum of the seconds to rest."""
        self._renewals = self._of_awake(self._renewals, Renewal)
        rests = [await renewal.step() for renewal in self._renewals.values()]
        return sum(rest for rest in rests if rest < LOOK_SECONDS) or LOOK_SECONDS

    def _of_awake(self, before: dict[int, T], make: Callable[[State], T]) -> dict[int, T]:
        """An object for each project that is awake, by its state's id: the one before or new."""
        awake = self._state.projects.awake()
        return {id(state): before.get(id(state)) or make(state) for state in awake}

    async def _calibrate(self) -> float:
        self._calibrating = self._of_awake(self._calibrating, Calibrating)
        for calibrating in self._calibrating.values():
            await calibrating.step()
        return self._seconds

    async def _check(self) -> float:
        state = self._state
        state.check_memory()
        await state.projects.sleep_idle()
        if state.settings.watch:
            state.file_watch.poll()
        if state.samples.take_if_due():
            give_back()  # a start or a build leaves a free megabyte
            if state.log:
                state.log.reopen_if_gone()
        self._note_series()
        self._log_answers()
        await state.store.check()
        await state.shared.check()
        if state.settings.database_url:
            for each in state.projects.awake():
                await state.shared.look_up_project(each.settings)
                state.shared.learning_of(each)
        await self.write_audit()
        if state.gate.audit.usage.is_due:
            await self.write_usage()
        return self._seconds

    def _note_series(self) -> None:
        memory = self._state.gate.memory.used
        database = self._state.samples.latest.database_mb
        for state in self._state.projects.awake():
            state.metrics.step()
            index = state.refresh.index
            for series in state.series.values():
                series.step((memory, database, index.generation if index else 0))

    def _log_answers(self) -> None:
        """Log one line for all requests that were answered from their bytes."""
        gate = self._state.gate
        count, gate.unlogged = gate.unlogged, 0
        if count:
            requests.info("requests answered before all layers", extra={"count": count})

    async def _check_keys(self) -> float:
        """Reload changed keys even without requests, so that a revoked key's streams end."""
        self._state.gate.keys.reload_if_changed()
        return RELOAD_SECONDS

    async def write_audit(self) -> None:
        try:
            await keep_audit(self._state)
        except (StoreUnavailable, sqlite3.Error) as error:
            log.error("the audit was not written", extra={"reason": str(error)})

    async def write_usage(self) -> None:
        try:
            await keep_usage(self._state)
        except StoreUnavailable:
            return  # /health says so; the next write has these rows, too
        except sqlite3.Error as error:
            log.error("the usage was not written", extra={"reason": str(error)})


def to_beat(now: float, rest: float) -> float:
    """The seconds to sleep: a whole number of beats ends on a beat, so that tasks wake together."""
    return rest if rest % BEAT else rest - now % BEAT


def notify(address: str, **facts: str) -> bool:
    """Send `READY=1`, `STATUS=…` or `STOPPING=1` to the service manager; whether it was sent."""
    if not address or not hasattr(socket, "AF_UNIX"):
        return False
    place = "\0" + address[1:] if address.startswith("@") else address
    lines = "\n".join(f"{name}={' '.join(value.split())[:500]}" for name, value in facts.items())
    with contextlib.suppress(OSError):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            sending.sendto(lines.encode(), place)
            return True
    return False
