"""A server in this process with shared state, and its event streams, for the tests of both."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2 as httpx
from starlette.types import ASGIApp, Message

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import Settings
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.sharedstate import SharedState
from orchestr8_index.serve.state import State

from .asking import client, living, state_of

Run = Callable[..., Any]


class Site:
    """A server in this process; `call` is one JSON-RPC call over its HTTP."""

    def __init__(self, state: State, app: ASGIApp, http: httpx.AsyncClient) -> None:
        self.state, self.app, self.http = state, app, http

    async def reply(self, method: str, agent: str = "", key: str = "", **params: Any) -> Any:
        headers = {"x-tree": "/work/tree"}
        headers |= {"x-agent": agent} if agent else {}
        headers |= {"authorization": f"Bearer {key}"} if key else {}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await self.http.post("/", json=body, headers=headers)

    async def call(self, method: str, agent: str = "", **params: Any) -> Any:
        body = (await self.reply(method, agent, **params)).json()
        assert "result" in body, body
        return body["result"]

    async def error(self, method: str, agent: str = "", **params: Any) -> tuple[int, Any]:
        reply = await self.reply(method, agent, **params)
        return reply.status_code, reply.json()["error"]

    @property
    def waiting(self) -> int:
        shared = self.state.shared
        return shared.ready.feed.waiting if shared and shared.ready else 0

    async def until_waiting(self, calls: int) -> None:
        end = asyncio.get_running_loop().time() + 20
        while self.waiting != calls:
            assert asyncio.get_running_loop().time() < end
            await asyncio.sleep(0.002)

    @contextlib.asynccontextmanager
    async def events(self, query: str = "", **headers: str) -> AsyncIterator[Stream]:
        """GET /events, answered with 200."""
        stream = Stream(self.app, query, headers)
        try:
            yield stream
        finally:
            await stream.close()


class Stream:
    """One GET /events over ASGI, read as it comes."""

    def __init__(self, app: ASGIApp, query: str, headers: dict[str, str]) -> None:
        self._out: asyncio.Queue[Message] = asyncio.Queue()
        self._left = asyncio.Event()
        self._text = ""
        self.is_over = False
        self.last_id = ""
        named = {"host": "127.0.0.1", **{k.replace("_", "-"): v for k, v in headers.items()}}
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/events",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        self._running = asyncio.ensure_future(app(scope, self._receive, self._out.put))

    async def _receive(self) -> Message:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def close(self) -> None:
        self._left.set()
        await self._running

    async def status(self) -> int:
        async with asyncio.timeout(10):
            return int((await self._out.get())["status"])

    async def text(self) -> str:
        """The next message, without its blank line; "" at the end."""
        while "\n\n" not in self._text and not self.is_over:
            async with asyncio.timeout(10):
                message = await self._out.get()
            self._text += message.get("body", b"").decode()
            self.is_over = message["type"] == "http.response.body" and not message.get("more_body")
        told, _, self._text = self._text.partition("\n\n")
        return told

    async def next(self) -> Any:
        """The data of the next message that has some; None at the end. Notes the id."""
        while told := await self.text():
            fields = dict(line.split(": ", 1) for line in told.splitlines() if ": " in line)
            self.last_id = fields.get("id", self.last_id)
            if "data" in fields:
                return json.loads(fields["data"])
        return None


async def on_site(settings: Settings, index: Index, work: Callable[[Site], Awaitable[Any]]) -> Any:
    state = state_of(settings, index)
    state.shared = SharedState(settings, state.events, state.ending)
    app = make_web(state)
    async with living(app), client(app) as http:
        return await work(Site(state, app, http))
