"""Milliseconds and memory of a call over MCP, beside JSON-RPC.

One connection, kept alive; the ways are asked in turn, so that the machine's load is the same for
all. The answer comes from the cache.
"""

import json
from typing import Any

from .bridge import HANDSHAKE, VERSION
from .harness import Run
from .servers import JSON, Answer, Client, Server, rpc

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

    def __init__(self, client: Client) -> None:
        self._client, self._headers = client, BOTH
        answer = self._send(HANDSHAKE)
        self.opening = _result(answer)
        named = {"mcp-session-id": answer.headers["mcp-session-id"]}
        self._headers = {**BOTH, **named, "MCP-Protocol-Version": VERSION}

    def _send(self, body: bytes) -> Answer:
        return good(self._client.send("POST", "/mcp", body, self._headers))

    def call(self, method: str, params: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """(the result, the milliseconds that it took)."""
        answer = self._send(rpc(method, params))
        return _result(answer), answer.ms


def _result(answer: Answer) -> dict[str, Any]:
    """Of a body that is JSON, or a stream of one event."""
    return dict(json.loads(answer.body[answer.body.index(b"{") :])["result"])


def good(answer: Answer) -> Answer:
    assert answer.status == 200, answer.body
    return answer


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, calls=3000) as run, Server(run.root) as server:
        client, before = Client(server.port), server.memory_mb
        modern = ("POST", "/mcp", rpc("tools/call", {**CALL, "_meta": META}), MODERN)
        run.row("first call (loads the SDK)", good(client.send(*modern)).ms / 1000, "s")
        run.row("memory", unit="MB", before=before, after_it=server.memory_mb)
        session = Session(client)
        ways = {
            "JSON-RPC": lambda: client.call("queryAgents", QUESTION)[1],
            "MCP 2026-07-28": lambda: good(client.send(*modern)).ms,
            f"MCP {VERSION}": lambda: session.call("tools/call", CALL)[1],
        }
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(run.given.calls):
            for name, way in ways.items():
                spent[name].append(way())
        for name, values in spent.items():
            run.times(name, values)
        run.row(f"memory after {3 * run.given.calls:,} calls", server.memory_mb, "MB")
