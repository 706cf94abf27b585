"""Copies the log of what agents share to Redis or NATS, for programs that read those.

One server at a time writes to each of them, in the log's order. The position is kept beside the
log, so that writing resumes there after a failure. Nothing is read back to decide anything.
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
SECONDS = 0.25  # for a helper to answer
LogEvent = tuple[int, int, JsonObject]
"""Its id, its Unix ms, and what everybody of the project sees of it."""


def end_of(rev: int) -> int:
    """The id that no event of a revision comes after."""
    return ((rev + 1) << 10) - 1


class Outlet(Protocol):
    """What is written to. Each method raises one of `errors` where it does not answer in time."""

    circuit: OutletCircuit
    errors: tuple[type[Exception], ...]

    @property
    def reasons(self) -> list[str]:
        """What is wrong, for /health."""

    def explain(self, error: Exception) -> str:
        """A sentence with its cure."""

    async def check(self) -> bool:
        """Connect, or see that it is still there; True where it may have lost what it had."""

    async def position(self, reader: Caller, kept: int | None) -> int:
        """The id after which it is to be written. Up to `kept` it was, as far as was kept; None for
        one that begins."""

    async def write(self, project: str, events: Sequence[LogEvent]) -> None: ...

    async def tend(self, projects: Sequence[str]) -> None:
        """Once a second, by the server that writes."""

    async def close(self) -> None: ...


DEFAULT = "@default"


class Follower:
    """Writes to one outlet what the log has; `may_write` says whether it is this server's turn."""

    def __init__(
        self, shared: Coordination, outlet: Outlet, may_write: Callable[[], bool] = lambda: True
    ) -> None:
        self._shared, self.outlet, self._may_write = shared, outlet, may_write
        self._changed: set[str] = set()
        self._at: dict[str, int] = {}
        self._kept: dict[str, int] = {}
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
        self._shared.feed.followers.append(self._note)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """What is committed by now is still written."""
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

    def _note(self, project: str, topics: Iterable[str] | None) -> None:
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
                await self._keep()
            self._writes = False
            return
        if not self._writes:
            self._at.clear()
            self._old = set(await self._shared.read(sql.names_of, sql.PROJECTS))
            self._changed |= self._old
            self._writes = True
        await self._follow_all()
        if is_time:
            await self.outlet.tend(list(self._at))
        if now - self._keeps >= KEEP_SECONDS:
            self._keeps = now
            await self._keep()

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
        if project not in self._at:
            kept = await self._cursor(project)
            if kept is None and project not in self._old:
                kept = 0
            self._at[project] = await self.outlet.position(reader, kept)
            self._kept[project] = kept or 0
        while True:
            try:
                rows = await self._shared.read(events_after, reader, self._at[project], AT_ONCE)
            except Compacted as gone:
                log.warning("the log was compacted before it was written on", extra=gone.data())
                self._at[project] = end_of(gone.data()["oldest"])
                continue
            if not rows:
                return
            await self.outlet.write(project, [(n, at, row) for n, at, row in rows if row])
            self._at[project] = rows[-1][0]
            await asyncio.sleep(0)  # others get their turn

    # --- what is kept beside the log ----------------------------------------------------------

    async def _cursor(self, project: str) -> int | None:
        """The id up to which it was written."""
        found = await self._shared.read(read_item, project, self._name)
        return int(found[0]) if found is not None and found[0].isdecimal() else None

    @property
    def _name(self) -> str:
        return f"@written/{self.outlet.circuit.name}"

    async def _keep(self) -> None:
        for project, at in list(self._at.items()):
            if at > self._kept[project]:
                with contextlib.suppress(StoreUnavailable):
                    await _note(self._shared, project, self._name, str(at))
                self._kept[project] = at


def read_item(connection: sqlite3.Connection, project: str, key: str) -> tuple[str, Any] | None:
    """A value of the server's own or of an agent, and when its life ends."""
    found: tuple[str, Any] | None = connection.execute(sql.ITEM, (project, key)).fetchone()
    return found


async def default_project(shared: Coordination, own: str) -> str:
    """The one whose keys have no prefix: that of the server which asked first."""
    for project in sorted(await shared.read(sql.names_of, sql.PROJECTS)):
        if await shared.read(read_item, project, DEFAULT):
            return project
    await _note(shared, own, DEFAULT, "true")
    return await default_project(shared, own)


async def _note(shared: Coordination, project: str, key: str, value: str) -> None:
    await shared.store.write(lambda on: set_note(on, project, key, value), project=project)
