"""How do the tests meet the face? The SDK's own client, in this process, in either era."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import Implementation

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import Settings
from orchestr8_index.serve.mcp.server import make_server
from orchestr8_index.serve.sharedstate import SharedState
from orchestr8_index.serve.state import State

from ...trees import Files
from ..asking import state_of

T = TypeVar("T")
Era = Literal["legacy", "2026-07-28"]
ERAS: tuple[Era, ...] = ("legacy", "2026-07-28")
Act = Callable[[Client], Awaitable[T]]
MakeIndex = Callable[[Files], Index]


class Town:
    """A server's face, and the clients of several agents."""

    def __init__(self, state: State, face: str, era: Era = "legacy") -> None:
        self.state, self.era = state, era
        self.server = make_server(state, face)
        self.changes = self.server.subscriptions

    @asynccontextmanager
    async def client(
        self, name: str, heard: list[str] | None = None, era: Era | None = None
    ) -> AsyncIterator[Client]:
        """`heard` gets the addresses of its notifications."""

        async def note(message: Any) -> None:
            if heard is not None:
                heard.append(str(getattr(getattr(message, "params", None), "uri", "")))

        info = Implementation(name=name, version="1")
        given: Any = {"client_info": info, "message_handler": note, "cache": None}
        async with Client(self.server, mode=era or self.era, **given) as client:
            yield client


AnyTown = TypeVar("AnyTown", bound=Town)


def in_town(
    settings: Settings,
    index: Index,
    make: Callable[[State], AnyTown],
    work: Callable[[AnyTown], Awaitable[T]],
) -> T:
    """What `work` returns, with a face over an empty shared state."""

    async def running() -> T:
        state = state_of(settings, index)
        state.shared = SharedState(settings, state.events, state.ending)
        here = make(state)
        here.changes.begin()
        try:
            return await work(here)
        finally:
            here.changes.end()
            await state.shared.stop()

    return asyncio.run(running())


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
