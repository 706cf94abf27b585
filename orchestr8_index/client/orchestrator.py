"""Who asks? `Orchestrator` blocks, `AsyncOrchestrator` awaits; they differ in the sending alone."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from .connection import AsyncConnection, Connection
from .core import Core
from .delivery import SECONDS
from .locate import Door
from .steps import Post, Steps

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")


class Client(Generic[C]):
    """What both are made of.

    base_url       the server's address; else the one that owns the data directory
    roots          the trees; a server of other trees is not asked
    data_dir       where the server and the waiting outcomes are; else as for the command line
    port           where to look when nobody owns the data directory
    embedded       index in this process, without any server
    api_key        for a server that asks for one; that of the data directory lets its own user in
    cache_seconds  how long an answer is good for; 0 for no cache

    Raises BadSetting for a root that is no folder.
    """

    _connect: Callable[[Callable[[], Door]], C]

    def __init__(
        self,
        base_url: str = "",
        *,
        roots: Iterable[str | Path] = (),
        data_dir: str | Path | None = None,
        port: int | None = None,
        embedded: bool = False,
        api_key: str = "",
        cache_seconds: float = 30.0,
    ) -> None:
        self._core = Core(
            functools.partial(Connection, seconds=SECONDS),
            base_url=base_url,
            roots=roots,
            data_dir=data_dir,
            port=port,
            embedded=embedded,
            api_key=api_key,
            cache_seconds=cache_seconds,
        )
        self._connection: C = self._connect(self._core.door)


def sync(
    method: Callable[Concatenate[Core, P], Steps[T]],
) -> Callable[Concatenate[Orchestrator, P], T]:
    """The method, its steps taken in this thread."""

    @functools.wraps(method)
    def call(self: Orchestrator, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._take(method(self._core, *args, **kwargs))

    return call


def asynchronous(
    method: Callable[Concatenate[Core, P], Steps[T]],
) -> Callable[Concatenate[AsyncOrchestrator, P], Awaitable[T]]:
    """The method, its posts awaited and its work done in threads."""

    @functools.wraps(method)
    async def call(self: AsyncOrchestrator, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._take(method(self._core, *args, **kwargs))

    return call


class Orchestrator(Client[Connection]):
    """The blocking client; threads may share one. Its arguments are those of `Client`."""

    _connect = Connection

    def __enter__(self) -> Orchestrator:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections; outcomes that still wait go at the next contact."""
        self._core.close()
        self._connection.close()

    def _take(self, steps: Steps[T]) -> T:
        value: Any = None
        try:
            while True:
                step = steps.send(value)
                if isinstance(step, Post):
                    value = self._connection.post(step.url, step.body)
                else:
                    value = step.do()
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    query_agents = sync(Core.query_agents)
    query_skills = sync(Core.query_skills)
    query_workflows = sync(Core.query_workflows)
    get_pattern = sync(Core.get_pattern)
    find_patterns = sync(Core.find_patterns)
    get_entry = sync(Core.get_entry)
    get_context = sync(Core.get_context)
    store_pattern = sync(Core.store_pattern)
    report_outcome = sync(Core.report_outcome)
    health = sync(Core.health)
    metrics = sync(Core.metrics)
    flush = sync(Core.flush)


class AsyncOrchestrator(Client[AsyncConnection]):
    """The asynchronous client, for asyncio. Its arguments are those of `Client`."""

    _connect = AsyncConnection

    async def __aenter__(self) -> AsyncOrchestrator:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, *_: BaseException | TracebackType
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections; outcomes that still wait go at the next contact."""
        await asyncio.to_thread(self._core.close)
        await self._connection.aclose()

    async def _take(self, steps: Steps[T]) -> T:
        value: Any = None
        try:
            while True:
                step = steps.send(value)
                if isinstance(step, Post):
                    value = await self._connection.post(step.url, step.body)
                else:
                    value = await asyncio.to_thread(step.do)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    query_agents = asynchronous(Core.query_agents)
    query_skills = asynchronous(Core.query_skills)
    query_workflows = asynchronous(Core.query_workflows)
    get_pattern = asynchronous(Core.get_pattern)
    find_patterns = asynchronous(Core.find_patterns)
    get_entry = asynchronous(Core.get_entry)
    get_context = asynchronous(Core.get_context)
    store_pattern = asynchronous(Core.store_pattern)
    report_outcome = asynchronous(Core.report_outcome)
    health = asynchronous(Core.health)
    metrics = asynchronous(Core.metrics)
    flush = asynchronous(Core.flush)
