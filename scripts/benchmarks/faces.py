"""Other products' tools on this server: milliseconds over MCP and as JSON-RPC, and memory.

One connection, kept alive; the ways are asked in turn, so that the machine's load hits all alike.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .coordinate import fsync_ms
from .harness import Run
from .mcp import META, MODERN
from .servers import JSON, Answer, Client, Server, rpc

VALUE = json.dumps({"status": "in_progress", "progress": 45, "step": "writing the parser"})
WORDS = "deployment failed gateway review index token merge branch parser latency".split()
Ask = Callable[..., Answer]


def over_mcp(client: Client, face: str) -> Ask:
    """Calls of tools in MCP of 2026."""

    def ask(tool: str, **given: Any) -> Answer:
        body = rpc("tools/call", {"name": tool, "arguments": given, "_meta": META})
        answer = client.send("POST", f"/mcp/{face}", body, {**MODERN, "Mcp-Name": tool})
        assert b"success" in answer.body and b"isError" not in answer.body, answer.body
        return answer

    return ask


def as_json_rpc(client: Client, face: str) -> Ask:
    """Calls of tools by their own names, as methods of JSON-RPC."""

    def ask(tool: str, **given: Any) -> Answer:
        answer = client.send("POST", f"/mcp/{face}", rpc(tool, given), JSON)
        assert b'"success":true' in answer.body, answer.body
        return answer

    return ask


def measure(run: Run, server: Server, ways: dict[str, Callable[[int], object]], calls: int) -> None:
    """Milliseconds, and the server's processor time, which other load does not lengthen."""
    run.in_turn(ways, calls)
    for name, way in ways.items():
        before = server.cpu_s
        for number in range(calls):
            way(number)
        run.row(f"{name}, processor", (server.cpu_s - before) * 1000 / calls, "ms")


def measure_cache(run: Run, server: Server, mcp: Ask, plain: Ask) -> None:
    ways = {}
    for name, ask in (("MCP", mcp), ("JSON-RPC", plain)):
        ways[f"setStorage, {name}"] = lambda n, ask=ask: ask(
            "setStorage", key=f"t:{n}", value=VALUE
        )
        ways[f"getStorage, {name}"] = lambda n, ask=ask: ask("getStorage", key=f"t:{n}")
    measure(run, server, ways, run.given.calls)
    entries = [{"key": f"many:{n}", "value": VALUE} for n in range(100)]
    keys = [each["key"] for each in entries]
    for name, call in (
        ("setMany", lambda: plain("setMany", entries=entries)),
        ("getMany", lambda: plain("getMany", keys=keys)),
    ):
        started = time.perf_counter()
        for _ in range(run.given.calls // 20):
            call()
        rate = 100 * (run.given.calls // 20) / (time.perf_counter() - started)
        run.row(f"{name} of 100", rate, "a second")


def measure_context(run: Run, server: Server, ask: Ask) -> None:
    made = json.loads(ask("create_session", purpose="a long talk").body)["result"]
    one = {"session_id": made["session_id"]}
    for n in range(run.given.messages):
        said = " ".join(WORDS[(n * k + k) % len(WORDS)] for k in range(1, 12))
        ask("add_message", **one, content=f"{n}: {said}")
    ways = {
        "add_message": lambda n: ask("add_message", **one, content=f"more {n}"),
        "get_context": lambda n: ask("get_context", **one, offset=n),
        "search_context": lambda n: ask("search_context", **one, query="parsr latency"),
        "get_session": lambda n: ask("get_session", **one),
    }
    run.row("messages in the session", run.given.messages)
    measure(run, server, ways, run.given.calls // 10)


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, calls=2000, messages=1000) as run, Server(run.root) as server:
        client, before = Client(server.port), server.memory_mb
        run.row("fsync of this disk", fsync_ms(Path(server.data_dir)), "ms")
        plain = as_json_rpc(client, "cache")
        plain("setStorage", key="first", value=VALUE)
        run.row("memory", unit="MB", before=before, with_a_face_by_JSON_RPC=server.memory_mb)
        mcp = over_mcp(client, "cache")
        mcp("setStorage", key="first", value=VALUE)
        run.row("memory with MCP", server.memory_mb, "MB")
        measure_cache(run, server, mcp, plain)
        measure_context(run, server, as_json_rpc(client, "context"))
        run.row("memory after it", server.memory_mb, "MB")
