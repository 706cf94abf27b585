"""How do the tests meet the face? The SDK's own client, in this process, in either era."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from orchestr8_index.catalog.index import Index
from orchestr8_index.serve.mcp.server import make_server
from orchestr8_index.serve.state import State

from ...trees import Files

T = TypeVar("T")
Era = Literal["legacy", "2026-07-28"]
ERAS: tuple[Era, ...] = ("legacy", "2026-07-28")
Act = Callable[[Client], Awaitable[T]]
MakeIndex = Callable[[Files], Index]


def meet(state: State, act: Act[T], era: Era = "2026-07-28") -> T:
    """What `act` returns with a client of the state's face."""

    async def run() -> T:
        async with Client(make_server(state), mode=era, cache=None) as client:
            return await act(client)

    return asyncio.run(run())


def call(state: State, tool: str, **params: Any) -> Any:
    return meet(state, lambda client: client.call_tool(tool, params))


def refused(state: State, act: Act[Any]) -> MCPError:
    """The protocol's error that `act` ends with."""

    async def run(client: Client) -> MCPError:
        with pytest.raises(MCPError) as caught:
            await act(client)
        return caught.value

    return meet(state, run)
