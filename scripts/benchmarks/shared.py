"""How fast is the shared state through HTTP: single calls, MCP, and fifty agents at once?"""

import asyncio
import json
import random
import time
from collections import Counter
from typing import Any

from .harness import Run, percentile
from .load import Wire
from .mcp import BOTH, META
from .servers import Client, Server, rpc

VALUE = {"state": "running", "step": 3, "owner": "agent-7"}
MODERN = {**BOTH, "Mcp-Method": "tools/call", "MCP-Protocol-Version": "2026-07-28"}
AGENTS, PACE, BUSY = 50, 22, -32042  # calls a second of each; a lock that another has is no error


def ops(*keys: str) -> dict[str, Any]:
    return {"ops": [{"key": key, "value": VALUE} for key in keys]}


def good(answer: Any) -> Any:
    assert answer.status == 200 and b'"error"' not in answer.body, answer.body
    return answer


def measure_calls(run: Run, server: Server) -> None:
    """One connection; the ways are asked in turn."""
    client, keys = Client(server.port), [f"five/{n}" for n in range(5)]
    good(client.send("POST", "/", rpc("writeShared", ops("one", *keys))))
    one = {"name": "read_shared", "arguments": {"keys": ["one"]}}
    modern = {**MODERN, "Mcp-Name": "read_shared"}
    read_mcp = rpc("tools/call", {**one, "_meta": META})

    def call(method: str, params: dict[str, Any]) -> Any:
        return good(client.send("POST", "/", rpc(method, params)))

    def progress(n: int) -> None:
        call("readShared", {"keys": keys})
        call("writeShared", ops("progress"))

    ways = {
        "HTTP: read": lambda n: call("readShared", {"keys": ["one"]}),
        "HTTP: write": lambda n: call("writeShared", ops(f"w/{n}")),
        "HTTP: 5 states and a progress key": progress,
        "HTTP: 100 writes a call": lambda n: call(
            "writeShared", ops(*(f"h/{n}/{each}" for each in range(100)))
        ),
        "MCP: read": lambda n: good(client.send("POST", "/mcp/coordinate", read_mcp, modern)),
    }
    spent = run.in_turn(ways, run.given.calls)
    hundred = percentile(spent["HTTP: 100 writes a call"], 0.5)
    run.row("HTTP: writes of 100 a call", 100_000 / hundred, "a second")


async def agent(number: int, port: int, until: float, spent: list[float], failed: Counter) -> None:
    """Reads, writes, locks, messages, as agents mix them, at a pace."""
    wire, draw = Wire(port), random.Random(number)
    mine = f"agent-{number}"
    due = time.perf_counter() + draw.random() / PACE

    async def call(method: str, params: dict[str, Any]) -> Any:
        nonlocal due
        due += 1 / PACE
        await asyncio.sleep(max(0, due - time.perf_counter()))
        started = time.perf_counter()
        _, body = await wire.post(rpc(method, params), headers=f"X-Agent: {mine}\r\n")
        spent.append((time.perf_counter() - started) * 1000)
        answer = json.loads(body)
        code = answer.get("error", {}).get("code", BUSY)
        failed.update({code: 1} if code != BUSY else {})
        return answer.get("result")

    while time.perf_counter() < until:
        kind = draw.random()
        if kind < 0.5:
            await call("readShared", {"keys": [f"k/{draw.randrange(200)}"]})
        elif kind < 0.8:
            await call("writeShared", ops(f"k/{draw.randrange(200)}"))
        elif kind < 0.9:
            name = {"resources": [f"port:{draw.randrange(100)}"]}
            if took := await call("lockResources", {"action": "acquire", **name}):
                await call("lockResources", {"action": "release", "token": took["token"]})
        elif kind < 0.95:
            await call("sendMessage", {"to": [f"agent-{draw.randrange(AGENTS)}"], "body": "done"})
        else:
            mail = await call("readInbox", {"limit": 5}) or {"messages": []}
            await call("readInbox", {"ack": [each["id"] for each in mail["messages"]], "limit": 1})
    wire.close()


async def measure_agents(run: Run, server: Server) -> None:
    spent, failed = list[float](), Counter[int]()
    before, until = server.memory_mb, time.perf_counter() + run.given.seconds
    await asyncio.gather(*(agent(n, server.port, until, spent, failed) for n in range(AGENTS)))
    run.times(f"{AGENTS} agents, mixed", spent)
    run.row(f"{AGENTS} agents, mixed", len(spent) / run.given.seconds, "a second")
    run.row(f"{AGENTS} agents: errors", failed.total(), codes=dict(failed))
    run.row("memory", unit="MB", before=before, after_it=server.memory_mb)


def measure_served(run: Run) -> None:
    limits = {"MCP_RATE": "0", "MCP_LOG_LEVEL": "error"}
    with Server(run.root, **limits) as server:
        idle = server.memory_mb
        measure_calls(run, server)
        run.row("memory", unit="MB", idle=idle, after_it=server.memory_mb)
        asyncio.run(measure_agents(run, server))
