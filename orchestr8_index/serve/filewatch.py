"""Watches the roots for changed files, and checks them every hour besides.

Many changes at once are one build: they are gathered until the files have been quiet for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING

from ..catalog.generations import Refresh
from ..catalog.walk import IGNORED, NAMES, is_markdown
from ..errors import OperationError

if TYPE_CHECKING:
    from watchfiles import Change

QUIET_MS = 20  # without a change; builds take longer, and what changes meanwhile is the next
GATHER_MS = 800  # at most, of files that never rest
READY_SECONDS = 60.0  # for which a child is kept ready after a change: the next one is near
CHECK_SECONDS, AGAIN_SECONDS = 3600.0, 60.0
CALM_SECONDS = 2.0  # a watch that stands that long is one
WATCH_CURE = (
    "Changes are seen at the hourly check, or at once with `orchestr8-index reindex`; on Linux "
    "`sysctl fs.inotify.max_user_watches` says how many folders can be watched."
)
REGISTRY = "agent-registry.yml"
log = logging.getLogger("orchestr8.fresh")


class FileWatch:
    """Two tasks of the running loop: one waits for changes, one for the hour."""

    def __init__(
        self,
        refresh: Refresh,
        check_seconds: float = CHECK_SECONDS,
        ready_seconds: float = READY_SECONDS,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self._refresh, self._check_seconds = refresh, check_seconds
        self._ready_seconds, self._again_seconds = ready_seconds, again_seconds
        self._dismissal: asyncio.TimerHandle | None = None
        self._stop = asyncio.Event()
        self.trouble = ""
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        self._tasks = [asyncio.create_task(self._wait_for_changes())]
        self._tasks.append(asyncio.create_task(self._check_hourly()))

    async def stop(self) -> None:
        self._stop.set()
        self._postpone()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _wait_for_changes(self) -> None:
        """Where the system refuses to watch (too many folders, say), the hourly check remains."""
        while not self._stop.is_set():
            try:
                await self._watch()
            except Exception as error:  # a background loop: tried again, and /health says why
                log.warning("the roots cannot be watched", extra={"reason": str(error)})
                self.trouble = f"The roots cannot be watched: {_reason(error)}. {WATCH_CURE}"
            await asyncio.sleep(self._again_seconds)

    async def _watch(self) -> None:
        from watchfiles import awatch

        roots = self._refresh.settings.roots
        calm = asyncio.get_running_loop().call_later(CALM_SECONDS, self._calm)
        try:
            async for changes in awatch(
                *roots,
                watch_filter=may_matter,
                debounce=GATHER_MS,
                step=QUIET_MS,
                stop_event=self._stop,
                ignore_permission_denied=True,
            ):
                self._postpone()
                await self._check({path for _, path in changes})
                await self._be_ready()
        finally:
            calm.cancel()

    def _calm(self) -> None:
        self.trouble = ""

    async def _check_hourly(self) -> None:
        """Every hour, and the files of the snapshot at the beginning, too."""
        while True:
            try:
                await self._refresh.verify()
                await asyncio.sleep(self._check_seconds)
                await self._check()
            except OperationError as error:
                log.error("the index could not be built", extra={"reason": str(error)})
                await asyncio.sleep(self._again_seconds)
            except Exception:  # a background loop
                log.exception("the hourly check failed")
                await asyncio.sleep(self._again_seconds)

    async def _be_ready(self) -> None:
        """Who saves a file will probably save another one soon."""
        await asyncio.to_thread(self._refresh.builder.prepare)
        dismiss = self._refresh.builder.dismiss
        loop = asyncio.get_running_loop()
        self._dismissal = loop.call_later(
            self._ready_seconds, lambda: loop.run_in_executor(None, dismiss)
        )

    def _postpone(self) -> None:
        if self._dismissal is not None:
            self._dismissal.cancel()

    async def _check(self, named: Iterable[str] = ()) -> None:
        try:
            before = self._refresh.index
            index = await self._refresh.check(named)
        except OperationError as error:
            log.error("the index could not be built", extra={"reason": str(error)})
            return
        if index is not before:
            log.info("a new generation serves", extra={"generation": index.generation})


def _reason(error: Exception) -> str:
    """Without paths: /health says it to everybody."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__ if "/" in str(error) else str(error)


def may_matter(change: Change, path: str) -> bool:
    """Whether a changed path can change the index: markdown, a manifest, the registry, a folder."""
    parts = PurePath(path).parts
    if not IGNORED.isdisjoint(parts):
        return False
    name = parts[-1]
    is_text = is_markdown(name) or name.endswith((".toml", "openai.yaml"))
    if is_text or name in (*NAMES, REGISTRY) or "." not in name.lstrip("."):
        return True
    return change.name == "deleted" or os.path.isdir(path)  # a folder `foo-1.2.0`, or one that was
