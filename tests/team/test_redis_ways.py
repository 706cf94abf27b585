"""Redis over TLS, and found by its sentinels: the ways to it that REDIS_URL may name."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.team.helpers import Helpers

from ..coordinate.worlds import Agent, until
from .engines import Redis
from .worlds import settings_of, soon, told

OWN = Path(__file__).parent.parent / "end_to_end"
CERT, KEY = str(OWN / "tls-cert.pem"), str(OWN / "tls-key.pem")


@contextlib.contextmanager
def started(*engines: Redis) -> Iterator[None]:
    try:
        for each in engines:
            each.start()
        yield
    finally:
        for each in engines:
            each.stop()


async def writes_through(folder: Path, url: str, key: str) -> None:
    """A value of the shared state comes to where `url` leads."""
    shared = Coordination(folder)
    shared.open()
    shared.start()
    try:
        async with told(shared, settings_of(folder, REDIS_URL=url)) as helpers:
            await Agent(shared, "ann", project="p").write({f"task/{key}": {"state": "coded"}})
            assert helpers.redis is not None
            client, lost = helpers.redis._client, helpers.redis.errors

            async def written() -> Any:
                with contextlib.suppress(*lost):  # it does not wait as long as a busy machine may
                    return await client.hgetall(f"task:{key}:state")

            assert await soon(written)
    finally:
        await shared.close()


def test_redis_is_reached_over_tls_and_a_strange_certificate_is_named(tmp_path: Path) -> None:
    redis = Redis(tmp_path)
    redis.command += ["--tls-port", str(redis.port), "--port", "0", "--tls-auth-clients", "no"]
    redis.command += ["--tls-cert-file", CERT, "--tls-key-file", KEY, "--tls-ca-cert-file", CERT]
    at = f"rediss://127.0.0.1:{redis.port}"

    async def refused() -> None:
        shared = Coordination(tmp_path / "b")
        shared.open()
        shared.start()
        helpers = Helpers(shared, settings_of(tmp_path / "b", REDIS_URL=at), "p")
        helpers.start()
        try:
            await until(lambda: "certificate" in " ".join(helpers.reasons))
        finally:
            await helpers.stop()
            await shared.close()

    with started(redis):
        trusted = f"{at}?ssl_ca_certs={CERT}&ssl_check_hostname=false"
        asyncio.run(writes_through(tmp_path / "a", trusted, "42"))
        asyncio.run(refused())


def test_sentinels_lead_to_the_redis_that_took_over(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two", "sentinel")]
    for folder in folders:
        folder.mkdir()
    one, two, sentinel = map(Redis, folders)
    two.command += ["--replicaof", "127.0.0.1", str(one.port), "--repl-diskless-sync-delay", "0"]
    file = folders[2] / "sentinel.conf"
    file.write_text(
        f"port {sentinel.port}\nbind 127.0.0.1\ndir {folders[2]}\n"
        f"sentinel monitor shop 127.0.0.1 {one.port} 1\n"
        "sentinel down-after-milliseconds shop 500\nsentinel failover-timeout shop 3000\n"
    )
    sentinel.command = [one.command[0], str(file), "--sentinel"]
    url = f"redis+sentinel://127.0.0.1:{sentinel.port}/shop"

    async def work() -> None:
        shared = Coordination(tmp_path / "data")
        shared.open()
        shared.start()
        try:
            async with told(shared, settings_of(tmp_path, REDIS_URL=url)) as helpers:
                assert helpers.redis is not None
                client, ann = helpers.redis._client, Agent(shared, "ann", project="p")
                await ann.write({"task/1": {"state": "coded"}})
                await soon(lambda: client.hgetall("task:1:state"))
                await until(lambda: b"slave0" in _info(one.port))
                await soon(lambda: _knows_replica(sentinel.port))
                one.kill()
                await until(lambda: b"role:master" in _info(two.port))
                await ann.write({"task/2": {"state": "coded"}})
                await until(lambda: helpers.states["redis"] == "connected")

                async def came() -> bool:
                    with contextlib.suppress(Exception):
                        return bool(await client.hgetall("task:2:state"))
                    return False

                await soon(came)
        finally:
            await shared.close()

    with started(one, two, sentinel):
        asyncio.run(work())


def _info(port: int) -> bytes:
    import redis

    made: Any = redis.Redis(port=port)
    with made as asking:
        found = asking.info("replication")
    return repr(found).encode() + f"role:{found['role']}".encode()


async def _knows_replica(port: int) -> bool:
    import redis.asyncio as redis

    made: Any = redis.Redis(port=port)
    async with made as asking:
        return bool(await asking.execute_command("SENTINEL", "REPLICAS", "shop"))
