"""The bridge as a process, with a stand-in for the server behind it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ..processes import Process, World, wait_for
from .standin import Message, StandIn


class Bridge:
    """A bridge process: `send` a line, `find` what it wrote."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)

    def send(self, message: Message | str) -> None:
        assert self.process.stdin
        line = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def find(self, **fields: Any) -> Message:
        """The first message that has these fields, as soon as it is there."""

        def look() -> Message | None:
            read = (json.loads(line) for line in self.lines)
            return next((m for m in read if all(m.get(k) == v for k, v in fields.items())), None)

        return wait_for(look)

    def ask(self, id: object, method: str, **params: Any) -> Message:
        self.send({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        return self.find(id=id)

    def modern(self, id: object, method: str, **params: Any) -> None:
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
        request = {"jsonrpc": "2.0", "id": id, "method": method}
        self.send({**request, "params": {**params, "_meta": meta}})

    def shake_hands(self) -> Bridge:
        self.ask(0, "initialize", protocolVersion="2025-11-25")
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self

    def end_input(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.stdin = None  # else whoever ends the process flushes it

    def close(self) -> int:
        self.end_input()
        return self.process.wait(timeout=30)


@pytest.fixture
def server() -> Iterator[StandIn]:
    with StandIn() as made:
        yield made


@pytest.fixture
def bridge(world: World, server: StandIn) -> Bridge:
    return Bridge(world.start("mcp", "--port", str(server.port)))
