"""The watcher of the roots: builds after changes, and checks all files every hour.

Changes are gathered until the files have been quiet for a moment, so that many make one build.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING

from ..catalog.generations import Refresh
from ..catalog.walk import IGNORED, NAMES, is_markdown, is_meant
from ..errors import OperationError

if TYPE_CHECKING:
    from .inotify import Matters, Mounts

QUIET = 0.02  # seconds without a change before a build
GATHER = 0.8  # the most seconds for which changes are gathered
READY_SECONDS = 60.0  # for which a build child is kept ready after a change
CHECK_SECONDS, AGAIN_SECONDS = 3600.0, 60.0
GATHER_ROOTS = 0.05  # seconds for which new roots are gathered before they are watched
CALM_SECONDS = 2.0  # a watch that lasts so long has succeeded
WATCH_CURE = (
    "Changes are seen at the hourly check, or at once with `orchestr8-index reindex`; on Linux "
    "`sysctl fs.inotify.max_user_watches` says how many folders can be watched."
)
REGISTRY = "agent-registry.yml"
LOOKS = 3  # checks of a root that was replaced: its new watch may begin after the first
Identity = tuple[int, int, tuple[str, ...]]
log = logging.getLogger("orchestr8.fresh")


class FileWatch:
    """Watches the roots of all indexes with one watch, and checks them hourly.

    `trouble` says why the roots cannot be watched, "" when they are.
    """

    def __init__(
        self,
        refresh: Refresh,
        check_seconds: float = CHECK_SECONDS,
        ready_seconds: float = READY_SECONDS,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self._refreshes, self._check_seconds = [refresh], check_seconds
        self._ready_seconds, self._again_seconds = ready_seconds, again_seconds
        self._dismissal: asyncio.TimerHandle | None = None
        self._stop, self._watching = asyncio.Event(), asyncio.Event()
        self.trouble = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._next: asyncio.TimerHandle | None = None
        self._seen: dict[str, Identity | None] = {}
        self._doubtful: dict[str, int] = {}
        self._looking: asyncio.Task[None] | None = None
        self._mounts: Mounts | None = None

    def begin(self) -> None:
        self._tasks = [asyncio.create_task(self._wait_for_changes(self._watching))]
        self._tasks.append(asyncio.create_task(self._check_hourly()))

    def add(self, refresh: Refresh) -> None:
        """Watch the roots of an index, too."""
        if refresh not in self._refreshes:
            self._refreshes.append(refresh)
            self._watch_soon()

    def remove(self, refresh: Refresh) -> None:
        if refresh in self._refreshes:
            self._refreshes.remove(refresh)
            self._watch_soon()

    def _watch_soon(self) -> None:
        if self._tasks and self._next is None:
            loop = asyncio.get_running_loop()
            self._next = loop.call_later(GATHER_ROOTS, self._watch_anew)

    def _watch_anew(self) -> None:
        """Begin a watch of the present roots; the last one ends a moment later, to lose nothing."""
        self._next, before, self._watching = None, self._watching, asyncio.Event()
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(self._wait_for_changes(self._watching)))
        asyncio.get_running_loop().call_later(GATHER_ROOTS, before.set)

    def poll(self) -> None:
        """Once a second: find roots that were removed, made or replaced, whose watch is lost. They
        are watched anew and checked LOOKS times, as changes before the new watch are not seen.
        Does nothing before `begin`."""
        if not self._tasks:
            return
        before, self._seen = self._seen, self._identities()
        for root, identity in self._seen.items():
            if root in before and before[root] != identity:
                self._doubtful[root] = LOOKS
                self._watch_soon()
        if self._doubtful and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._check_those(set(self._doubtful), False))
            self._doubtful = {root: n - 1 for root, n in self._doubtful.items() if n > 1}

    def _identities(self) -> dict[str, Identity | None]:
        """The identity of each root by its name; None for a missing one."""
        settings = (refresh.settings for refresh in self._refreshes)
        roots = dict.fromkeys(root for each in settings for root in each.places or each.roots)
        return {root: self._identity(root) for root in roots}

    def _identity(self, root: str) -> Identity | None:
        """Differs when the folder is replaced, or a mount on it or below it changes."""
        try:
            status, real = os.stat(root), os.path.realpath(root)
        except OSError:
            return None
        if self._mounts is None and sys.platform == "linux":
            from .inotify import Mounts

            self._mounts = Mounts()
        mounts = self._mounts.below(real) if self._mounts else ()
        return status.st_dev, status.st_ino, mounts

    async def stop(self) -> None:
        self._stop.set()
        self._watching.set()
        self._postpone()
        if self._next is not None:
            self._next.cancel()
        tasks = [*self._tasks, *filter(None, [self._looking])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)  # does not raise their errors, which would stop the stop
        self._tasks = []
        if self._mounts is not None:
            self._mounts.close()

    async def _wait_for_changes(self, end: asyncio.Event) -> None:
        """Watch until `end`, and try again a minute after a failure."""
        while not end.is_set():
            try:
                await self._watch(end)
            except Exception as error:  # a background loop, which tries again; /health says why
                log.warning("the roots cannot be watched", extra={"reason": str(error)})
                self.trouble = f"The roots cannot be watched: {_reason(error)}. {WATCH_CURE}"
            if not end.is_set():
                await asyncio.sleep(self._again_seconds)

    async def _watch(self, end: asyncio.Event) -> None:
        named = {root: os.path.realpath(root) for root in self._identities()}
        if not named:  # a server without roots
            await end.wait()
            return
        roots = [root for root in dict.fromkeys(named.values()) if os.path.isdir(root)]
        if not roots:  # a missing root would end the watch; `poll` sees it come back
            raise FileNotFoundError(errno.ENOENT, "the folders are not there")
        matters = functools.partial(may_matter, roots=tuple(roots))
        calm = asyncio.get_running_loop().call_later(CALM_SECONDS, self._calm)
        try:
            async for paths in changes(roots, end, matters):
                self._postpone()
                gone = [name for name, root in named.items() if root in paths]
                self._seen |= dict.fromkeys(gone)  # removed, perhaps made again: for `poll` to see
                await self._check_those(paths)
        finally:
            calm.cancel()

    def _calm(self) -> None:
        self.trouble = ""

    async def _check_hourly(self) -> None:
        """Verify the snapshot's files; then hourly check the roots, and verify again."""
        while True:
            try:
                for refresh in list(self._refreshes):
                    await refresh.verify()
                await asyncio.sleep(self._check_seconds)
                for refresh in list(self._refreshes):
                    await self._check(refresh)
            except OperationError as error:
                log.error("the index could not be built", extra={"reason": str(error)})
                await asyncio.sleep(self._again_seconds)
            except Exception:  # a background loop
                log.exception("the hourly check failed")
                await asyncio.sleep(self._again_seconds)

    async def _check_those(self, paths: set[str], ready: bool = True) -> None:
        """Check each index that has some of these paths below its roots, one after the other."""
        changed = list[Refresh]()
        for refresh in list(self._refreshes):
            settings = refresh.settings
            below = tuple(f"{root}/" for root in (*settings.places, *settings.roots_now))
            if mine := {path for path in paths if f"{path}/".startswith(below)}:
                await self._check(refresh, mine)
                changed.append(refresh)
        if ready and len(changed) == 1:  # not for many, as each keeps a child process
            await self._be_ready(changed[0])

    async def _be_ready(self, refresh: Refresh) -> None:
        """Keep a build child ready for a minute, as another change is likely to follow."""
        await asyncio.to_thread(refresh.builder.prepare)
        dismiss = refresh.builder.dismiss
        loop = asyncio.get_running_loop()
        self._dismissal = loop.call_later(
            self._ready_seconds, lambda: loop.run_in_executor(None, dismiss)
        )

    def _postpone(self) -> None:
        if self._dismissal is not None:
            self._dismissal.cancel()

    async def _check(self, refresh: Refresh, named: Iterable[str] = ()) -> None:
        try:
            before = refresh.index
            index = await refresh.check(named)
        except OperationError as error:
            log.error("the index could not be built", extra={"reason": str(error)})
            return
        if index is not before:
            log.info("a new generation serves", extra={"generation": index.generation})


def _reason(error: Exception) -> str:
    """The reason without paths, as /health shows it to everybody."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__ if "/" in str(error) else str(error)


def changes(roots: Iterable[str], end: asyncio.Event, matters: Matters) -> AsyncIterator[set[str]]:
    """Sets of changed paths below the roots, until `end`. Raises OSError; watchfiles its errors."""
    if sys.platform == "linux":
        from . import inotify

        return inotify.changes(roots, end, matters, QUIET, GATHER)
    return _changes_by_watchfiles(roots, end, matters)


async def _changes_by_watchfiles(
    roots: Iterable[str], end: asyncio.Event, matters: Matters
) -> AsyncIterator[set[str]]:
    from watchfiles import Change, awatch

    async for batch in awatch(
        *roots,
        watch_filter=lambda change, path: matters(path, change is Change.deleted),
        debounce=int(GATHER * 1000),
        step=int(QUIET * 1000),
        stop_event=end,
        ignore_permission_denied=True,
    ):
        yield {path for _, path in batch}


def may_matter(path: str, is_folder: bool, roots: tuple[str, ...] = ()) -> bool:
    """Whether a changed path can change the index: markdown, a manifest, the registry, a folder,
    or a deleted path that may have been one. Ignored folders are those below a root."""
    if path in roots:
        return True
    root = max((r for r in roots if path.startswith(f"{r}/")), key=len, default="")
    parts = PurePath(path[len(root) :]).parts
    if not IGNORED.isdisjoint(parts):
        return False
    name = parts[-1]
    is_text = is_markdown(name) or name.endswith((".toml", "openai.yaml"))
    if (
        is_text
        or is_meant("/".join(parts), name)
        or name in (*NAMES, REGISTRY)
        or "." not in name.lstrip(".")
    ):
        return True
    return is_folder or os.path.isdir(path)  # a folder `foo-1.2.0`
