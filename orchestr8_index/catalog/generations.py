"""Which generation is current? Opens the last one at once, builds the next, swaps one reference.

A build that fails keeps the old generation. Concurrent calls for a build share one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from ..config import Settings
from ..errors import BuildFailed, OperationError, SnapshotUnreadable
from .build_lines import BuildLine
from .index import Index, open_index, open_newest
from .snapshot import Generations
from .word_vectors import Words
from .worker import BuildChild, Builder

SUSPECT_SECONDS = AGAIN_SECONDS = 5.0
DISK = "If it comes again, look after the disk of the data directory."


@dataclass(slots=True)
class Refresh:
    """The owner of the current index. `prepare` is awaited before a new one serves, then all
    `followers` are called with it; `turns` bounds the builds of several owners. `words` gives word
    vectors that are open already. `checked_at` is when the inputs were last checked; `looked_at` is
    the same on the monotonic clock."""

    settings: Settings
    builder: Builder
    prepare: Callable[[Index], Awaitable[None]] | None = None
    followers: list[Callable[[Index], None]] = field(default_factory=list)
    turns: AbstractAsyncContextManager[Any] = field(default_factory=contextlib.nullcontext)
    words: Callable[[], Words | None] = lambda: None
    clock: Callable[[], float] = time.time
    index: Index | None = None
    failure: str = ""
    checked_at: float = 0.0
    looked_at: float = field(default_factory=time.monotonic)
    damage: str = ""
    progress: BuildLine = field(default_factory=BuildLine)
    _named: set[str] = field(default_factory=set)
    _building: asyncio.Task[Index] | None = None
    _following: asyncio.Task[Index] | None = None
    _early: BuildChild | None = None
    _verifying: asyncio.Task[None] | None = None
    _suspected: float = float("-inf")
    _began: float = float("-inf")
    _sleeps: bool = False
    _reads_all: bool = False  # whether the running build reads unchanged files, too
    _reads_all_next: bool = False  # whether the build that follows it will

    @property
    def generations(self) -> Generations:
        return Generations(self.settings.data_dir, self.settings.roots_digest)

    def open_last(self) -> None:
        """Serve the last good snapshot, if any, and start to check whether it is up to date.

        The child starts here, before the server's own imports, so that both load in parallel.
        """
        self.open_newest()
        with contextlib.suppress(BuildFailed):  # `begin` tries again, and remembers the failure
            self._early = self.builder.start(self._digest())

    def open_newest(self) -> None:
        """Serve the newest snapshot, up to date or not."""
        self.builder.on_line = self._note_progress
        self.index = open_newest(self.generations, self.words())
        if self.index is not None:
            self.builder.poison = self.index.manifest.poison

    def wake(self) -> asyncio.Task[Index]:
        """`open_last` and `begin` after `sleep`, or for the first time. Returns the running build
        where there is one, and the failed one for AGAIN_SECONDS."""
        running, self._sleeps = self._building, False
        rests = self.failure and time.monotonic() - self._began < AGAIN_SECONDS
        if running is not None and (rests or not running.done()):
            return running
        self._began = time.monotonic()
        self.open_newest()
        return self.begin()

    def sleep(self) -> None:
        """Drop the index, or the one being built as soon as it is complete."""
        self._sleeps = True
        if self._building is None or self._building.done():
            self.index = self._building = None  # a task that is done keeps its result

    def begin(self) -> asyncio.Task[Index]:
        """The check that `open_last` started, awaited in the running loop."""
        return self._start(self._digest(), self._early)

    async def reindex(self) -> Index:
        """A new generation, for which every file is read again. Raises BuildFailed."""
        return await self._shared("")

    async def check(self, named: Iterable[str] = ()) -> Index:
        """A new generation if the inputs have changed. Raises BuildFailed.

        `named` are paths that are known to have been written to: they are read.
        """
        self._named.update(named)
        return await self._shared(self._digest())

    async def verify(self) -> None:
        """Read the served snapshot's files; a new generation if one is not what was written.

        Raises BuildFailed; the reason then stays in `damage`.
        """
        if self.index is None:
            return
        served = self.index.generation
        try:
            damaged = await asyncio.to_thread(self.generations.damage, served)
        except SnapshotUnreadable:
            damaged = "manifest.json" if self.generations.path(served).exists() else ""
        if damaged and self.index.generation == served:
            self.damage = f"The snapshot is damaged ({damaged}); a new one is built. {DISK}"
            await self.reindex()

    def suspect(self) -> None:
        """Verify the snapshot in the background, after an unexpected error."""
        now = time.monotonic()
        if now - self._suspected > SUSPECT_SECONDS:
            self._suspected = now
            self._verifying = asyncio.create_task(self.verify())
            self._verifying.add_done_callback(_retrieve)

    async def _shared(self, unless: str) -> Index:
        running = self._building
        if running is None or running.done():
            return await asyncio.shield(self._start(unless))
        self._reads_all_next |= not (unless or self._reads_all)
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._build_after(running))
        return await asyncio.shield(self._following)

    async def stop(self) -> None:
        self.builder.stop()
        tasks = [t for t in (self._building, self._following, self._verifying) if t]
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self.generations.remove_leftovers)

    async def _build_after(self, running: asyncio.Task[Index]) -> Index:
        """A build of changes since the running one's scan; of all, if `reindex` was called."""
        await asyncio.wait([running])
        self._following = None  # a later caller needs a build that starts later
        unless, self._reads_all_next = "" if self._reads_all_next else self._digest(), False
        return await self._start(unless)

    def _start(self, unless: str, started: BuildChild | None = None) -> asyncio.Task[Index]:
        self._reads_all = not unless
        self._building = asyncio.create_task(self._build(unless, started))
        self._building.add_done_callback(_retrieve)
        return self._building

    async def _build(self, unless: str, started: BuildChild | None = None) -> Index:
        named, self._named = self._named, set()
        try:
            self.builder.named = tuple(sorted(named))
            async with self.turns:
                line = await asyncio.to_thread(self.builder.run, unless, started)
            index = await asyncio.to_thread(self._open, line)
            if self.prepare is not None:
                await self.prepare(index)
        except OperationError as error:
            self.failure = str(error)
            self._named |= named
            raise
        except OSError as error:
            self.failure = f"The index could not be built: {error.strerror}."
            raise BuildFailed(self.failure) from error
        self.failure, self.checked_at, self.looked_at = "", self.clock(), time.monotonic()
        if index is not self.index:
            self.index, self.damage = index, ""
            for follow in self.followers:
                follow(index)
        if self._sleeps:
            self.index = self._building = None
        return index

    def _open(self, line: BuildLine) -> Index:
        if line.fresh and self.index is not None:
            return self.index
        index = open_index(self.generations, line.generation, self.index, self.words())
        if self.index is not None:  # no question should wait for this
            index.warm()
        self.generations.prune()
        self.generations.remove_leftovers()
        return index

    def _digest(self) -> str:
        """The input digest of the served index; "" without a sound one, which forces a build."""
        return self.index.manifest.digest if self.index and not self.damage else ""

    def _note_progress(self, line: BuildLine) -> None:
        if line.total:
            self.progress = line


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Mark the task's exception as retrieved: `failure` reports a failed build."""
    if not task.cancelled():
        task.exception()
