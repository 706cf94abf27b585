"""Several servers of one team, each a TeamCoordination of its own, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from orchestr8_index.team.core import TeamCoordination


@contextlib.asynccontextmanager
async def team(url: str, number: int, schema: str = "") -> AsyncIterator[list[TeamCoordination]]:
    schema = schema or f"o8_{secrets.token_hex(6)}"
    servers = [TeamCoordination(url, schema=schema) for _ in range(number)]
    try:
        for server in servers:
            await asyncio.to_thread(server.open)
            server.start()
        yield servers
    finally:
        for server in servers:
            await server.close()


def run(url: str, number: int, work: Callable[..., Awaitable[Any]]) -> Any:
    async def running() -> Any:
        async with team(url, number) as servers:
            return await work(*servers)

    return asyncio.run(running())
