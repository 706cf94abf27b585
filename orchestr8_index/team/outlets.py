"""Copies the log of the shared state to Redis or NATS, for programs that read those.

One server at a time writes to each of them, in the log's order. The position is saved in the
database, so that writing resumes there after a failure. Nothing is decided by what they contain.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from ..coordinate import statements as sql
from ..coordinate.caller import Caller
from ..coordinate.core import Coordination
from ..coordinate.journal import set_note
from ..coordinate.log import events_after
from ..errors import Compacted, RequestError, StoreUnavailable
from ..records import JsonObject
from .circuit import OutletCircuit, log

AT_ONCE = 500
_FAILS = (RequestError, sqlite3.Error)
LOOK_SECONDS, KEEP_SECONDS = 1.0, 5.0
SECONDS = 0.25  # for Redis or NATS to answer
LogEvent = tuple[int, int, JsonObject]
"""Its id, its Unix ms, and its row as everybody of the project may see it."""


def end_of(rev: int) -> int:
    """The highest id that an event of the revision can have."""
    return ((rev + 1) << 10) - 1


class Outlet(Protocol):
    """A service to write to. Each method raises one of `errors` if it does not answer in time."""

    circuit: OutletCircuit
    errors: tuple[type[Exception], ...]

    @property
    def reasons(self) -> list[str]:
        """What is wrong, for /health."""

    def explain(self, error: Exception) -> str:
        """A sentence, with a cure."""

    async def check(self) -> bool:
        """Connect, or check the connection; returns whether it may have lost its data."""

    async def position(self, reader: Caller, kept: int | None) -> int:
        """The id after which to write. `kept` is the saved position, None if there is none."""

    async def write(self, project: str, events: Sequence[LogEvent]) -> None: ...

    async def tend(self, projects: Sequence[str]) -> None:
        """Once a second, by the server that writes."""

    async def close(self) -> None: ...


DEFAULT = "@default"


class Follower:
    """Writes the log to one outlet; `may_write` says whether that is this server's duty."""

    def __init__(
        self, shared: Coordination, outlet: Outlet, may_write: Callable[[], bool] = lambda: True
    ) -> None:
        self._shared, self.outlet, self._may_write = shared, outlet, may_write
        self._changed: set[str] = set()
        self._positions: dict[str, int] = {}
        self._saved: dict[str, int] = {}
        self._woken = asyncio.Event()
        self._fails: tuple[type[BaseException], ...] = (
            *(*outlet.errors, *_FAILS),
            asyncio.CancelledError,
        )
        self._writes, self._old = False, set[str]()
        self._looked = self._keeps = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self._is_over = False

    def start(self) -> None:
        self._shared.feed.followers.append(self._note_change)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write what is committed by now, then end."""
        if self._task is not None:
            self._is_over = True  # a library may keep the cancellation for itself
            self._woken.set()
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._looked, self._keeps = float("-inf"), float("-inf")
            if self.outlet.circuit.connected:
                with contextlib.suppress(*self.outlet.errors, *_FAILS):
                    await self._step()
        self.outlet.circuit.connected = False  # another server's turn
        await self.outlet.close()

    def _note_change(self, project: str, topics: Iterable[str] | None) -> None:
        self._changed.add(project)
        self._woken.set()

    async def _run(self) -> None:
        circuit = self.outlet.circuit
        while not self._is_over:
            try:
                await self._step()
            except self.outlet.errors as error:
                circuit.lost(self.outlet.explain(error))
                await asyncio.sleep(circuit.pause())
                continue
            except _FAILS:  # it is read again when the store is back
                await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0 if self._is_over else LOOK_SECONDS):
                    await self._woken.wait()
            self._woken.clear()

    async def _step(self) -> None:
        now, circuit = time.monotonic(), self.outlet.circuit
        is_time = not circuit.connected or now - self._looked >= LOOK_SECONDS
        if is_time:
            self._looked = now
            if await self.outlet.check():
                self._writes = False
            circuit.found()
        if not self._may_write():
            if self._writes:
                await self._save_positions()
            self._writes = False
            return
        if not self._writes:
            self._positions.clear()
            self._old = set(await self._shared.read(sql.names_of, sql.PROJECTS))
            self._changed |= self._old
            self._writes = True
        await self._follow_all()
        if is_time:
            await self.outlet.tend(list(self._positions))
        if now - self._keeps >= KEEP_SECONDS:
            self._keeps = now
            await self._save_positions()

    async def _follow_all(self) -> None:
        while self._changed:
            project = self._changed.pop()
            try:
                await self._follow(Caller("everybody", project=project, scope="read"))
            except self._fails:
                self._changed.add(project)
                raise

    async def _follow(self, reader: Caller) -> None:
        project = reader.project
        if project not in self._positions:
            kept = await self._saved_position(project)
            if kept is None and project not in self._old:
                kept = 0
            self._positions[project] = await self.outlet.position(reader, kept)
            self._saved[project] = kept or 0
        while True:
            try:
                after = self._positions[project]
                rows = await self._shared.read(events_after, reader, after, AT_ONCE)
            except Compacted as gone:
                log.warning("the log was compacted before it was written on", extra=gone.data())
                self._positions[project] = end_of(gone.data()["oldest"])
                continue
            if not rows:
                return
            await self.outlet.write(project, [(n, at, row) for n, at, row in rows if row])
            self._positions[project] = rows[-1][0]
            await asyncio.sleep(0)  # let other tasks run

    # --- saved positions ----------------------------------------------------------------------

    async def _saved_position(self, project: str) -> int | None:
        """The id up to which the project was written, by the database."""
        found = await self._shared.read(read_item, project, self._name)
        return int(found[0]) if found is not None and found[0].isdecimal() else None

    @property
    def _name(self) -> str:
        return f"@written/{self.outlet.circuit.name}"

    async def _save_positions(self) -> None:
        for project, at in list(self._positions.items()):
            if at > self._saved[project]:
                with contextlib.suppress(StoreUnavailable):
                    await _write_item(self._shared, project, self._name, str(at))
                self._saved[project] = at


def read_item(connection: sqlite3.Connection, project: str, key: str) -> tuple[str, Any] | None:
    """An item's value, and the lease time of its end."""
    found: tuple[str, Any] | None = connection.execute(sql.ITEM, (project, key)).fetchone()
    return found


async def default_project(shared: Coordination, own: str) -> str:
    """The project whose keys have no prefix: that of the first server that asked."""
    for project in sorted(await shared.read(sql.names_of, sql.PROJECTS)):
        if await shared.read(read_item, project, DEFAULT):
            return project
    await _write_item(shared, own, DEFAULT, "true")
    return await default_project(shared, own)


async def _write_item(shared: Coordination, project: str, key: str, value: str) -> None:
    await shared.store.write(lambda on: set_note(on, project, key, value), project=project)
