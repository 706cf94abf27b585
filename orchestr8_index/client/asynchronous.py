"""Ask the server from asyncio: the blocking client, in threads."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from .agents import AwaitedMethods
from .held import LEASE_S, Held, Lock, Mode
from .methods import Given
from .orchestrator import Orchestrator
from .stream import EventReader

P = ParamSpec("P")
T = TypeVar("T")


def _arguments_of(
    other: Callable[P, object],
) -> Callable[[Any], Callable[Concatenate[Any, P], None]]:
    """For type checkers and `help`: a constructor takes what the other class does."""
    return functools.wraps(other.__init__)


class AsyncOrchestrator(AwaitedMethods):
    """The client for asyncio. Its arguments and methods are those of `Orchestrator`."""

    @_arguments_of(Orchestrator)
    def __init__(self, *given: Any, **named: Any) -> None:
        self._client = Orchestrator(*given, **named)

    async def __aenter__(self) -> AsyncOrchestrator:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, *_: BaseException | TracebackType
    ) -> None:
        await self.close()

    async def _call(self, short: str, given: Given) -> Any:  # type: ignore[override]
        if given.get("wait_ms"):
            return await in_thread_of_its_own(lambda: self._client._call(short, given))
        return await asyncio.to_thread(self._client._call, short, given)

    def lock(
        self,
        *resources: str,
        purpose: str = "",
        mode: Mode = "exclusive",
        ttl_s: int = LEASE_S,
        wait: float = 0.0,
    ) -> AsyncLock:
        """`async with client.lock(…) as held:`, as `Orchestrator.lock`."""
        return AsyncLock(Lock(self._client, resources, purpose, mode, ttl_s, wait))

    def events(
        self, after: int | None = None, *, prefix: str = "", patience: float = 60.0
    ) -> AsyncEvents:
        """`async for event in client.events(after=rev):`, as `Orchestrator.events`."""
        return AsyncEvents(self._client.events(after, prefix=prefix, patience=patience))

    async def flush(self, seconds: float | None = None) -> bool:
        """Deliver the outcomes that wait; whether none waits any more, after `seconds` at most."""
        return await asyncio.to_thread(self._client.flush, seconds)

    async def close(self) -> None:
        """Let go of the connections; outcomes that still wait go at the next contact."""
        await asyncio.to_thread(self._client.close)


class AsyncLock:
    """`async with client.lock(…) as held`; a task that is cancelled at its head holds nothing."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    async def __aenter__(self) -> Held:
        try:
            return await in_thread_of_its_own(self._lock.__enter__)
        except asyncio.CancelledError:
            threading.Thread(target=self._lock.abandon, daemon=True).start()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, *more: BaseException | TracebackType | None
    ) -> None:
        await in_thread_of_its_own(lambda: self._lock.__exit__(kind, *more))


class AsyncEvents:
    """An iterator for asyncio; a task that is cancelled while it waits ends it."""

    def __init__(self, events: EventReader) -> None:
        self._events = events

    def __aiter__(self) -> AsyncEvents:
        return self

    async def __anext__(self) -> dict[str, Any]:
        try:
            event = await in_thread_of_its_own(lambda: next(self._events, None))
        except asyncio.CancelledError:
            self._events.close()
            raise
        if event is None:
            raise StopAsyncIteration
        return event

    def close(self) -> None:
        """Let go of the connection."""
        self._events.close()


async def in_thread_of_its_own(work: Callable[[], T]) -> T:
    """For what may wait long: those who wait must not keep the loop's few threads from others."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # it is raised where it is waited for
            result.set_exception(error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, daemon=True).start()
    await done.wait()
    return result.result()
