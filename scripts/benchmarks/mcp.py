"""Milliseconds and memory of a call over MCP, beside JSON-RPC, and through the stdio bridge.

One connection of each, kept alive; the ways are asked in turn, so that the machine's load is the
same for all. The answer comes from the cache. A bridge is ready with the answer to its handshake.
"""

import json
import statistics
import subprocess
import time
from typing import Any

from .harness import Run, memory_mb, percentile
from .servers import JSON, PROGRAM, Answer, Client, Server, rpc

VERSION = "2025-11-25"
ABOUT = {"clientInfo": {"name": "bench", "version": "1"}, "capabilities": {}}
HANDSHAKE = rpc("initialize", {"protocolVersion": VERSION, **ABOUT})
READY = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
QUESTION = {"context": "slow postgres queries after the release"}
CALL = {"name": "query_agents", "arguments": QUESTION}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
BOTH = {**JSON, "Accept": "application/json, text/event-stream"}
NAMED = {"Mcp-Method": "tools/call", "Mcp-Name": "query_agents"}
MODERN = {**BOTH, **NAMED, "MCP-Protocol-Version": "2026-07-28"}


class Session:
    """A session of the protocol before 2026. `opening` is what the server told at its start."""

    def __init__(self, client: Client, path: str = "/mcp") -> None:
        self._client, self._path, self._headers = client, path, BOTH
        answer = self.send(HANDSHAKE)
        self.opening = _result(answer)
        named = {"mcp-session-id": answer.headers["mcp-session-id"]}
        self._headers = {**BOTH, **named, "MCP-Protocol-Version": VERSION}

    def send(self, body: bytes) -> Answer:
        return _good(self._client.send("POST", self._path, body, self._headers))

    def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        return _result(self.send(rpc(method, params)))


class Bridged:
    """`ready_s` is from process start to the answer to the handshake."""

    def __init__(self, server: Server) -> None:
        options = ["--port", str(server.port), "--data-dir", server.data_dir]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started = time.perf_counter()
        self.process = subprocess.Popen([*PROGRAM, "mcp", *options], **pipes)
        self.send(HANDSHAKE)
        self.ready_s = time.perf_counter() - started
        self.process.stdin.write(READY + b"\n")

    def send(self, body: bytes) -> None:
        self.process.stdin.write(body + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert b'"result"' in answer, answer


def _result(answer: Answer) -> dict[str, Any]:
    """Of a body that is JSON, or a stream of one event."""
    return dict(json.loads(answer.body[answer.body.index(b"{") :])["result"])


def _good(answer: Answer) -> Answer:
    assert answer.status == 200, answer.body
    return answer


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, calls=3000, bridges=5) as run, Server(run.root) as server:
        client, before = Client(server.port), server.memory_mb
        modern = ("POST", "/mcp", rpc("tools/call", {**CALL, "_meta": META}), MODERN)
        run.row("first call (loads the SDK)", _good(client.send(*modern)).ms / 1000, "s")
        run.row("memory", unit="MB", before=before, after_it=server.memory_mb)
        bridges = [Bridged(server) for _ in range(run.given.bridges)]
        ready = [bridge.ready_s * 1000 for bridge in bridges]
        run.row("a bridge is ready", unit="ms", runs=len(ready), median=statistics.median(ready))
        session, older = Session(client), rpc("tools/call", CALL)
        plain, older_era = ("POST", "/", rpc("queryAgents", QUESTION)), f"MCP {VERSION}"
        ways = {
            "JSON-RPC": lambda _: _good(client.send(*plain)),
            "MCP 2026-07-28": lambda _: _good(client.send(*modern)),
            older_era: lambda _: session.send(older),
            "the same by the bridge": lambda _: bridges[0].send(older),
        }
        spent = run.in_turn(ways, run.given.calls)
        added = percentile(spent["the same by the bridge"], 0.5) - percentile(spent[older_era], 0.5)
        run.row("the bridge adds, p50", added, "ms")
        run.row(
            f"memory of the bridge after {run.given.calls:,} calls",
            memory_mb(bridges[0].process.pid),
            "MB",
        )
        run.row(f"memory after {4 * run.given.calls:,} calls", server.memory_mb, "MB")
        for bridge in bridges:
            bridge.process.communicate(timeout=30)
