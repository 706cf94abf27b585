"""Each event is a message of NATS once, whatever dies in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nats
import pytest
from nats.js.api import StreamConfig

from orchestr8_index.team.circuit import OutletCircuit
from orchestr8_index.team.helpers import Helpers
from orchestr8_index.team.outlets import Follower
from orchestr8_index.team.to_nats import NatsOutlet, encoded

from ..coordinate.worlds import Agent, until
from .engines import Nats, Postgres, running
from .worlds import settings_of, team, told


async def all_messages(url: str) -> list[Any]:
    """What a consumer gets that begins at the stream's first message."""
    client = await nats.connect(url)
    stream = client.jetstream()
    count = (await stream.stream_info("O8")).state.messages
    found = await stream.subscribe("o8.>", ordered_consumer=True)
    messages = [await found.next_msg(timeout=5) for _ in range(count)]
    await client.close()
    return messages


def keys_of(messages: list[Any]) -> list[str]:
    return [json.loads(message.data)["key"] for message in messages]


def test_nats_dies_and_its_consumer_gets_the_rest_once(
    quick_postgres: Postgres, tmp_path: Path
) -> None:
    """Killed while two servers write; what a dead server had sent and not noted is sent by the
    other once. NATS remembers ids for a moment alone: the stream itself says what it has."""

    async def work() -> None:
        with running(Nats) as engine:
            client = await nats.connect(engine.url)
            brief = StreamConfig("O8", subjects=["o8.>"], duplicate_window=0.1)
            await client.jetstream().add_stream(brief)
            await client.close()
            settings = settings_of(tmp_path, NATS_URL=engine.url)
            schema = f"o8_{secrets.token_hex(6)}"
            async with team(quick_postgres.url, 2, schema) as servers:
                a, b = (Agent(server, "ann", project="p") for server in servers)
                async with told(servers[0], settings) as first, told(servers[1], settings):
                    for n in range(20):
                        await (a, b)[n % 2].write({f"k/{n}": n, "same": n})
                        if n == 7:
                            engine.kill()
                            await until(lambda: first.states == {"nats": "away"})
                        if n == 12:
                            await asyncio.to_thread(engine.start)
                    await until(lambda: first.states == {"nats": "connected"})
                    await until_sent(engine.url, 40)
                await forget_place(servers[0])
                async with told(servers[1], settings):
                    await b.write({"last": 1})
                    messages = await until_sent(engine.url, 41)
            wanted = [key for n in range(20) for key in (f"k/{n}", "same")]
            assert keys_of(messages) == [*wanted, "last"]
            idents = [message.headers["Nats-Msg-Id"] for message in messages]
            assert len(set(idents)) == 41 and idents[0].startswith("p:")
            assert messages[0].subject == "o8.p.put.k/0"

    asyncio.run(work())


async def forget_place(server: Any) -> None:
    """As if what was written had never been noted."""

    def work(connection: Any) -> None:
        connection.execute("DELETE FROM item WHERE key = ?", ("@written/nats",))

    await server.store.write(work, project="p")


async def until_sent(url: str, count: int) -> list[Any]:
    async with asyncio.timeout(30):
        while len(found := await all_messages(url)) < count:
            await asyncio.sleep(0.05)
    return found


def test_a_subject_holds_what_nats_forbids() -> None:
    assert encoded("a b.c*d>e%f/ü:1") == "a%20b%2Ec%2Ad%3Ee%25f/ü:1"


def test_nats_without_jetstream_is_named(quick_postgres: Postgres, tmp_path: Path) -> None:
    async def work() -> None:
        with running(Nats) as engine:
            engine.stop()
            engine.command.remove("-js")
            engine.start()
            async with team(quick_postgres.url, 1) as (server,):
                helpers = Helpers(server, settings_of(tmp_path, NATS_URL=engine.url), "p")
                helpers.start()
                await until(lambda: helpers.reasons != [])
                assert "without JetStream" in helpers.reasons[0]
                await helpers.stop()

    asyncio.run(work())


def test_what_is_somebodys_own_is_told_nobody(quick_postgres: Postgres, tmp_path: Path) -> None:
    async def work() -> None:
        with running(Nats) as engine:
            async with (
                team(quick_postgres.url, 1) as (server,),
                told(server, settings_of(tmp_path, NATS_URL=engine.url)),
            ):
                ann = Agent(server, "ann", project="p")
                await ann.write({f"{ann.caller.own}diary": "secret"})
                await ann.send("bob", body="secret", visibility="private")
                await ann.write({"open": 1})
                assert keys_of(await until_sent(engine.url, 1)) == ["open"]

    asyncio.run(work())


def test_a_stop_ends_though_a_library_keeps_its_cancellation() -> None:
    """`asyncio.wait_for` of Python 3.11 does, where what it waits for is done at that moment."""

    class Deaf:
        circuit, errors = OutletCircuit("nats"), (OSError,)

        def __init__(self) -> None:
            self.asked = asyncio.Event()
            self.follower = Follower(shared, self, lambda: False)  # type: ignore[arg-type]

        async def check(self) -> bool:
            if asyncio.current_task() is self.follower._task:
                keeps = contextlib.nullcontext() if self.asked.is_set() else kept
                self.asked.set()
                with keeps:
                    await asyncio.sleep(3600)
            return False

        async def close(self) -> None:
            pass

    kept = contextlib.suppress(asyncio.CancelledError)
    shared: Any = SimpleNamespace(feed=SimpleNamespace(followers=[]))

    async def work() -> None:
        deaf = Deaf()
        deaf.follower.start()
        await deaf.asked.wait()
        async with asyncio.timeout(20):
            await deaf.follower.stop()

    asyncio.run(work())


def test_a_connection_that_is_refused_is_closed() -> None:
    """Each try left its socket to the collector."""

    async def work() -> None:
        ended = asyncio.Event()

        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b'INFO {"server_id":"x","version":"2.9.0","max_payload":1000}\r\n')
            await reader.readline()
            writer.write(b"-ERR 'Authorization Violation'\r\n")
            await reader.read()
            ended.set()
            writer.close()

        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            outlet = NatsOutlet(f"nats://127.0.0.1:{port}", OutletCircuit("nats"))
            with pytest.raises(outlet.errors) as refused:
                await outlet.check()
            assert "refuses the user" in outlet.explain(refused.value)
            async with asyncio.timeout(20):
                await ended.wait()

    asyncio.run(work())
