"""Ask the server from asyncio: the blocking client, in threads."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from .orchestrator import Orchestrator

P = ParamSpec("P")
T = TypeVar("T")


def in_thread(
    method: Callable[Concatenate[Orchestrator, P], T],
) -> Callable[Concatenate[AsyncOrchestrator, P], Coroutine[Any, Any, T]]:
    """The method, carried out in a thread."""

    @functools.wraps(method)
    async def awaited(self: AsyncOrchestrator, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(method, self._client, *args, **kwargs)

    return awaited


class AsyncOrchestrator:
    """The client for asyncio. Its arguments and methods are those of `Orchestrator`."""

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
        self._client = Orchestrator(
            base_url,
            roots=roots,
            data_dir=data_dir,
            port=port,
            embedded=embedded,
            api_key=api_key,
            cache_seconds=cache_seconds,
        )

    async def __aenter__(self) -> AsyncOrchestrator:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, *_: BaseException | TracebackType
    ) -> None:
        await self.close()

    query_agents = in_thread(Orchestrator.query_agents)
    query_skills = in_thread(Orchestrator.query_skills)
    query_workflows = in_thread(Orchestrator.query_workflows)
    get_pattern = in_thread(Orchestrator.get_pattern)
    find_patterns = in_thread(Orchestrator.find_patterns)
    get_entry = in_thread(Orchestrator.get_entry)
    get_context = in_thread(Orchestrator.get_context)
    store_pattern = in_thread(Orchestrator.store_pattern)
    report_outcome = in_thread(Orchestrator.report_outcome)
    health = in_thread(Orchestrator.health)
    metrics = in_thread(Orchestrator.metrics)
    flush = in_thread(Orchestrator.flush)
    close = in_thread(Orchestrator.close)
