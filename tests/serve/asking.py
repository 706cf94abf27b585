"""How do the tests ask? One request to an application in this process, without a socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2 as httpx
import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestr8_index.app import make_state
from orchestr8_index.catalog.build import build
from orchestr8_index.catalog.build_lines import BuildLine, BuildRequest
from orchestr8_index.catalog.generations import Refresh
from orchestr8_index.catalog.index import Index
from orchestr8_index.catalog.worker import BuildChild, Builder
from orchestr8_index.config import Limits, Settings
from orchestr8_index.serve.rpc import Response, reply_to
from orchestr8_index.serve.state import State

BASE = "http://127.0.0.1:3700"


class Here(Builder):
    """A builder without a child process."""

    def run(self, unless: str = "", started: BuildChild | None = None) -> BuildLine:
        settings = self.settings
        facts = settings.roots_now, str(settings.data_dir), (), unless, ()
        whose = settings.roots_digest, settings.shared_roots, settings.switches, settings.moved
        request = BuildRequest(*facts, settings.reading, *whose)
        return build(request, self.on_line)


def settings_of(data_dir: Path, *roots: Path, **given: Any) -> Settings:
    named = tuple(str(root) for root in roots)
    given = {"limits": limits_of(), **given}
    return Settings(roots=named, roots_from="--root", data_dir=data_dir, **given)


def limits_of(**given: int) -> Limits:
    """Limits for a process that holds all tests, on a machine that may be busy."""
    ample = {"memory_soft_mb": 4000, "memory_hard_mb": 8000}
    return Limits(**{**ample, **given})


def state_of(settings: Settings, index: Index | None, builder: Builder | None = None) -> State:
    return make_state(settings, Refresh(settings, builder or Here(settings), index=index))


def client(app: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=BASE)


def ask(app: ASGIApp, method: str, path: str, **given: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        async with client(app) as asking:
            return await asking.request(method, path, **given)

    return asyncio.run(send())


async def serve_one(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


def reply(state: State, body: bytes | object) -> Response:
    """The reply to a body, which is encoded unless it is bytes."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return asyncio.run(reply_to(state, raw))


def call(state: State, method: str, **params: Any) -> dict[str, Any]:
    """The decoded reply to one call."""
    sent = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    decoded: dict[str, Any] = msgspec.json.decode(reply(state, sent).body)
    return decoded


def fields(told: Mapping[str, Any]) -> set[str]:
    """The names of the fields that an InvalidParams names."""
    return {row["field"] for row in told["error"]["data"]["validation_errors"]}


@contextlib.asynccontextmanager
async def living(app: ASGIApp) -> AsyncIterator[None]:
    """The application between its start and its end."""
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    outbox: asyncio.Queue[Message] = asyncio.Queue()
    scope: Scope = {"type": "lifespan", "state": {}}
    running = asyncio.ensure_future(app(scope, inbox.get, outbox.put))
    await inbox.put({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    yield
    await inbox.put({"type": "lifespan.shutdown"})
    await running
