"""Do the files of docs/team fit the settings, the metrics and the services that they name?"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis.asyncio as redis
import yaml

from orchestr8_index.config import REPOSITORY
from orchestr8_index.errors import RequestError
from orchestr8_index.serve.metrics import LEAST_CALLS, SHARE, SLOW_MS, WAITING
from orchestr8_index.serve.prometheus import COUNTERS, GAUGES, PREFIX
from orchestr8_index.table import is_failure
from orchestr8_index.team.bus import LATE_MS
from orchestr8_index.team.to_redis import FULL

from .engines import Redis, running
from .worlds import settings_of

TEAM = REPOSITORY / "docs" / "team"
SERVICES = yaml.safe_load((TEAM / "compose.yml").read_text("utf-8"))["services"]
ENGINES, SERVERS = {"postgres", "redis", "nats"}, {"server-a", "server-b"}
RULES = yaml.safe_load((TEAM / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]


def recipe(language: str, words: str) -> str:
    """The block of the recipes in that language that has those words."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (TEAM / "recipes.md").read_text("utf-8"), re.S)
    return next(str(block) for block in blocks if words in block)


def test_the_compose_file_has_the_engines_and_two_servers_all_with_a_health_check() -> None:
    assert SERVICES.keys() == ENGINES | SERVERS
    assert all(each["healthcheck"]["test"][0] == "CMD" for each in SERVICES.values())
    for name in SERVERS:
        waits = {of: how["condition"] for of, how in SERVICES[name]["depends_on"].items()}
        assert waits == dict.fromkeys(ENGINES, "service_healthy")


@pytest.mark.parametrize("name", sorted(SERVERS))
def test_a_server_of_the_compose_file_has_real_settings(name: str, tmp_path: Path) -> None:
    environ = dict(SERVICES[name]["environment"])
    page = (REPOSITORY / "docs" / "settings.md").read_text("utf-8")
    assert environ.keys() <= set(re.findall(r"^\| `(\w+)`", page, re.M))
    (tmp_path / "trees").mkdir()
    environ["MCP_ROOTS"] = str(tmp_path / "trees")
    environ["MCP_DATABASE_URL"] = re.sub(r"\$\{[^}]*\}", "secret", environ["MCP_DATABASE_URL"])
    settings = settings_of(tmp_path / "trees", **environ)
    assert settings.database_url == "postgresql://o8:secret@postgres/o8"
    assert {settings.redis, settings.nats_url} == {"redis://redis:6379", "nats://nats:4222"}
    assert SERVICES[name]["ports"] == [f"127.0.0.1:{settings.port}:{settings.port}"]


def test_only_the_servers_are_reached_from_outside_and_only_from_this_machine() -> None:
    ports = [port for each in SERVICES.values() for port in each.get("ports", [])]
    assert len(ports) == 2 and all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("text", ["team/alerts.yml", "grafana-dashboard.json"])
def test_every_metric_that_is_named_is_one_of_the_tables(text: str) -> None:
    exported = {PREFIX + each.name for each in GAUGES} | {
        f"{PREFIX}request_duration_seconds_bucket"
    }
    exported |= {f"{PREFIX}{each.name}_total" for each in COUNTERS}
    named = set(re.findall(rf"{PREFIX}[a-z0-9_]+", (REPOSITORY / "docs" / text).read_text("utf-8")))
    assert {f"{PREFIX}lag_seconds", f"{PREFIX}redis_memory_ratio"} <= named <= exported


def test_there_is_a_rule_for_each_of_the_four_triggers_over_a_minute() -> None:
    """The limits are those of /health; of few calls neither says anything."""
    limits = {float(re.findall(r" > ([\d.]+)", rule["expr"])[0]) for rule in RULES}
    assert limits == {SHARE, SLOW_MS / 1000, FULL, LATE_MS / 1000}
    least = {rule["alert"]: re.findall(r" >= (\d+)$", rule["expr"]) for rule in RULES[:2]}
    assert least == dict.fromkeys(("Orchestr8Errors", "Orchestr8SlowAnswers"), [str(LEAST_CALLS)])
    waiting = set(re.findall(r'method!~"([\w|]+)"', RULES[1]["expr"]))
    assert {name for names in waiting for name in names.split("|")} == WAITING
    refusals = re.compile(re.findall(r'code!~"([^"]+)"', RULES[0]["expr"])[0])
    for kind in RequestError.__subclasses__():
        assert bool(refusals.fullmatch(str(kind.code))) == (not is_failure(kind.code)), kind
    for rule in RULES:
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
        assert set(re.findall(r"\[(\w+)\]", rule["expr"])) == {"1m"}
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert rule["annotations"]["summary"] and rule["annotations"]["cure"]


class Emitted:
    """Stands for the Socket.IO server; its library is no dependency."""

    def __init__(self, **_: Any) -> None:
        self.sent: asyncio.Queue[tuple[str, Any, str]] = asyncio.Queue()

    def event(self, handler: Any) -> Any:
        return handler

    async def emit(self, name: str, data: Any, room: str) -> None:
        await self.sent.put((name, data, room))


def test_the_bridge_carries_an_update_to_the_room_of_its_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = recipe("python", "socketio")
    assert sum(map(bool, source.splitlines())) <= 20
    library = SimpleNamespace(AsyncServer=Emitted, ASGIApp=lambda *_, **__: None)
    monkeypatch.setitem(sys.modules, "socketio", library)

    async def work(url: str) -> None:
        monkeypatch.setenv("REDIS_URL", url)
        bridge: dict[str, Any] = {"__name__": "bridge"}
        exec(source, bridge)
        forwarding = asyncio.create_task(bridge["forward"]())
        async with redis.Redis.from_url(url) as client, asyncio.timeout(20):
            while not await client.publish("task:42:updates", '{"rev":7}'):
                await asyncio.sleep(0.01)
            assert await bridge["sio"].sent.get() == ("update", {"rev": 7}, "42")
        forwarding.cancel()

    with running(Redis) as engine:
        asyncio.run(work(engine.url))


async def listening(client: Any, pattern: str) -> Any:
    async with client.pubsub() as heard:
        await heard.psubscribe(pattern)
        return await heard.get_message(timeout=5)


def test_a_reader_of_one_project_reads_that_of_redis_alone() -> None:
    async def work(url: str) -> None:
        admin: Any
        async with redis.Redis.from_url(url) as admin:
            for line in recipe("text", "SETUSER").strip().splitlines():
                await admin.execute_command(*line.split())
            await admin.mset({"shop:task:1:state": "a", "task:1:state": "b", "o8:answer:1": "c"})
        as_shop = url.replace("redis://", "redis://shop:SECRET-OF-SHOP@")
        async with redis.Redis.from_url(as_shop) as client:
            assert await client.get("shop:task:1:state") == b"a"
            assert (await listening(client, "shop:task:*:updates"))["type"] == "psubscribe"
            for refused in (
                client.get("task:1:state"),
                client.get("o8:answer:1"),
                client.set("shop:task:1:state", "z"),
                listening(client, "task:*:updates"),
            ):
                with pytest.raises(redis.ResponseError):
                    await refused
        as_servers = url.replace("redis://", "redis://o8:SECRET-OF-THE-SERVERS@")
        async with redis.Redis.from_url(as_servers) as client:
            await client.info("memory")
            pipe: Any
            async with client.pipeline(transaction=False) as pipe:
                pipe.set("shop:lock:x", "ann", px=1000).delete("shop:lock:x").get("o8:answer:1")
                pipe.hset("task:1:h", mapping={"a": "b"}).expire("task:1:h", 5)
                pipe.incrby("o8:rate:ann", 1).xadd("logs:1:stream", {"a": "b"})
                pipe.publish("shop:task:1:updates", "{}")
                await pipe.execute()

    with running(Redis) as engine:
        asyncio.run(work(engine.url))
