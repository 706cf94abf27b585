"""The headers that a message needs, and the messages that renew a session that the server lost.

Two protocol eras: until 2025-11-25 a handshake (`initialize`) opens a session, whose id each later
message carries; since 2026-07-28 there are no sessions, and each request carries its version.
"""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
ACCEPT = "Accept: application/json, text/event-stream"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
BEGINNING = "orchestr8-bridge"


class McpSession:
    """The session's id and protocol version, both "" without one. `number` counts handshakes, so
    that threads which see the same loss renew the session once."""

    def __init__(self) -> None:
        self.id = self.version = ""
        self.number = 0
        self._begin: Message | None = None
        self._settings: dict[tuple[str, str], Message] = {}

    def open(self, begin: Message, id: str, version: str) -> None:
        self._begin, self.id, self.version = begin, id, version
        self.number += 1

    def note(self, message: Message) -> None:
        """Remember a log level or subscription, which lasts for the session, for `again`."""
        method, params = message.get("method"), message.get("params")
        if method == "logging/setLevel":
            self._settings[method, ""] = message
        elif method in ("resources/subscribe", "resources/unsubscribe"):
            uri = str(params.get("uri")) if isinstance(params, dict) else ""
            self._settings.pop(("resources/subscribe", uri), None)
            if method == "resources/subscribe":
                self._settings[method, uri] = message

    def again(self) -> tuple[Message, list[Message]] | None:
        """The messages that open an equal session: (the handshake, those after it), or None."""
        if self._begin is None:
            return None
        done: Message = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        wishes = [{**m, "id": f"{BEGINNING}-{n}"} for n, m in enumerate(self._settings.values())]
        return {**self._begin, "id": BEGINNING}, [done, *wishes]

    def headers(self, message: Message | None = None) -> list[str]:
        """The headers of a message; without one, those for the session's event stream or end."""
        if message is not None and (version := own_version(message)):
            return [ACCEPT, f"MCP-Protocol-Version: {version}", *_mirrored(message)]
        if message is not None and message.get("method") == "initialize":
            return [ACCEPT]
        headers = {"Mcp-Session-Id": self.id, "MCP-Protocol-Version": self.version}
        accept = ACCEPT if message is not None else "Accept: text/event-stream"
        return [accept, *(f"{name}: {value}" for name, value in headers.items() if value)]


def own_version(message: Message) -> str:
    """The protocol version that a request of the modern era carries; "" for others."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    version = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
    return _safe(version) if isinstance(version, str) else ""


def _mirrored(message: Message) -> list[str]:
    method = str(message.get("method", ""))
    lines = [f"Mcp-Method: {_safe(method)}"]
    name = message["params"].get(NAMED_BY.get(method, ""))
    return [*lines, f"Mcp-Name: {_safe(name)}"] if isinstance(name, str) else lines


def _safe(value: str) -> str:
    """A header's value; base64 as in MCP's specification for what a header cannot carry."""
    plain = value.isascii() and value.isprintable() and value == value.strip()
    if plain and not value.startswith("=?base64?"):
        return value
    from binascii import b2a_base64

    coded = b2a_base64(value.encode("utf-8", "surrogatepass"), newline=False).decode()
    return f"=?base64?{coded}?="
