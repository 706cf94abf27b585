"""One agent of a workflow, a process of its own: it knows an address, its name, and the cache's
three tools. It works on tasks until none is left; a lock is looked at first, and then set."""

from __future__ import annotations

import http.client
import json
import sys
import time
from typing import Any

VERSION = "2025-06-18"
ACCEPTED = "application/json, text/event-stream"


class Cache:
    """The tools of a face over MCP, in a session."""

    def __init__(self, port: int, client: str, key: str = "", face: str = "cache") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._path = f"/mcp/{face}"
        self._headers = {"Content-Type": "application/json", "Accept": ACCEPTED}
        self._headers |= {"Authorization": f"Bearer {key}"} if key else {}
        info = {"name": client, "version": "1"}
        begin = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": info}
        try:
            self.ask("initialize", begin)["result"]
        except KeyError:
            self._connection.close()
            raise

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        text = response.read().decode()
        if session := response.headers.get("mcp-session-id"):
            self._headers |= {"Mcp-Session-Id": session, "MCP-Protocol-Version": VERSION}
        reply: dict[str, Any] = json.loads(text[text.index("{") :])
        return reply

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        result = self.ask("tools/call", {"name": name, "arguments": arguments})["result"]
        told: dict[str, Any] = json.loads(result["content"][0]["text"])
        return told

    def set(self, key: str, value: Any, ttl: int = 300) -> bool:
        told = self.call("setStorage", key=key, value=json.dumps(value), ttl=ttl)
        return bool(told["success"])

    def get(self, key: str) -> Any:
        value = self.call("getStorage", key=key)["value"]
        return None if value is None else json.loads(value)


def locked(cache: Cache, key: str, name: str) -> bool:
    """The pattern as agents are told it: look, then set."""
    return cache.get(key) is None and cache.set(key, {"lockedBy": name, "at": time.time()})


def work_on(cache: Cache, name: str, number: str) -> None:
    """One task: assigned, its file locked, counted in a value that knows no lock, reported."""
    status = f"status:{name}:{number}"
    cache.set(status, {"status": "in_progress", "progress": 0})
    task = cache.get(f"task:{number}")
    while not locked(cache, f"lock:{task['file']}", name):
        time.sleep(0.002)
    done = cache.get(f"coordination:{task['file']}") or []
    cache.set(f"coordination:{task['file']}", [*done, number])
    assert cache.set(f"lock:{task['file']}", {"released": True}), "the lock was lost"
    cache.set(status, {"status": "completed", "progress": 100})
    message = {"from": name, "to": "manager", "type": "done", "task": number}
    cache.set(f"msg:{name}:manager:{number}", message)


def main(port: int, client: str, name: str, tasks: list[str]) -> None:
    mine = 0
    with Cache(port, client) as cache:
        for task in tasks:
            if locked(cache, f"lock:task:{task}", name):
                work_on(cache, name, task)
                mine += 1
                cache.set(f"progress:{name}", {"completed": mine})
    print(json.dumps({"name": name, "tasks": mine}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
