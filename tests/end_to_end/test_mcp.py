"""MCP with a real server: clients of both eras, and streams that do not hold up the end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client

from orchestr8_index.daemon.http import request

from ..processes import Running, World, wait_for
from ..trees import MakeTree, agent

ONE = "orchestr8://agents/tree/one"
OUTCOME = {"task_id": "t", "task_description": "tie it", "agents_used": ["one"]}


@pytest.fixture
def root(make_tree: MakeTree) -> Path:
    return make_tree({"agents/one.md": agent("one", "Ties knots of every kind.")})


def address(server: Running) -> str:
    return f"http://127.0.0.1:{server.port}/mcp"


def test_clients_of_both_eras_ask_and_report(world: World, root: Path) -> None:
    server = world.serve("--root", str(root))

    async def ask(mode: str) -> Any:
        async with Client(address(server), mode=mode) as client:
            found = await client.call_tool("query_agents", {"context": "tie a knot"})
            await client.call_tool("report_outcome", {**OUTCOME, "result": "success"})
            return found.structured_content

    for mode in ("legacy", "auto"):
        assert asyncio.run(ask(mode))["agents"][0]["name"] == "one"
    server.stop()
    said = {(line.get("path"), line.get("rpc")) for line in world.log()}
    assert {("/mcp", "query_agents"), ("/mcp", "report_outcome")} <= said


@pytest.mark.filterwarnings("ignore:resources/")
def test_subscribers_are_told_and_do_not_hold_up_the_end(world: World, root: Path) -> None:
    server = world.serve("--root", str(root), MCP_WATCH="false")
    told: list[str] = []

    def change() -> None:
        (root / "agents/one.md").write_text(agent("one", "Ties all knots."))
        assert request(server.port, "POST", "/reindex")

    async def note(message: Any) -> None:
        told.append(str(getattr(getattr(message, "params", None), "uri", "")))

    async def listen() -> list[Any]:
        older = Client(address(server), mode="legacy", message_handler=note)
        async with older, Client(address(server)) as newer:
            await older.subscribe_resource(ONE)
            async with newer.listen(resource_subscriptions=[ONE]) as events:
                await asyncio.to_thread(change)
                found: list[Any] = [await anext(events)]
                await asyncio.to_thread(wait_for, lambda: ONE in told)
                assert await asyncio.to_thread(server.stop) == 0
                return [*found, *[event async for event in events]]

    (event,) = asyncio.run(asyncio.wait_for(listen(), 60))
    assert event.uri == ONE
    messages = " ".join(str(line["message"]) for line in world.log())
    assert "timeout graceful shutdown exceeded" not in messages
    assert "ASGI" not in messages
