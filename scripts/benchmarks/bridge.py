"""What does the stdio bridge add to a call, how large is it, and how soon is it ready?

scripts/bench bridge [--root DIR] [--calls 2000]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from machine import Server, describe, percentile, serving

from orchestr8_index.bridge.wire import Connection, Event, Reply

VERSION = "2025-11-25"
BLOCK = 100
CALL = {"name": "query_agents", "arguments": {"context": "review this change for security"}}
FIXTURE = Path(__file__).resolve().parents[2] / "plugins_fixture"


def message(number: int, method: str, params: dict[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()


def handshake() -> bytes:
    about = {"name": "bench", "version": "1"}
    given = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": about}
    return message(0, "initialize", given)


class Direct:
    """The same calls over HTTP, by the bridge's own plain connection: `http.client` is slower."""

    def __init__(self, port: int) -> None:
        self._connection = Connection(port)
        self._events: Iterator[Event] = iter(())
        self._headers = ["Accept: application/json, text/event-stream"]
        self._begin(self._connection.ask("POST", self._headers, handshake()))
        self.ask(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')

    def _begin(self, reply: Reply) -> None:
        name = reply.headers["mcp-session-id"]
        self._headers += [f"Mcp-Session-Id: {name}", f"MCP-Protocol-Version: {VERSION}"]
        reply.read()

    def ask(self, body: bytes) -> bytes:
        """The answer as soon as it is there; `settle` reads the rest of its stream."""
        reply = self._connection.ask("POST", self._headers, body)
        assert reply.status < 300, reply.read()
        if not reply.streams:
            return reply.read()
        self._events = reply.events()
        return next(event.data for event in self._events if event.data)

    def settle(self) -> None:
        for _ in self._events:
            pass


class Bridged:
    """`ready_s` is from process start to the answer to the handshake."""

    def __init__(self, port: int, data_dir: str) -> None:
        options = ["--port", str(port), "--data-dir", data_dir]
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orchestr8_index", "mcp", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.ask(handshake())
        self.ready_s = time.perf_counter() - started
        self._send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')

    def _send(self, body: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(body + b"\n")
        self.process.stdin.flush()

    def ask(self, body: bytes) -> bytes:
        assert self.process.stdout
        self._send(body)
        return self.process.stdout.readline()

    def settle(self) -> None:
        pass

    def memory_mb(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+)", text)
        return int(match[1]) / 1024 if match else 0.0

    def stop(self) -> None:
        self.process.communicate(timeout=30)


def in_turn(ways: dict[str, Any], calls: int) -> dict[str, list[float]]:
    """Milliseconds of each way, BLOCK calls one after the other, so that load hits both alike."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for first in range(1, calls + 1, BLOCK):
        for name, way in ways.items():
            for number in range(first, first + BLOCK):
                body = message(number, "tools/call", CALL)
                started = time.perf_counter()
                answer = way.ask(body)
                way.settle()  # before the next call its connection must be free
                spent[name].append((time.perf_counter() - started) * 1000)
                assert b'"result"' in answer, answer
    return spent


def measure(server: Server, calls: int, rounds: int) -> None:
    data_dir = server.data_dir
    direct, bridges = Direct(server.port), [Bridged(server.port, data_dir) for _ in range(rounds)]
    ready = [each.ready_s * 1000 for each in bridges]
    print(f"ready, {rounds} runs                 median {statistics.median(ready):.0f} ms")
    spent = in_turn({"HTTP": direct, "stdio": bridges[0]}, calls)
    for name, values in spent.items():
        p50, p95 = (percentile(values, share) for share in (0.5, 0.95))
        print(f"{name:30} p50 {p50:.3f}  p95 {p95:.3f} ms")
    added = percentile(spent["stdio"], 0.5) - percentile(spent["HTTP"], 0.5)
    print(f"the bridge adds                p50 {added:.3f} ms")
    print(f"memory after {calls:,} calls       {bridges[0].memory_mb():.1f} MB")
    for bridge in bridges:
        bridge.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=str(FIXTURE))
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"machine  {describe()}\nroot     {arguments.root}")
    with serving([arguments.root]) as server:
        measure(server, arguments.calls, arguments.rounds)


if __name__ == "__main__":
    main()
