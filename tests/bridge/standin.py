"""A small server that speaks MCP's streamable HTTP in both eras, without any library of its own."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from types import TracebackType
from typing import Any

Message = dict[str, Any]


class StandIn:
    """`seen` are (verb, headers, message); `say` sends to whoever listens."""

    def __init__(self, port: int = 0) -> None:
        self.seen: list[tuple[str, dict[str, str], Message]] = []
        self.sessions: set[str] = set()
        self.released, self.busy, self.drops = threading.Event(), 0, 0
        self.connections: list[socket.socket] = []
        self.spoken: Queue[Message | None] = Queue()
        stand_in = self

        class Asked(Answering):
            owner = stand_in

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Asked)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> StandIn:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType) -> None:
        self.released.set()
        self.spoken.put(None)
        self._server.shutdown()
        self._server.server_close()
        for connection in self.connections:  # whose threads would go on answering
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def say(self, message: Message) -> None:
        self.spoken.put(message)

    def headers(self, method: str) -> dict[str, str]:
        """Of the last message with this method."""
        return [headers for _, headers, m in self.seen if m.get("method") == method][-1]

    def count(self, verb: str, method: str | None = None) -> int:
        return sum(v == verb and m.get("method") == method for v, _, m in self.seen)


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: StandIn

    def setup(self) -> None:
        super().setup()
        self.owner.connections.append(self.connection)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _note(self, message: Message) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.owner.seen.append((self.command, headers, message))

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._note(message)
        if self.owner.drops:
            self.owner.drops -= 1
            self.close_connection = True
        elif self.owner.busy:
            self.owner.busy -= 1
            self._json({"error": "The server is starting."}, 503)
        elif message.get("method") == "initialize":
            self._begin(message)
        elif self._lost():
            error = {"code": -32600, "message": "Session not found"}
            self._json({"jsonrpc": "2.0", "id": None, "error": error}, 404)
        elif "id" not in message or "method" not in message:
            self._head(202, {"Content-Length": "0"})
        else:
            self._answer(message)

    def do_GET(self) -> None:
        self._note({})
        if self._lost():
            self._json({}, 404)
            return
        self._stream()
        while (said := self.owner.spoken.get()) is not None:
            self._event(said)
        self._chunk(b"")

    def do_DELETE(self) -> None:
        self._note({})
        self._head(200, {"Content-Length": "0"})

    def _lost(self) -> bool:
        modern = self.headers.get("MCP-Protocol-Version", "") >= "2026"
        return not modern and self.headers.get("Mcp-Session-Id") not in self.owner.sessions

    def _begin(self, message: Message) -> None:
        name = f"session-{len(self.owner.seen)}"
        self.owner.sessions.add(name)
        result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}}
        self._json(reply(message, result), 200, {"Mcp-Session-Id": name})

    def _answer(self, message: Message) -> None:
        method = message["method"]
        if method == "slow":
            self.owner.released.wait(30)
        if method == "crash":
            self._body(b"Internal Server Error", "text/plain", 500)
        elif method == "large":
            self._body(b"", "text/plain", 413)
        elif method == "nonsense":
            self._body(b"<html>", "text/html", 404)
        elif method == "unknown":
            error = {"code": -32601, "message": "Method not found"}
            self._json({"jsonrpc": "2.0", "id": "server-error", "error": error}, 400)
        elif method == "pretty":
            body = json.dumps(reply(message, {"a": [1]}), indent=2).encode()
            self._body(body, "application/json", 200)
        elif method in ("stream", "subscriptions/listen", "cut"):
            self._say(message)
        else:
            self._json(reply(message, message.get("params", {})))

    def _say(self, message: Message) -> None:
        self._stream()
        if message["method"] == "subscriptions/listen":
            self._event({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged"})
            if (said := self.owner.spoken.get()) is not None:
                self._event(said)
            self._chunk(b"")
            return
        self._event({"jsonrpc": "2.0", "method": "notifications/progress"})
        if message["method"] == "stream":
            self._event(reply(message, {"streamed": True}))
        self._chunk(b"")

    def _event(self, message: Message) -> None:
        data = json.dumps(message, indent=1).replace("\n", "\ndata: ")
        self._chunk(f": a comment\nevent: message\ndata: {data}\n\n".encode())

    def _stream(self) -> None:
        headers = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
        self._head(200, headers)

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _json(
        self, message: Message, status: int = 200, extra: dict[str, str] | None = None
    ) -> None:
        body = json.dumps(message, ensure_ascii=False).encode()
        self._body(body, "application/json", status, extra)

    def _body(
        self, body: bytes, kind: str, status: int, extra: dict[str, str] | None = None
    ) -> None:
        headers = {"Content-Type": kind, "Content-Length": str(len(body))}
        self._head(status, {**headers, **(extra or {})})
        self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def reply(message: Message, result: Message) -> Message:
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}
