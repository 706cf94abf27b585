"""The asyncio client: runs the blocking client in threads."""

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
    """Give a constructor the signature of another class's, for type checkers and `help`."""
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
        """Deliver spooled outcomes, for at most `seconds`; True when none is left."""
        return await asyncio.to_thread(self._client.flush, seconds)

    async def close(self) -> None:
        """Close the connections; outcomes left in the spool are sent at the next contact."""
        await asyncio.to_thread(self._client.close)


class AsyncLock:
    """`async with client.lock(…) as held`; a task cancelled while it waits holds nothing."""

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
    """An asyncio iterator over events; cancelling a task that waits for the next one ends it."""

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
        """Close the connection, which ends the iteration."""
        self._events.close()


async def in_thread_of_its_own(work: Callable[[], T]) -> T:
    """Run `work` in a new thread: long waits must not occupy the loop's small thread pool."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # raised again by the awaiting task
            result.set_exception(error)
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nothing awaits this
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, daemon=True).start()
    await done.wait()
    return result.result()
