"""What runs beside the requests, begun with the server and ended in order."""

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
    """Within: the store is opened, the trees are watched, and answers kept true."""
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
    """Tasks of the running loop; `stop` does what must be done last."""

    def __init__(self, state: State, seconds: float = STEP_SECONDS) -> None:
        self._state, self._seconds = state, seconds
        self._renewals: dict[int, Renewal] = {}
        self._calibrating: dict[int, Calibrating] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        steps = [self._check, self._check_keys, self._renew, self._calibrate]
        if self._state.settings.database_url:
            from .publishing import Publishing  # which loads the snapshots' code

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
        """Each step returns how many seconds to rest; one that fails does not end the others."""
        while True:
            try:
                rest = await step()
            except Exception:  # a background loop
                log.exception("a step of the upkeep failed")
                rest = self._seconds
            await asyncio.sleep(to_beat(asyncio.get_running_loop().time(), rest))

    async def _renew(self) -> float:
        """One step for each project; they rest as long as all of them together have to."""
        self._renewals = self._of_awake(self._renewals, Renewal)
        rests = [await renewal.step() for renewal in self._renewals.values()]
        return sum(rest for rest in rests if rest < LOOK_SECONDS) or LOOK_SECONDS

    def _of_awake(self, kept: dict[int, T], make: Callable[[State], T]) -> dict[int, T]:
        """One for each project that is awake, by its state's id."""
        awake = self._state.projects.awake()
        return {id(state): kept.get(id(state)) or make(state) for state in awake}

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
            give_back()  # a start, or a build, leaves a megabyte that is free
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
        memory = self._state.gate.memory.used  # measured a moment ago
        database = self._state.samples.latest.database_mb
        for state in self._state.projects.awake():
            state.metrics.step()
            index = state.refresh.index
            for series in state.series.values():
                series.step((memory, database, index.generation if index else 0))

    def _log_answers(self) -> None:
        """One line for all that have none of their own."""
        gate = self._state.gate
        count, gate.unlogged = gate.unlogged, 0
        if count:
            requests.info("requests answered before all layers", extra={"count": count})

    async def _check_keys(self) -> float:
        """What a revoked key left open ends within a second, though nobody asks."""
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
            return  # /health says so, and it is written with the next
        except sqlite3.Error as error:
            log.error("the usage was not written", extra={"reason": str(error)})


def to_beat(now: float, rest: float) -> float:
    """How long to rest from `now` so that all who rest whole beats wake the process up together."""
    return rest if rest % BEAT else rest - now % BEAT


def notify(address: str, **facts: str) -> bool:
    """Send `READY=1`, `STATUS=…`, `STOPPING=1`; whether it was sent. Nothing without an address."""
    if not address or not hasattr(socket, "AF_UNIX"):
        return False
    place = "\0" + address[1:] if address.startswith("@") else address
    lines = "\n".join(f"{name}={' '.join(value.split())[:500]}" for name, value in facts.items())
    with contextlib.suppress(OSError):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            sending.sendto(lines.encode(), place)
            return True
    return False
