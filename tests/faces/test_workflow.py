"""The six patterns by which a manager and its agents work through the cache, in real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ..processes import Running, World
from . import worker
from .worker import Cache

AGENTS, TASKS, FILES = 8, 16, 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with World(tmp_path_factory.mktemp("workflow")) as world:
        yield world.serve("--root", str(world.work), MCP_RATE="0")


@pytest.mark.parametrize("same", [True, False], ids=["one program", "eight programs"])
def test_a_whole_workflow_of_eight_processes(server: Running, same: bool) -> None:
    """No task is done twice, none is left, and no count in a file is lost."""
    run = "one" if same else "eight"
    tasks = {f"{run}.{n}": f"src/{run}/{n % FILES}.py" for n in range(TASKS)}
    names = [f"impl-{run}-{n}" for n in range(AGENTS)]
    with Cache(server.port, "manager") as manager:
        for task, file in tasks.items():
            assert manager.set(f"task:{task}", {"taskId": task, "file": file})
        told = worked(server.port, {n: "claude-code" if same else n for n in names}, list(tasks))
        assert sum(told.values()) == TASKS
        for file in set(tasks.values()):
            done = manager.get(f"coordination:{file}")
            assert sorted(done) == sorted(task for task, its in tasks.items() if its == file)
            assert manager.get(f"lock:{file}") is None
        for name, count in told.items():
            progress = manager.get(f"progress:{name}") or {"completed": 0}
            assert progress["completed"] == count
        for task in tasks:
            name = manager.get(f"lock:task:{task}")["lockedBy"]
            assert manager.get(f"status:{name}:{task}")["status"] == "completed"
            assert manager.get(f"msg:{name}:manager:{task}")["task"] == task


def worked(port: int, agents: dict[str, str], tasks: list[str]) -> dict[str, int]:
    """How many tasks each agent did, all at once; by its name, with the program that it uses."""
    command = [sys.executable, worker.__file__, str(port)]
    started = [
        subprocess.Popen([*command, client, name, *tasks], stdout=subprocess.PIPE, text=True)
        for name, client in agents.items()
    ]
    told = [json.loads(process.communicate(timeout=120)[0]) for process in started]
    assert not any(process.returncode for process in started)
    return {each["name"]: each["tasks"] for each in told}


@pytest.mark.parametrize(("face", "count"), [("cache", 3), ("cache?all", 15)])
def test_the_tools_are_there_over_stdio(server: Running, face: str, count: int) -> None:
    begin = {"protocolVersion": worker.VERSION, "capabilities": {}}
    begin |= {"clientInfo": {"name": "host", "version": "1"}}
    arguments = {"key": "stdio", "value": "here"}
    call = {"name": "setStorage", "arguments": arguments}
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": begin},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": call},
    ]
    bridge = server.world.start("mcp", "--face", face, "--agent", "ada")
    out, _ = bridge.communicate("".join(json.dumps(each) + "\n" for each in lines), timeout=60)
    told = {
        each["id"]: each["result"] for each in map(json.loads, out.splitlines()) if "id" in each
    }
    names = [each["name"] for each in told[2]["tools"]]
    assert names[:3] == ["setStorage", "getStorage", "deleteStorage"] and len(names) == count
    assert json.loads(told[3]["content"][0]["text"])["success"] is True
    with Cache(server.port, "other") as cache:
        assert cache.call("getStorage", key="stdio")["value"] == "here"
