"""Another PostgreSQL takes over, servers and connections are killed: nothing is granted twice."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from orchestr8_index.errors import Busy, Conflict, StoreUnavailable
from orchestr8_index.sharing import LockResources
from orchestr8_index.team.core import TeamCoordination as Server
from orchestr8_index.team.registry import JUMP

from ..coordinate.worlds import Agent, rounds, until
from .engines import Postgres, postgres
from .worlds import run, team


@pytest.fixture
def pair() -> Iterator[tuple[Postgres, Postgres]]:
    """A primary and a standby that follows it."""
    with postgres() as primary, postgres(of=primary) as standby:
        yield primary, standby


@pytest.fixture
def victim() -> Iterator[Postgres]:
    with postgres(durable=True) as engine:
        yield engine


async def started(url: str, schema: str) -> Server:
    server = Server(url, schema=schema)
    await once_back(lambda: asyncio.to_thread(server.open))
    server.start()
    return server


async def once_back(call: Callable[[], Awaitable[Any]]) -> Any:
    """What a call gives as soon as it is not refused."""
    end = time.monotonic() + 30
    while True:
        try:
            return await call()
        except StoreUnavailable:
            assert time.monotonic() < end
            await asyncio.sleep(0.02)


def numbers(granted: list[Any]) -> list[int]:
    return [int(lock["token"].partition(".")[0]) for lock in granted]


def test_a_failover_never_repeats_a_token(pair: tuple[Postgres, Postgres]) -> None:
    """The standby lacks the last commits; what was granted in them is granted to nobody else."""
    primary, standby = pair
    ports = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    url = f"postgresql://o8@{ports}/o8?target_session_attrs=read-write"

    async def work(a: Server) -> None:
        ann = Agent(a, "ann")
        await ann.write({"early": 1})
        (reached,) = primary.run("SELECT pg_current_wal_lsn()")
        seen = f"SELECT pg_last_wal_replay_lsn() >= '{reached[0]}'"
        await until(lambda: standby.run(seen) == [(True,)])
        await asyncio.to_thread(standby.stop)
        granted = [await ann.lock(f"port:{n}") for n in range(5)]
        last = (await ann.write({"lost": 1}))["rev"]
        primary.kill()
        await asyncio.to_thread(standby.start)
        standby.run("SELECT pg_promote()")
        await once_back(lambda: ann.write({"after": 1}))
        assert await ann.get("early") == 1
        assert await ann.get("lost") is None
        again = [await ann.lock(f"port:{n}") for n in range(5)]
        old, new = (
            [int(each["token"].partition(".")[0]) for each in all_] for all_ in (granted, again)
        )
        assert min(new) > max(*old, last)
        assert min(new) >= JUMP

    run(url, 1, work)


class History:
    """What the clients of one register saw: revisions that were acknowledged, and when."""

    def __init__(self) -> None:
        self.newest = 0
        self.values: dict[int, object] = {}

    def wrote(self, rev: int, value: object) -> None:
        assert self.values.setdefault(rev, value) == value, "a revision was given out twice"
        self.newest = max(self.newest, rev)

    def read(self, rev: int, value: object, before: int) -> None:
        """`before` is what had been acknowledged or seen when the read began."""
        assert rev >= before, "a read went back behind what was acknowledged"
        self.wrote(rev, value)


def test_three_servers_are_linearizable_under_kills(victim: Postgres) -> None:
    """Each write replaces the value that its writer has read; connections, servers and PostgreSQL
    end meanwhile. A lock is held by one at a time."""
    schema, history, holders = f"o8_{secrets.token_hex(6)}", History(), list[str]()
    chance, end = random.Random(7), time.monotonic() + rounds(4, 120)

    async def use(servers: list[Server], name: str) -> None:
        """Read, replace what was read, and hold the lock for a moment."""
        agent, before = Agent(chance.choice(servers), name), history.newest
        items = (await agent.read("register"))["items"]
        rev, value = (items[0]["rev"], items[0]["value"]) if items else (0, None)
        history.read(rev, value, before)
        new = secrets.token_hex(4)
        history.wrote((await agent.write({"register": new}, if_rev=rev))["rev"], new)
        request = secrets.token_hex(4)  # by which it is ended where the answer was lost
        try:
            await agent.lock("port:1", ttl_s=60, request_id=request)
            holders.append(request)
            assert holders == [request]
            await asyncio.sleep(0)
        finally:
            holders.clear()
            release = LockResources(action="release", request_id=request)
            await once_back(lambda: chance.choice(servers).lock(agent.caller, release))

    def is_over() -> bool:
        late = time.monotonic() - end
        return late > 0 and (len(history.values) > 20 or late > 60)

    async def client(servers: list[Server], name: str) -> None:
        while not is_over():
            with contextlib.suppress(StoreUnavailable, Conflict, Busy):
                await use(servers, name)
            await asyncio.sleep(0.001)

    async def kill(servers: list[Server]) -> None:
        ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE"
        while time.monotonic() < end - 1:
            await asyncio.sleep(chance.uniform(0.1, 0.4))
            match chance.randrange(3):
                case 0:
                    name = servers[chance.randrange(3)].server
                    await asyncio.to_thread(victim.run, f"{ends} 'orchestr8-index {name}%'")
                case 1:
                    place = chance.randrange(3)
                    old, servers[place] = servers[place], await started(victim.url, schema)
                    await old.close()
                case 2:
                    victim.kill()
                    await asyncio.to_thread(victim.start)

    async def work() -> None:
        async with team(victim.url, 3, schema) as servers:
            await asyncio.gather(kill(servers), *(client(servers, f"c{n}") for n in range(5)))
            reader = Agent(servers[0], "reader")
            (item,) = (await once_back(lambda: reader.read("register")))["items"]
            history.read(item["rev"], item["value"], history.newest)
            assert len(history.values) > 20

    asyncio.run(work())
