"""The working day of `bench day`, its sessions split over two servers of a team.

A part of `bench team`: how many answers come from a cache, where each server has its own alone, and
where Redis has one for both. Redis' answers age by the trace's clock, as the servers' do.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from orchestr8_index.client.embedded import build_index, builder_of
from orchestr8_index.config import Settings, read_settings
from orchestr8_index.serve.state import State
from orchestr8_index.team.over_all import AnswersOfAll

from .day import SESSIONS, Day, Event, agents_of, replay, served, texts_of
from .harness import Run

SERVERS = 2


class AgedAnswers(AnswersOfAll):
    """What was put longer ago than it lives, by that clock, is gone."""

    def __init__(self, inner: AnswersOfAll, clock: Callable[[], float], put_at: dict[Any, float]):
        super().__init__(inner._client, inner._circuit, inner._secret)
        self._clock, self._put_at = clock, put_at

    async def get(self, name: Sequence[object], generation: int) -> bytes | None:
        if self._put_at.get(repr(name), float("-inf")) < self._clock():
            return None
        await asyncio.gather(*self._writing)
        return await super().get(name, generation)

    def put(self, name: Sequence[object], answer: bytes, seconds: float) -> None:
        self._put_at[repr(name)] = self._clock() + seconds
        super().put(name, answer, seconds)


@contextlib.asynccontextmanager
async def server(
    settings: Settings, clock: list[float], put_at: dict[Any, float]
) -> AsyncIterator[State]:
    async with served(settings, clock) as state:
        assert state.shared
        await state.shared.state()
        helpers = state.shared._helpers
        if helpers is not None:
            while helpers.answers is None or not helpers.answers._circuit.connected:
                await asyncio.sleep(0.01)
            helpers.answers = AgedAnswers(helpers.answers, lambda: clock[0], put_at)
        try:
            yield state
        finally:
            await state.shared.stop()


async def replay_on(found: list[Settings], events: list[tuple[Event, int]]) -> list[int]:
    clock, put_at = [0.0], dict[Any, float]()
    async with contextlib.AsyncExitStack() as stack:
        made = [server(each, clock, put_at) for each in found]
        states = [await stack.enter_async_context(each) for each in made]
        return (await replay(states, clock, events))["all"]


def measure(run: Run, engines: tuple[Any, Any, Any]) -> None:
    database, cache, _ = engines
    texts, _ = texts_of(str(run.root), run.given.seed)
    for name, redis_url in (("without Redis", ""), ("with Redis", cache.url)):
        with tempfile.TemporaryDirectory() as folder:
            plain = read_settings((str(run.root),), 0, folder, environ={})
            stores = {"database_url": database.url, "redis_url": redis_url}
            settings = [
                replace(plain, data_dir=Path(folder, str(n)), **stores) for n in range(SERVERS)
            ]
            agents = agents_of(build_index(plain, builder_of(plain)))
            day = Day(list(texts), agents, run.given.seed)
            split = [(event, n % SERVERS) for n in range(SESSIONS) for event in day._session(n)]
            split.sort(key=lambda pair: pair[0][0])
            hits, asked = asyncio.run(replay_on(settings, split))
            share = 100 * hits / asked
            run.row(f"a day over two servers, {name}", share, "%", hits=hits, asked=asked)
        database.run("DROP SCHEMA IF EXISTS orchestr8 CASCADE")
