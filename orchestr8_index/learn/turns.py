"""Who may write when: reports of one task follow each other, and a removal goes alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TypeVar

T = TypeVar("T")


class Turns:
    """For one event loop. `rare` is held by whoever changes patterns or removes decisions."""

    def __init__(self) -> None:
        self.rare = asyncio.Lock()
        self._pending: dict[str, asyncio.Future[object]] = {}
        self._removal: asyncio.Future[object] | None = None

    async def wait(self, task_id: str) -> None:
        """Until no removal goes on and no write of this task is under way."""
        while before := self._removal or self._pending.get(task_id):
            await asyncio.wait([before])

    async def hold(self, task_id: str, write: asyncio.Future[T]) -> T:
        """The write's result; whoever waits for this task meanwhile comes after it."""
        self._pending[task_id] = write  # type: ignore[assignment]
        try:
            return await write
        finally:
            self._pending.pop(task_id, None)

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Once every write is done; new ones wait until the end."""
        while self._removal:
            await asyncio.wait([self._removal])
        self._removal = removal = asyncio.get_running_loop().create_future()
        try:
            async with self.rare:
                while self._pending:
                    await asyncio.wait([next(iter(self._pending.values()))])
                yield
        finally:
            self._removal = None
            removal.set_result(None)
