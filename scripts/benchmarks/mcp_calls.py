"""What does MCP cost? Milliseconds a call on a warm connection, memory before and after.

scripts/bench mcp --root DIR [--calls 3000]. One connection, kept alive; the same question through
JSON-RPC stands beside it, asked in turn, so that the machine's load is the same for all.
"""

from __future__ import annotations

import argparse
import http.client
import json
import time
from pathlib import Path
from typing import Any

from machine import HOST, Server, describe, percentile, serving

FIXTURE = Path(__file__).resolve().parents[2] / "plugins_fixture"
QUESTION = {"context": "slow postgres queries after the release"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
CALL: dict[str, Any] = {"name": "query_agents", "arguments": QUESTION}
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
}
MODERN = {
    **HEADERS,
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "query_agents",
}


class Asking:
    """One connection; `ask` gives the milliseconds that the answer took."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=60)
        self._number = 0

    def post(self, path: str, headers: dict[str, str], **message: Any) -> tuple[float, Any]:
        self._number += 1
        body = json.dumps({"jsonrpc": "2.0", "id": self._number, **message}).encode()
        started = time.perf_counter()
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        data = response.read()
        spent = (time.perf_counter() - started) * 1000
        assert response.status in (200, 202), data
        return spent, response

    def session(self) -> dict[str, str]:
        """The headers of a session of the era before 2026."""
        client = {"name": "bench", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        _, response = self.post("/mcp", HEADERS, method="initialize", params=params)
        session = response.headers["mcp-session-id"]
        headers = {**HEADERS, "mcp-session-id": session, "MCP-Protocol-Version": "2025-11-25"}
        return headers

    def rpc(self) -> float:
        return self.post("/", HEADERS, method="queryAgents", params=QUESTION)[0]

    def modern(self) -> float:
        params = {**CALL, "_meta": META}
        return self.post("/mcp", MODERN, method="tools/call", params=params)[0]

    def older(self, headers: dict[str, str]) -> float:
        return self.post("/mcp", headers, method="tools/call", params=CALL)[0]


def measure(server: Server, calls: int) -> None:
    before, asking = server.memory_mb(), Asking(server.port)
    first = asking.modern()
    print(f"memory before, after the first call      {before:.1f}, {server.memory_mb():.1f} MB")
    print(f"first call (loads the SDK)               {first / 1000:.2f} s")
    headers = asking.session()
    ways = {
        "JSON-RPC": asking.rpc,
        "MCP 2026-07-28": asking.modern,
        "MCP 2025-11-25": lambda: asking.older(headers),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(calls):
        for name, way in ways.items():
            spent[name].append(way())
    for name, values in spent.items():
        p50, p95 = (percentile(values, share) for share in (0.5, 0.95))
        print(f"{name:16} cached answer           p50 {p50:6.3f}  p95 {p95:6.3f} ms")
    print(f"memory after {3 * calls:,} calls              {server.memory_mb():.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=str(FIXTURE))
    parser.add_argument("--calls", type=int, default=3000)
    arguments = parser.parse_args()
    print(f"machine  {describe()}\nroot     {arguments.root}")
    with serving([arguments.root]) as server:
        measure(server, arguments.calls)


if __name__ == "__main__":
    main()
