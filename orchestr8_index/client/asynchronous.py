"""Ask the server from asyncio: the blocking client, in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from .methods import AwaitedMethods, Given
from .orchestrator import Orchestrator


class AsyncOrchestrator(AwaitedMethods):
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

    async def _call(self, short: str, given: Given) -> Any:  # type: ignore[override]
        return await asyncio.to_thread(self._client._call, short, given)

    async def flush(self, seconds: float | None = None) -> bool:
        """Deliver the outcomes that wait; whether none waits any more, after `seconds` at most."""
        return await asyncio.to_thread(self._client.flush, seconds)

    async def close(self) -> None:
        """Let go of the connections; outcomes that still wait go at the next contact."""
        await asyncio.to_thread(self._client.close)
