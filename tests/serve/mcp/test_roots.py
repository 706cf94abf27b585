"""Do the folders that a host says it works in decide which project answers it?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp_types import ListRootsResult, Root
from msgspec.structs import replace
from pydantic import FileUrl

from orchestr8_index.serve.callers import LOCAL, Principal, caller
from orchestr8_index.serve.mcp.server import make_server

from ...trees import write_tree
from ..test_projects import FILES, serving, settings_in


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return write_tree(tmp_path.resolve() / "home", FILES)


@pytest.fixture(autouse=True)
def own() -> Iterator[None]:
    token = caller.set(replace(LOCAL, own=True))
    yield
    caller.reset(token)


def found(home: Path, *roots: str, asks: Principal | None = None) -> tuple[set[str], int]:
    """The agents that a host with these roots gets, of two calls; and how often it was asked."""
    asked = 0

    async def told(context: Any) -> ListRootsResult:
        nonlocal asked
        asked += 1
        return ListRootsResult(roots=[Root(uri=FileUrl((home / root).as_uri())) for root in roots])

    async def run() -> set[str]:
        async with serving(settings_in(home, "red"), "none") as (_, state):
            if asks:
                caller.set(asks)
            server = make_server(state)
            callback = told if roots else None
            made = Client(server, mode="legacy", cache=None, list_roots_callback=callback)
            async with made as client:
                names = set()
                for _ in range(2):
                    answer = await client.call_tool("query_agents", {"context": "paint zebras"})
                    names |= {row["name"] for row in answer.structured_content["agents"]}
                return names

    return asyncio.run(run()), asked


def test_the_first_root_that_is_there_is_the_project(home: Path) -> None:
    assert found(home, "gone", "blue") == ({"blue-painter", "own-helper"}, 1)


def test_a_host_without_roots_gets_the_servers_own_project(home: Path) -> None:
    assert found(home) == ({"red-painter", "own-helper"}, 0)


@pytest.mark.parametrize("named", [{"project": "red"}, {"tree": "red"}, {"own": False}])
def test_who_is_named_better_or_is_no_program_of_the_user_is_not_asked(
    home: Path, named: dict[str, Any]
) -> None:
    if "tree" in named:
        named = {"tree": str(home / "red")}
    _, asked = found(home, "blue", asks=replace(LOCAL, **{"own": True, **named}))
    assert asked == 0
