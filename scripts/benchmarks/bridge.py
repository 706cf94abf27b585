"""What the stdio bridge adds to a call, its memory, and how soon it is ready."""

import statistics
import subprocess
import time
from typing import Any

from orchestr8_index.bridge.wire import Connection

from .harness import Run, memory_mb, percentile
from .servers import PROGRAM, Server, rpc

VERSION = "2025-11-25"
ABOUT = {"clientInfo": {"name": "bench", "version": "1"}, "capabilities": {}}
HANDSHAKE = rpc("initialize", {"protocolVersion": VERSION, **ABOUT})
READY = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
CALL = {"name": "query_agents", "arguments": {"context": "review this change for security"}}
BLOCK = 100


class Direct:
    """The same calls over HTTP, by the bridge's own plain connection: `http.client` is slower."""

    def __init__(self, port: int) -> None:
        self._connection = Connection(port)
        self._headers = ["Accept: application/json, text/event-stream"]
        reply = self._connection.ask("POST", self._headers, HANDSHAKE)
        session = reply.headers["mcp-session-id"]
        self._headers += [f"Mcp-Session-Id: {session}", f"MCP-Protocol-Version: {VERSION}"]
        reply.read()
        self._connection.ask("POST", self._headers, READY).read()

    def call(self, number: int) -> None:
        reply = self._connection.ask("POST", self._headers, rpc("tools/call", CALL, number))
        events = list(reply.events()) if reply.streams else []
        answer = b"".join([event.data for event in events]) or reply.read()
        assert b'"result"' in answer, answer


class Bridged:
    """`ready_s` is from process start to the answer to the handshake."""

    def __init__(self, server: Server) -> None:
        options = ["--port", str(server.port), "--data-dir", server.data_dir]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started = time.perf_counter()
        self.process = subprocess.Popen([*PROGRAM, "mcp", *options], **pipes)
        self._ask(HANDSHAKE)
        self.ready_s = time.perf_counter() - started
        self.process.stdin.write(READY + b"\n")

    def _ask(self, body: bytes) -> None:
        self.process.stdin.write(body + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert b'"result"' in answer, answer

    def call(self, number: int) -> None:
        self._ask(rpc("tools/call", CALL, number))


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, calls=2000, rounds=5) as run, Server(run.root) as server:
        bridges = [Bridged(server) for _ in range(run.given.rounds)]
        ready = [bridge.ready_s * 1000 for bridge in bridges]
        run.row("ready", unit="ms", runs=len(ready), median=statistics.median(ready))
        ways = {"HTTP": Direct(server.port).call, "stdio": bridges[0].call}
        spent = run.in_turn(ways, run.given.calls, BLOCK)
        added = percentile(spent["stdio"], 0.5) - percentile(spent["HTTP"], 0.5)
        run.row("the bridge adds, p50", added, "ms")
        run.row(f"memory after {run.given.calls:,} calls", memory_mb(bridges[0].process.pid), "MB")
        for bridge in bridges:
            bridge.process.communicate(timeout=30)
