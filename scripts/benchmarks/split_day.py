"""The working day of `bench day`, its sessions split over two servers of a team.

A part of `bench team`: how many answers come from a cache, where each server has its own alone, and
where Redis has one for both. Redis' answers age by the trace's clock, as the servers' do.
"""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from orchestr8_index.app import make_state
from orchestr8_index.catalog.generations import Refresh
from orchestr8_index.catalog.worker import Builder
from orchestr8_index.client.embedded import build_index, builder_of
from orchestr8_index.config import Settings, read_settings
from orchestr8_index.serve.cache import AnswerCache, RecentQuestions
from orchestr8_index.serve.calls import perform
from orchestr8_index.serve.renewal import Renewal
from orchestr8_index.serve.state import State
from orchestr8_index.serve.stores import ServerStore
from orchestr8_index.team.over_all import AnswersOfAll

from .day import SESSIONS, Day, Event, agents_of, texts_of
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
    settings: Settings, clock: Callable[[], float], put_at: dict[Any, float]
) -> AsyncIterator[State]:
    """Without HTTP, in this process; its index is built once."""
    index = build_index(settings, builder_of(settings))
    store = ServerStore(settings)
    state = make_state(settings, Refresh(settings, Builder(settings), index=index), store)
    lives = settings.query_life, settings.pattern_life
    state.query_cache, state.pattern_cache = (AnswerCache(life, clock=clock) for life in lives)
    state.recent = RecentQuestions(clock)
    store.begin()
    await store.outcomes()
    assert state.shared
    await state.shared.state()
    helpers = state.shared._helpers
    if helpers is not None:
        while helpers.answers is None or not helpers.answers._circuit.connected:
            await asyncio.sleep(0.01)
        helpers.answers = AgedAnswers(helpers.answers, clock, put_at)
    try:
        yield state
    finally:
        await state.shared.stop()
        await store.stop()


def hits_of(state: State) -> int:
    shared = state.shared.answers if state.shared else None
    return state.query_cache.hits + state.pattern_cache.hits + (shared.hits if shared else 0)


async def replay(found: list[Settings], events: list[tuple[Event, int]]) -> tuple[int, int]:
    """Hits and questions. What one is told is learnt by the other before the next question."""
    clock, put_at, hits, asked = [0.0], dict[Any, float](), 0, 0
    async with contextlib.AsyncExitStack() as stack:
        made = [server(each, lambda: clock[0], put_at) for each in found]
        states = [await stack.enter_async_context(each) for each in made]
        learning = [state.shared.learning_of(state) for state in states if state.shared]
        renewals, due = [Renewal(state) for state in states], [0.0] * len(states)
        for (moment, method, params, how), place in events:
            for number, renewal in enumerate(renewals):
                while due[number] < moment:
                    clock[0] = due[number]
                    due[number] += await renewal.step()
            clock[0] = moment
            before = hits_of(states[place])
            await perform(states[place], method, json.dumps(params).encode())
            for each in learning if method == "cacheDecision" else ():
                assert each is not None
                await each.follow()
            if how:
                asked += 1
                hits += hits_of(states[place]) - before
    return hits, asked


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
            hits, asked = asyncio.run(replay(settings, split))
            share = 100 * hits / asked
            run.row(f"a day over two servers, {name}", share, "%", hits=hits, asked=asked)
        database.run("DROP SCHEMA IF EXISTS orchestr8 CASCADE")
