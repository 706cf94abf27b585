"""Redis is told of what happens, and asked for answers; it decides nothing, and may go away."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis

from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.daemon.http import HttpClient
from orchestr8_index.errors import BadSetting, TooManyRequests
from orchestr8_index.serve.shares import BucketsOfAll
from orchestr8_index.team.helpers import Helpers
from orchestr8_index.team.over_all import UsedByOthers
from orchestr8_index.team.start import check_start

from ..coordinate.worlds import Agent, until
from ..processes import Running, World, call, wait_for
from .engines import Postgres, Redis, running
from .worlds import eventually, settings_of, soon, team, told


@pytest.fixture(scope="module")
def engine() -> Iterator[Redis]:
    with running(Redis) as found:
        yield found


def on_sqlite(
    engine: Redis, folder: Path, work: Callable[[Coordination, Any, Helpers], Awaitable[None]]
) -> None:
    async def running() -> None:
        client = redis.Redis.from_url(engine.url, decode_responses=True)
        await client.flushall()
        shared = Coordination(folder)
        shared.open()
        shared.start()
        try:
            async with told(shared, settings_of(folder, REDIS_URL=engine.url)) as helpers:
                await work(shared, client, helpers)
        finally:
            await shared.close()
            await client.aclose()

    asyncio.run(running())


async def next_of(heard: Any) -> Any:
    return await soon(lambda: heard.get_message(timeout=1))


def test_programs_find_what_they_expect(engine: Redis, tmp_path: Path) -> None:
    async def work(shared: Coordination, client: Any, helpers: Helpers) -> None:
        ann, bob = Agent(shared, "ann", project="p"), Agent(shared, "bob", project="other")
        heard = client.pubsub(ignore_subscribe_messages=True)
        await heard.subscribe("task:42:updates", "other:task:42:updates")
        await heard.get_message(timeout=5)
        await ann.write({"task:42:state": {"phase": "review", "left": 2}})
        message = await next_of(heard)
        assert message["channel"] == "task:42:updates"
        assert json.loads(message["data"])["value"] == {"phase": "review", "left": 2}
        assert await client.hgetall("task:42:state") == {"phase": "review", "left": "2"}
        assert 3500 < await client.ttl("task:42:state") <= 3600

        await ann.write({"tasks/42/log": {"step": "tests"}})
        ((_, step),) = await soon(lambda: client.xrange("logs:42:stream"))
        assert step == {"step": "tests"}

        held = await ann.lock("port:1", ttl_s=30)
        await eventually(lambda: client.get("lock:port:1"), "ann")
        assert 25_000 < await client.pttl("lock:port:1") <= 30_000
        await ann.renew(held["token"], ttl_s=500)
        await soon(lambda: client.pttl("lock:port:1"), lambda left: left > 400_000)
        await ann.release(held["token"])
        await eventually(lambda: client.get("lock:port:1"), None)

        await bob.write({"task/42": {"phase": "other"}})
        names = [(await next_of(heard))["channel"] for _ in range(2)]
        assert names == ["task:42:updates", "other:task:42:updates"]
        assert await client.hgetall("other:task:42:state") == {"phase": "other"}
        await ann.write({"task:42:state": None})
        await eventually(lambda: client.exists("task:42:state"), 0)
        await heard.aclose()

    on_sqlite(engine, tmp_path, work)


def test_nobody_makes_a_lock_look_free_by_a_value_of_its_name(
    engine: Redis, tmp_path: Path
) -> None:
    """Whoever may write values set `lock:port:1` and deleted it: in Redis the lock was gone."""

    async def work(shared: Coordination, client: Any, helpers: Helpers) -> None:
        ann, eve = Agent(shared, "ann", project="p"), Agent(shared, "eve", project="p")
        held = await ann.lock("port:1", ttl_s=300)
        await eventually(lambda: client.get("lock:port:1"), "ann")
        for value in ("eve", None, "eve"):
            await eve.write({"lock:port:1": value})
            await eve.write({"task:1": {"n": value}})
            await eventually(lambda: client.hget("task:1:state", "n"), value or "null")
            assert await client.get("lock:port:1") == "ann"
        await ann.release(held["token"])
        await eventually(lambda: client.get("lock:port:1"), '"eve"')

    on_sqlite(engine, tmp_path, work)


def test_it_is_told_the_rest_when_it_is_back(quick_postgres: Postgres, tmp_path: Path) -> None:
    """One of two servers writes there; what it lost is there again, what it missed is told."""

    async def work() -> None:
        with running(Redis) as engine:
            settings = settings_of(tmp_path, REDIS_URL=engine.url)
            schema = f"o8_{secrets.token_hex(6)}"
            async with (
                team(quick_postgres.url, 2, schema) as (a, b),
                told(a, settings),
                told(b, settings) as helpers,
            ):
                ann = Agent(a, "ann", project="p")
                held = await ann.lock("port:1", ttl_s=500)
                await ann.write({"task:1:state": {"n": 1}})
                async with redis.Redis.from_url(engine.url) as client:
                    await eventually(lambda: client.hget("task:1:state", "n"), b"1")
                engine.kill()
                await ann.write({"task:2:state": {"n": 2}})
                await until(lambda: helpers.states == {"redis": "away"})
                assert "Redis does not answer" in helpers.reasons[0]
                await asyncio.to_thread(engine.start)
                async with redis.Redis.from_url(engine.url, decode_responses=True) as client:
                    for n in ("1", "2"):
                        await eventually(partial(client.hget, f"task:{n}:state", "n"), n)
                    await eventually(lambda: client.get("lock:port:1"), "ann")
                await until(lambda: helpers.reasons == [])
                await ann.renew(held["token"])

    asyncio.run(work())


class Pair:
    """Two servers of one team, each with its own clone of one repository."""

    def __init__(self, engine: Redis, servers: list[Running]) -> None:
        self.engine, self.servers = engine, servers

    def ask(self, place: int, method: str, **params: Any) -> Any:
        answer = call(self.servers[place].address, method, params)
        assert "error" not in answer, answer
        return answer["result"]

    def question(self, place: int, text: str) -> Any:
        return self.ask(place, "queryAgents", context=text, detail="full")

    def write(self, place: int, key: str, value: Any) -> None:
        self.ask(place, "writeShared", ops=[{"key": key, "value": value}])

    def states(self) -> list[str]:
        return [str(server.health["redis"]) for server in self.servers]


def git(folder: Path, *command: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    subprocess.run(["git", *who, *command], cwd=folder, check=True)


FIXTURE = Path(__file__).parent.parent.parent / "plugins_fixture"


@pytest.fixture(scope="module")
def pair(quick_postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    name, folder = f"o8_{secrets.token_hex(6)}", tmp_path_factory.mktemp("pair")
    quick_postgres.run(f"CREATE DATABASE {name}", "postgres")
    database = quick_postgres.url.removesuffix("o8") + name
    evicting = ("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru")
    with (
        running(Redis, *evicting) as engine,
        World(folder / "a") as a,
        World(folder / "b") as b,
    ):
        shutil.copytree(FIXTURE / "plugins" / "studio", a.work / ".claude")
        git(a.work, "init", "-q")
        git(a.work, "add", ".")
        git(a.work, "commit", "-q", "-m", "first")
        git(a.work, "clone", "-q", ".", str(b.work))
        environ = {"MCP_DATABASE_URL": database, "REDIS_URL": engine.url}
        made = Pair(engine, [world.serve(**environ) for world in (a, b)])
        wait_for(lambda: made.states() == ["connected"] * 2)
        yield made


def shared_question(pair: Pair) -> tuple[str, Any]:
    """A question that the second server answers with what the first has worked out; as it is
    answered without that."""

    def look() -> tuple[str, Any] | None:
        text = f"write the docs of the interface {secrets.token_hex(8)}"
        one = pair.question(0, text)
        time.sleep(0.02)
        two = pair.question(1, text)
        assert not one["cache_hit"]
        own = {"cache_hit": False, "generation": 0, "confidence": 0}  # calibrated in its own time
        assert {**two, **own} == {**one, **own}
        return (text, one) if two["cache_hit"] else None

    return wait_for(look)


def test_servers_answer_alike_out_of_one_cache(pair: Pair) -> None:
    shared_question(pair)
    assert pair.servers[0].health["reasons"] == []
    assert any("may evict" in line["message"] for line in pair.servers[0].world.log())


def test_a_report_on_one_server_changes_the_answer_of_another(pair: Pair) -> None:
    """Also where an answer from before is in the cache of both, and in that of all."""
    text, _ = shared_question(pair)

    def scores(place: int) -> dict[str, float]:
        return {row["name"]: row["score"] for row in pair.question(place, text)["agents"]}

    before = scores(1)
    used = min(before, key=lambda name: before[name])
    task = {"task_id": secrets.token_hex(4), "task_description": text, "agents_used": [used]}
    assert pair.ask(0, "cacheDecision", **task, result="success")["receipt"]["unknown"] == []
    wait_for(lambda: scores(1)[used] > before[used])
    assert scores(1) == scores(0)


def test_lag_and_the_share_of_redis_memory_are_told(pair: Pair) -> None:
    client = HttpClient(pair.servers[0].address, 5, 5)
    text = client.send("GET", "/metrics?format=prometheus", None).body.decode()
    client.close()
    told = dict(line.split(" ") for line in text.splitlines() if not line.startswith("#"))
    assert 0 < float(told["orchestr8_redis_memory_ratio"]) < 1
    assert 0 <= float(told["orchestr8_lag_seconds"]) < 60


def test_what_redis_holds_decides_nothing(pair: Pair) -> None:
    """Every key is deleted, or holds what another holds, or something of another kind."""
    shared_question(pair)
    pair.ask(0, "lockResources", action="acquire", resources=["port:9"], ttl_s=500)
    pair.write(0, "task:7:state", {"n": 1})

    async def forge() -> None:
        async with redis.Redis.from_url(pair.engine.url) as client:
            await eventually(lambda: client.exists("task:7:state", "lock:port:9"), 2)
            answers = [key async for key in client.scan_iter("o8:answer:*")]
            assert answers
            stolen = await client.get(answers[0])
            text = f"write a changelog {secrets.token_hex(8)}"
            truth = pair.question(0, text)
            await until_more(client, len(answers))
            async for key in client.scan_iter("o8:answer:*"):
                await client.set(key, stolen or b"" if key not in answers else b"[]")
            own = {"generation": 0, "confidence": 0}  # calibrated in its own time
            assert {**pair.question(1, text), **own} == {**truth, **own}
            await client.set("lock:port:9", "somebody else")
            await client.hset("task:7:state", "n", "forged")

            async for key in client.scan_iter("o8:*"):
                await client.delete(key)
                await client.rpush(key, "no string")
            pair.question(1, f"{text} again")
            await client.flushall()

    asyncio.run(forge())
    (held,) = pair.ask(1, "lockResources", action="list", resources=["port:9"])["locks"]
    assert held["holder"] != "somebody else"
    assert pair.ask(1, "readShared", keys=["task:7:state"])["items"][0]["value"] == {"n": 1}
    pair.write(1, "task:7:state", {"n": 2})
    shared_question(pair)


async def until_more(client: Any, count: int) -> None:
    await soon(lambda: client.keys("o8:answer:*"), lambda keys: len(keys) > count)


def test_redis_dies_and_nobody_notices(pair: Pair) -> None:
    """Killed, back, stopped, back; both servers are asked and written to meanwhile."""
    ended, counts, errors = threading.Event(), [0, 0], list[BaseException]()

    def use(place: int) -> None:
        try:
            while not ended.is_set():
                counts[place] += 1
                pair.question(place, f"review {counts[place] % 40} {place}")
                pair.write(place, f"task:{place}:state", {"n": counts[place]})
        except BaseException as error:
            errors.append(error)

    users = [threading.Thread(target=use, args=(place,)) for place in (0, 1)]
    for each in users:
        each.start()

    def passes(state: str) -> None:
        wait_for(lambda: pair.states() == [state] * 2 or errors)
        before = list(counts)
        wait_for(lambda: all(n > b + 20 for n, b in zip(counts, before, strict=True)) or errors)

    try:
        passes("connected")
        pair.engine.kill()
        passes("away")
        assert "Redis does not answer" in " ".join(pair.servers[0].health["reasons"])
        pair.engine.start()
        passes("connected")
        pair.engine.signal(signal.SIGSTOP)
        passes("away")
        pair.engine.signal(signal.SIGCONT)
        passes("connected")
    finally:
        ended.set()
        for each in users:
            each.join()
    assert errors == []

    async def refilled() -> None:
        async with redis.Redis.from_url(pair.engine.url, decode_responses=True) as client:
            for place in (0, 1):
                last = str(counts[place])
                await eventually(partial(client.hget, f"task:{place}:state", "n"), last)

    asyncio.run(refilled())


def test_a_rate_counts_over_all_servers_and_leaves_each_its_share(engine: Redis) -> None:
    async def work() -> None:
        client = redis.Redis.from_url(engine.url)
        made = [BucketsOfAll(5, lambda: 2) for _ in range(2)]
        used = [UsedByOthers(client, each.drain) for each in made]
        for buckets, each in zip(made, used, strict=True):
            buckets.note = each.note
            buckets.charge("ann", "m")
            await each.sync()
        first, second = made
        await used[0].sync()
        assert admitted(first) == 18  # a full bucket but one, and what the other has used
        for each in used:
            await each.sync()
        assert admitted(second) < 12  # its share of a bucket, and not a whole one
        first.charge("bob", "m")
        await client.set("o8:rate:bob:m", 1 << 40)  # forged
        await used[0].sync()
        first.charge("bob", "m")
        await client.aclose()

    asyncio.run(work())


def admitted(buckets: BucketsOfAll) -> int:
    for n in range(100):
        try:
            buckets.charge("ann", "m")
        except TooManyRequests:
            return n
    return 100


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"REDIS_URL": "http://h:1"}, "REDIS_URL is no address"),
        ({"NATS_URL": "redis://h:1"}, "NATS_URL is no address"),
        ({"REDIS_HOST": "h", "REDIS_PORT": "many"}, "REDIS_PORT=many"),
    ],
)
def test_an_address_that_is_none_is_told_at_the_start(
    environ: dict[str, str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(BadSetting, match=words):
        settings_of(tmp_path, **environ)


def test_a_missing_library_is_a_sentence_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(BadSetting, match=r"pip install 'orchestr8-index\[team\]'"):
        check_start(settings_of(tmp_path, REDIS_HOST="h"))
