"""Shared state for the tests: opened in a folder, with clocks that stand until they are moved."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from orchestr8_index.coordinate.caller import Caller
from orchestr8_index.coordinate.clock import Clock
from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.sharing import (
    LockResources,
    Op,
    ReadInbox,
    ReadShared,
    SendMessage,
    SessionCall,
    WriteShared,
    value_of,
)

from ..coroutines import as_test

TREE = "/work/tree"


def rounds(few: int, full: int) -> int:
    """A few in the suite; with FULL=1 in the environment, all."""
    return full if os.environ.get("FULL") else few


Make = Callable[..., Coordination]
made_by: contextvars.ContextVar[Make] = contextvars.ContextVar("made_by", default=Coordination)
"""What opens the shared state of a folder: SQLite, or what tests/team puts in its place."""


class Hand:
    """Both clocks, moved by hand: `now` in seconds for leases, `day` on the wall."""

    def __init__(self) -> None:
        self.now, self.day = 1000.0, 1_700_000_000.0

    def clock(self) -> Clock:
        return Clock(wall=lambda: self.day, monotonic=lambda: self.now)

    def move(self, seconds: float) -> None:
        self.now += seconds
        self.day += seconds


def agent(name: str, **more: Any) -> Caller:
    return Caller(name, **{"tree": TREE, **more})


class Agent:
    """One caller's methods with plain arguments; answers are plain objects."""

    def __init__(self, state: Coordination, name: str, **more: Any) -> None:
        self.state, self.caller = state, agent(name, **more)

    async def write(self, values: dict[str, Any], **more: Any) -> Any:
        single = {each: more.pop(each) for each in ("ttl_s", "if_rev") if each in more}
        ops = [Op(key, value_of(value), **single) for key, value in values.items()]
        return plain(await self.state.write_shared(self.caller, WriteShared(ops=ops, **more)))

    async def read(self, *keys: str, **more: Any) -> Any:
        params = msgspec.convert({**({"keys": keys} if keys else {}), **more}, ReadShared)
        return plain(await self.state.read_shared(self.caller, params))

    async def get(self, key: str) -> Any:
        items = (await self.read(key))["items"]
        return items[0]["value"] if items else None

    async def lock(self, *resources: str, **more: Any) -> Any:
        params = LockResources(action="acquire", resources=list(resources), **more)
        return plain(await self.state.lock(self.caller, params))

    async def renew(self, token: str, **more: Any) -> Any:
        return plain(
            await self.state.lock(self.caller, LockResources(action="renew", token=token, **more))
        )

    async def release(self, token: str, **more: Any) -> Any:
        params = LockResources(action="release", token=token, **more)
        return plain(await self.state.lock(self.caller, params))

    async def locks(self) -> Any:
        return plain(await self.state.lock(self.caller, LockResources(action="list")))["locks"]

    async def send(self, *to: str, body: str = "hello", **more: Any) -> Any:
        return plain(
            await self.state.send_message(self.caller, SendMessage(to=list(to), body=body, **more))
        )

    async def inbox(self, **more: Any) -> Any:
        return plain(await self.state.read_inbox(self.caller, ReadInbox(**more)))

    async def session(self, action: Any, ident: str | None = None, **more: Any) -> Any:
        params = SessionCall(action=action, id=ident, **more)
        return plain(await self.state.session(self.caller, params))


def plain(answer: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(answer))


@contextlib.asynccontextmanager
async def opened(
    folder: Path, hand: Hand | None = None, **more: Any
) -> AsyncIterator[Coordination]:
    clock = hand.clock() if hand else None
    state = made_by.get()(folder, clock=clock, **more)
    await asyncio.to_thread(state.open)
    state.start()
    try:
        yield state
    finally:
        await state.close()


def run(
    folder: Path,
    work: Callable[[Coordination], Awaitable[Any]],
    hand: Hand | None = None,
    **more: Any,
) -> Any:
    async def running() -> Any:
        async with opened(folder, hand, **more) as state:
            return await work(state)

    return asyncio.run(running())


def shared(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test of the shared state in a folder of its own; `hand`, where it is asked for, has its
    clocks."""

    def on_state(folder: Path, work: Callable[..., Awaitable[None]]) -> None:
        hand = Hand() if "hand" in inspect.signature(test).parameters else None
        run(folder, functools.partial(work, hand=hand) if hand else work, hand)

    return as_test(test, on_state, "tmp_path", ("state", "hand"))


async def until(look: Callable[[], bool], seconds: float = 20.0) -> None:
    """Let the loop go on until something holds; fails after `seconds`."""
    end = asyncio.get_running_loop().time() + seconds
    while not look():
        assert asyncio.get_running_loop().time() < end, "it did not come to hold in time"
        await asyncio.sleep(0.002)
