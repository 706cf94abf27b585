"""Several servers of one team, each a TeamCoordination of its own, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from orchestr8_index.config import Settings, read_settings
from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.team.core import TeamCoordination
from orchestr8_index.team.helpers import Helpers

from ..coordinate.worlds import until


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


# --- Redis and NATS beside it


def settings_of(folder: Path, **environ: str) -> Settings:
    return read_settings([str(folder)], environ=environ, home=folder, cwd=folder)


@contextlib.asynccontextmanager
async def told(shared: Coordination, settings: Settings, own: str = "p") -> AsyncIterator[Helpers]:
    """Within: what happens in `shared` is told to Redis and NATS."""
    helpers = Helpers(shared, settings, own)
    helpers.start()
    try:
        await until(lambda: set(helpers.states.values()) == {"connected"})
        yield helpers
    finally:
        await helpers.stop()


async def soon(ask: Callable[[], Awaitable[Any]], fits: Callable[[Any], object] = bool) -> Any:
    async with asyncio.timeout(20):
        while not fits(found := await ask()):
            await asyncio.sleep(0.01)
    return found


async def eventually(ask: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    async with asyncio.timeout(20):
        while await ask() != wanted:
            await asyncio.sleep(0.01)
