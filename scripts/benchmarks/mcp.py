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


def _result(answer: Answer) -> dict[str, Any]:
    """Of a body that is JSON, or a stream of one event."""
    return dict(json.loads(answer.body[answer.body.index(b"{") :])["result"])


def _good(answer: Answer) -> Answer:
    assert answer.status == 200, answer.body
    return answer


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, calls=3000) as run, Server(run.root) as server:
        client, before = Client(server.port), server.memory_mb
        modern = ("POST", "/mcp", rpc("tools/call", {**CALL, "_meta": META}), MODERN)
        run.row("first call (loads the SDK)", _good(client.send(*modern)).ms / 1000, "s")
        run.row("memory", unit="MB", before=before, after_it=server.memory_mb)
        session, older = Session(client), rpc("tools/call", CALL)
        plain = ("POST", "/", rpc("queryAgents", QUESTION))
        ways = {
            "JSON-RPC": lambda _: _good(client.send(*plain)),
            "MCP 2026-07-28": lambda _: _good(client.send(*modern)),
            f"MCP {VERSION}": lambda _: session.send(older),
        }
        run.in_turn(ways, run.given.calls)
        run.row(f"memory after {3 * run.given.calls:,} calls", server.memory_mb, "MB")
