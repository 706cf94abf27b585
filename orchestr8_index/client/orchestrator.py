"""The clients: `Orchestrator` blocks, `AsyncOrchestrator` awaits; they differ in the sending."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from .connection import AsyncConnection, Connection
from .core import Core
from .delivery import SECONDS
from .locate import Door
from .methods import AwaitedMethods, BlockingMethods, Given
from .steps import Post, Steps

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


class Orchestrator(Client[Connection], BlockingMethods):
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

    def _call(self, short: str, given: Given) -> Any:
        return self._take(self._core.call(short, given))

    def flush(self, seconds: float | None = None) -> bool:
        """Deliver the outcomes that wait; whether none waits any more, after `seconds` at most."""
        return self._take(self._core.flush(seconds))


class AsyncOrchestrator(Client[AsyncConnection], AwaitedMethods):
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

    async def _call(self, short: str, given: Given) -> Any:  # type: ignore[override]
        return await self._take(self._core.call(short, given))

    async def flush(self, seconds: float | None = None) -> bool:
        """Deliver the outcomes that wait; whether none waits any more, after `seconds` at most."""
        return await self._take(self._core.flush(seconds))
