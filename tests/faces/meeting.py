"""How do the tests meet a face? Clients of MCP in this process, and plain calls of its tools."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from mcp.client.client import Client
from msgspec.structs import replace

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import Door, fixture_root
from orchestr8_index.environment import EVERY
from orchestr8_index.serve import faces
from orchestr8_index.serve.callers import Principal, caller
from orchestr8_index.serve.state import State

from ..coroutines import as_test
from ..serve.asking import settings_of
from ..serve.mcp import meeting

Told = dict[str, Any]
Work = Callable[["Town"], Awaitable[Any]]


class Town(meeting.Town):
    """A server's face, and those who ask it."""

    def __init__(self, state: State, name: str) -> None:
        super().__init__(state, name)
        self.face = faces.load(name.removesuffix(EVERY))

    async def ask(self, who: Principal, tool: str, **given: Any) -> Told:
        """As this caller, without MCP; `success` says how it went."""
        token = caller.set(who)
        try:
            with faces.named(self.face):
                core = faces.ServedCore(self.state)
                told, went_well = await faces.run_tool(self.face, core, tool, given, True)
        finally:
            caller.reset(token)
        assert told["success"] is went_well
        read: Told = msgspec.json.decode(msgspec.json.encode(told))
        return read


def agent(name: str) -> Principal:
    """Of this machine, without a key."""
    return Principal("127.0.0.1", agent=name)


def holder(name: str, right: Any) -> Principal:
    """Of a key."""
    return Principal(name, right, keyed=True, ident=f"{name}#1")


async def tool(client: Client, name: str, /, **given: Any) -> Told:
    """The one text that a tool answers, read as JSON; whether it says so if it failed."""
    told = await client.call_tool(name, given)
    assert len(told.content) == 1 and told.structured_content is None
    body: Told = json.loads(told.content[0].text)  # type: ignore[union-attr]
    assert bool(told.is_error) is not body["success"]
    return body


def in_town(folder: Path, index: Index, name: str, work: Work, workspace: str = "") -> Any:
    """What `work` returns, with a face over an empty shared state."""
    settings = settings_of(folder / "data", fixture_root(), watch=False)
    settings = replace(settings, door=Door(workspace=workspace))
    return meeting.in_town(settings, index, lambda state: Town(state, name), work)


def visiting(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test within a town, as the module's fixture `run` builds it."""
    return as_test(test, lambda run, work: run(work), "run", ("here",))
