"""Agents of one task, by the gateway of a real server and on plain files."""

from __future__ import annotations

import asyncio
import json
import sys
import types
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index import BadSetting, MCPGatewayClient, MCPGatewayError
from orchestr8_index.client.crewai import gateway_tools, step_logger
from orchestr8_index.client.gateway import uses_gateway
from orchestr8_index.config import fixture_root

from ..processes import Running, World

Meet = Callable[[Running, Path], Awaitable[None]]


@pytest.fixture
def gateway(tmp_path: Path, snapshots: Path) -> Iterator[Running]:
    with World(tmp_path / "world", snapshots) as world:
        (tmp_path / "files").mkdir()
        yield world.serve("--root", str(fixture_root()), "--workspace", str(tmp_path / "files"))


def url(server: Running) -> str:
    return f"http://127.0.0.1:{server.port}"


def test_two_agents_of_a_task_over_http(gateway: Running, tmp_path: Path) -> None:
    async def work() -> None:
        async with (
            MCPGatewayClient("ada", "t", url(gateway)) as ada,
            MCPGatewayClient("bob", "t", url(gateway)) as bob,
        ):
            with pytest.raises(MCPGatewayError, match="no task t") as missing:
                await ada.file_read("a.py")
            assert missing.value.status == 404
            assert (await ada.file_write("a.py", "one"))["bytes"] == 3
            assert (tmp_path / "files/t/a.py").read_text() == "one"
            assert await bob.file_read("a.py") == "one"
            assert await ada.claim_file("a.py")
            with pytest.raises(MCPGatewayError, match="ada") as held:
                await bob.file_write("a.py", "two")
            assert held.value.status == 409
            assert "-one\n" in (await ada.file_edit("a.py", "one", "two\n"))["diff"].replace(
                "-one", "-one\n"
            )
            assert await ada.release_file("a.py")
            assert await bob.claim_file("a.py")
            await bob.log_step({"action": "took it"})
            await bob.join_collaboration()
            assert await ada.get_collaborating_agents() == ["bob"]
            assert (await ada.get_task_state())["last_step"]["action"] == "took it"
            assert (await ada.subscribe_logs())["stream"].startswith("/events")
            await bob.leave_collaboration()
            assert await ada.get_collaborating_agents() == []

    asyncio.run(work())


def test_flag_off_goes_on_with_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USE_MCP", "false")
    monkeypatch.setenv("MCP_GATEWAY_URL", "http://127.0.0.1:1")  # where nobody is

    async def work() -> None:
        async with MCPGatewayClient("ada", "t", folder=tmp_path / "plain") as ada:
            assert (await ada.file_write("deep/a.py", "one"))["bytes"] == 3
            assert (tmp_path / "plain/deep/a.py").read_text() == "one"
            assert await ada.claim_file("deep/a.py") and await ada.release_file("deep/a.py")
            assert "+two" in (await ada.file_edit("deep/a.py", "one", "two"))["diff"]
            assert await ada.file_read("deep/a.py") == "two"
            assert await ada.log_step({"action": "x"})
            for path, status in (("none", 404), ("../x", 422)):
                with pytest.raises(MCPGatewayError) as refused:
                    await ada.file_read(path)
                assert refused.value.status == status
            with pytest.raises(MCPGatewayError, match="0 times"):
                await ada.file_edit("deep/a.py", "none", "x")

    asyncio.run(work())


def test_a_share_of_the_tasks_goes_by_the_gateway_always_the_same() -> None:
    tasks = [f"task-{number}" for number in range(1000)]
    tenth = [task for task in tasks if uses_gateway(task, "10%")]
    assert 60 < len(tenth) < 140
    assert tenth == [task for task in tasks if uses_gateway(task, "10%")]
    assert set(tenth) < {task for task in tasks if uses_gateway(task, "50%")}
    assert uses_gateway("t") and uses_gateway("t", "TRUE") and not uses_gateway("t", "false")
    for flag in ("maybe", "101%", "-1%", "10", "%"):
        with pytest.raises(BadSetting, match="USE_MCP"):
            uses_gateway("t", flag)


def test_nobody_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        for client in (MCPGatewayClient("a", "t", "http://127.0.0.1:1"), MCPGatewayClient("a")):
            with pytest.raises(MCPGatewayError, match="does not answer|task_id is needed"):
                await client.file_read("x")

    asyncio.run(work())


def test_crewais_tools_and_step_logger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tool(name)` of crewai stands for the real one, which scripts/try-recipes runs."""
    made: dict[str, Callable[..., str]] = {}

    def tool(name: str) -> Any:
        return lambda function: made.setdefault(name, function)

    module = types.ModuleType("crewai.tools")
    module.tool = tool  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "crewai", types.ModuleType("crewai"))
    monkeypatch.setitem(sys.modules, "crewai.tools", module)
    client = MCPGatewayClient("ada", "t", folder=tmp_path, use_mcp="false")
    assert len(gateway_tools(client)) == 6
    assert json.loads(made["mcp_file_write"]("a", "one").replace("'", '"').replace("True", "1"))
    assert made["mcp_file_read"]("a") == "one"
    assert "+two" in made["mcp_file_edit"]("a", "one", "two")
    assert made["mcp_file_read"]("none").startswith("ERROR: ")
    assert made["mcp_claim_file"]("a") == "True"
    step_logger(client)(types.SimpleNamespace(thought="hm", tool="grep"))
