"""A server's state with a store, in this process: one loop, opened and closed for each test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import Settings, fixture_root
from orchestr8_index.serve.rpc import reply_to
from orchestr8_index.serve.state import State
from orchestr8_index.serve.stores import ServerStore

from .asking import settings_of, state_of

T = TypeVar("T")


class Learner:
    """`call` gives the result of one call, `error` the error of one that fails."""

    def __init__(self, settings: Settings, index: Index | None) -> None:
        self.state: State = state_of(settings, index)
        self.store = self.state.store = ServerStore(settings)

    async def reply(self, method: str, **params: Any) -> Any:
        sent = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return msgspec.json.decode((await reply_to(self.state, msgspec.json.encode(sent))).body)

    async def call(self, method: str, **params: Any) -> Any:
        told = await self.reply(method, **params)
        assert "result" in told, told
        return told["result"]

    async def error(self, method: str, **params: Any) -> Any:
        return (await self.reply(method, **params))["error"]

    async def report(self, task_id: str = "t1", text: str = "rotate certs", **given: Any) -> Any:
        fields = {"agents_used": ["docs-writer"], "result": "success", **given}
        return await self.call("cacheDecision", task_id=task_id, task_description=text, **fields)

    async def agents(self, text: str) -> list[str]:
        rows = (await self.call("queryAgents", context=text))["agents"]
        return [row["name"] for row in rows]


Work = Callable[[Learner], Awaitable[T]]


def learn(
    folder: Path, index: Index | None, work: Work[T], root: Path | None = None, **settings: Any
) -> T:
    """Run `work` with a learner whose store has begun, and stop the store after it."""

    async def run() -> T:
        learner = Learner(settings_of(folder, root or fixture_root(), **settings), index)
        learner.store.begin()
        try:
            return await work(learner)
        finally:
            await learner.store.stop()

    return asyncio.run(run())
