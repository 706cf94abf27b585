"""How fast is a team's shared state, beside bare commits of the same PostgreSQL?

First servers of one process and loop, on one database: MCP_DATABASE_URL in a schema that goes, else
a PostgreSQL of its own. Then a working day split over two servers, with and without Redis. At last
two server processes, while Redis and PostgreSQL, which are started for that, are killed; with
`--quick` not.
"""

import asyncio
import contextlib
import secrets
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import psycopg
import pytest

from orchestr8_index.config import read_settings
from orchestr8_index.coordinate.caller import Caller
from orchestr8_index.errors import Conflict
from orchestr8_index.sharing import (
    LockResources,
    Op,
    ReadInbox,
    ReadShared,
    SendMessage,
    WriteShared,
    value_of,
)
from orchestr8_index.team.core import TeamCoordination as Server

from . import outage, split_day
from .coordinate import milliseconds, write
from .harness import REPOSITORY, Run, Times, memory_mb

sys.path.insert(0, str(REPOSITORY))
from tests.team.engines import Nats, Postgres, Redis, postgres, running

WRITERS, EACH, TIMES = 64, 30, 200


def bare_ms(url: str, schema: str) -> list[float]:
    """An update of one row, by psycopg alone."""
    spent = Times()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {schema}.bare AS SELECT 1 AS n".encode())
        for _ in range(TIMES):
            with spent:
                connection.execute(f"UPDATE {schema}.bare SET n = n + 1".encode())
    return spent


@contextlib.asynccontextmanager
async def servers(url: str, schema: str, number: int) -> AsyncIterator[list[Server]]:
    made = [Server(url, schema=schema) for _ in range(number)]
    for each in made:
        await asyncio.to_thread(each.open)
        each.start()
    try:
        yield made
    finally:
        for each in made:
            await each.close()


async def one_by_one(run: Run, a: Server) -> None:
    who, read = Caller("bench"), ReadShared(keys=["k1"])
    run.times("write", await milliseconds(TIMES, lambda n: a.write_shared(who, write(f"k{n}"))))
    run.times("strict read", await milliseconds(TIMES, lambda _: a.read_shared(who, read)))


async def many(run: Run, name: str, parts: list[tuple[Server, str]]) -> None:
    """So many writers over the servers, each in its project."""

    async def writer(number: int) -> None:
        server, project = parts[number % len(parts)]
        for n in range(EACH):
            await server.write_shared(Caller(f"w{number}", project=project), write(f"{number}/{n}"))

    started = time.perf_counter()
    await asyncio.gather(*map(writer, range(WRITERS)))
    run.row(name, WRITERS * EACH / (time.perf_counter() - started), "a second")


async def across(run: Run, a: Server, b: Server) -> None:
    """From a commit on one server to whoever waits on the other."""
    who, woken, granted = Caller("bench"), Times(), Times()
    for n in range(TIMES):
        key = f"wake/{n}"
        asked = ReadShared(keys=[key], changed_after=0, wait_ms=20_000)
        waiting = asyncio.create_task(b.read_shared(who, asked))
        await asyncio.sleep(0.005)
        with woken:
            await a.write_shared(who, write(key))
            await waiting
    run.times("commit on one, waiter on another", woken)
    await with_listen_dead(run, a, b)
    for n in range(TIMES // 4):
        name = [f"port:{n}"]
        held = await a.lock(Caller("ann"), LockResources(action="acquire", resources=name))
        wish = LockResources(action="acquire", resources=name, on_busy="wait", wait_ms=20_000)
        waiting = asyncio.create_task(b.lock(Caller("bob"), wish))
        await asyncio.sleep(0.02)
        with granted:
            await a.lock(Caller("ann"), LockResources(action="release", token=held["token"]))
            await waiting
    run.times("released on one, granted on another", granted)


async def waves(run: Run, servers: list[Server], number: int, tasks: int) -> None:
    """Stand-in agents, as many as a wave has tasks, take these from a queue, in turn from each
    server; each locks its task, notes the result where none stands, and acknowledges. One of them
    is refused half of the time and asks again later, as a caller over its rate."""
    boss, names = Caller("boss", project="waves"), [f"{tasks}-{n}" for n in range(number * tasks)]
    twice, queue = [], f"jobs{tasks}"

    async def agent(place: int) -> None:
        who, server = Caller(f"a{place}", project="waves"), servers[place % len(servers)]
        while True:
            if place == 0 and secrets.randbelow(2):
                await asyncio.sleep(0.05)
                continue
            asked = ReadInbox(queue=queue, limit=1, wait_ms=500)
            found = (await server.read_inbox(who, asked))["messages"]
            if not found:
                return
            task = found[0]["body"]
            lock = LockResources(action="acquire", resources=[f"task:{task}"])
            held = await server.lock(who, lock)
            try:
                op = Op(f"done/{task}", value_of({"task": task}), if_rev=0)
                await server.write_shared(who, WriteShared(ops=[op]))
            except Conflict:
                twice.append(task)
            await server.lock(who, LockResources(action="release", token=held["token"]))
            await server.read_inbox(who, ReadInbox(queue=queue, ack=[found[0]["id"]], peek=True))

    started = time.perf_counter()
    for first in range(0, len(names), tasks):
        for name in names[first : first + tasks]:
            sent = SendMessage(to=[f"queue:{queue}"], body=name)
            await servers[first % len(servers)].send_message(boss, sent)
        await asyncio.gather(*map(agent, range(tasks)))
    spent = time.perf_counter() - started
    done: dict[str, Any] = {}
    for first in range(0, len(names), 100):
        keys = [f"done/{name}" for name in names[first : first + 100]]
        rows = (await servers[-1].read_shared(boss, ReadShared(keys=keys)))["items"]
        done |= {row["key"]: msgspec.json.decode(row["value"])["task"] for row in rows}
    wrong = sum(key != f"done/{task}" for key, task in done.items())
    figures = {"lost": len(names) - len(done), "twice": len(twice), "wrong": wrong}
    run.row(f"{number} waves of {tasks} tasks", unit="s", **figures, took=spent)


async def with_listen_dead(run: Run, a: Server, b: Server) -> None:
    """As a pooler makes it: no notice comes through, and the revisions are looked at."""
    told, b.bus._take, woken = b.bus._take, lambda text: None, Times()  # type: ignore[method-assign]
    for n in range(10):
        asked = ReadShared(keys=[f"deaf/{n}"], changed_after=0, wait_ms=20_000)
        waiting = asyncio.create_task(b.read_shared(Caller("bench"), asked))
        await asyncio.sleep(0.1 * n)
        with woken:
            await a.write_shared(Caller("bench"), write(f"deaf/{n}"))
            await waiting
    b.bus._take = told  # type: ignore[method-assign]
    run.times("the same with LISTEN dead", woken)


async def measure(run: Run, url: str, schema: str) -> None:
    before = memory_mb()
    async with servers(url, schema, 3) as (a, b, c):
        run.row("memory of three servers' parts", memory_mb() - before, "MB")
        run.times("bare commit", await asyncio.to_thread(bare_ms, url, schema))
        await one_by_one(run, a)
        await many(run, "writes, one server", [(a, "p")])
        await many(run, "writes, three on one project", [(a, "p"), (b, "p"), (c, "p")])
        await many(run, "writes, three on a project each", [(a, "p"), (b, "q"), (c, "r")])
        await across(run, a, b)
        for number, tasks in ((2, 2), (4, 25), (16, 100)):
            await waves(run, [a, b, c], number, tasks)


def in_process(run: Run, url: str) -> None:
    schema = f"o8_bench_{secrets.token_hex(4)}"
    try:
        asyncio.run(measure(run, url, schema))
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())


def with_engines(run: Run, engines: tuple[Postgres, Redis, Nats]) -> None:
    in_process(run, read_settings().database_url or engines[0].url)
    split_day.measure(run, engines)
    if not run.given.quick:
        outage.measure(run, engines)


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, quick=False, seed=7) as run:
        try:
            with postgres(durable=True) as database, running(Redis) as cache, running(Nats) as hub:
                with_engines(run, (database, cache, hub))
        except pytest.skip.Exception as missing:
            print(missing)
            sys.exit(2)
