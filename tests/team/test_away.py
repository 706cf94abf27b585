"""PostgreSQL goes away, stands still, is read-only or strange; servers stand still."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from orchestr8_index.errors import StoreTooNew, StoreUnavailable
from orchestr8_index.team.bus import DEAF
from orchestr8_index.team.core import TeamCoordination as Server
from orchestr8_index.team.start import check

from ..coordinate.worlds import Agent, rounds, until
from .engines import Postgres, postgres
from .worlds import run, team


@pytest.fixture(scope="module")
def mortal() -> Iterator[Postgres]:
    """A PostgreSQL that syncs, for tests that kill it."""
    with postgres(durable=True) as engine:
        yield engine


async def refused(call: Callable[[], object]) -> float:
    """Seconds until the call was refused."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as told:
        await call()  # type: ignore[misc]
    assert ".." not in str(told.value)
    return time.monotonic() - began


def test_what_is_shared_is_refused_at_once_and_is_whole_again(mortal: Postgres) -> None:
    async def work(a: Server, b: Server) -> None:
        await Agent(a, "ann").write({"k": 1})
        mortal.kill()
        await refused(lambda: Agent(a, "ann").write({"k": 2}))
        for _ in range(5):  # nothing is tried while it is known to be away
            assert await refused(lambda: Agent(a, "ann").write({"k": 2})) < 1
        assert a.of_team()["postgres"] == "away"
        assert a.reasons
        await asyncio.to_thread(mortal.start)
        await until(lambda: not a.team.reach.is_away and not b.team.reach.is_away)
        await Agent(b, "bob").write({"k": 3})
        assert await Agent(a, "ann").get("k") == 3
        assert a.of_team()["postgres"] == "connected"

    run(mortal.url, 2, work)


def test_a_waiter_misses_nothing_that_was_written_while_its_server_was_cut_off(
    mortal: Postgres,
) -> None:
    async def work(a: Server, b: Server) -> None:
        wait = asyncio.create_task(Agent(b, "bob").read("k", changed_after=0, wait_ms=40_000))
        await asyncio.sleep(0.1)
        mortal.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE application_name = 'orchestr8-index {b.server} hears'"
        )
        await Agent(a, "ann").write({"k": 1})
        assert (await wait)["events"][0]["key"] == "k"

    run(mortal.url, 2, work)


def test_no_acknowledged_write_is_lost_when_postgres_is_killed(mortal: Postgres) -> None:
    """What was answered is there; what was refused may be there once, never twice."""
    schema = f"o8_{secrets.token_hex(6)}"

    async def work() -> None:
        async with team(mortal.url, 2, schema) as servers:
            kept: list[str] = []
            ending = False

            async def write(server: Server, name: str) -> None:
                n = 0
                while not ending:
                    n += 1
                    try:
                        await Agent(server, name).write({f"{name}/{n}": n}, if_rev=0)
                        kept.append(f"{name}/{n}")
                    except StoreUnavailable:
                        await asyncio.sleep(0.01)

            writing = [
                asyncio.create_task(write(server, f"w{place}{n}"))
                for place, server in enumerate(servers)
                for n in range(4)
            ]
            for _ in range(rounds(2, 100)):
                before = len(kept)
                await until(lambda before=before: len(kept) > before + 20, 60)  # type: ignore[misc]
                mortal.kill()
                await asyncio.to_thread(mortal.start)
            ending = True
            await asyncio.gather(*writing)
            await until(lambda: not servers[0].team.reach.is_away)
            for key in kept:
                assert await Agent(servers[0], "reader").get(key) == int(key.rpartition("/")[2])

    asyncio.run(work())


def test_a_paused_server_cannot_commit_late(mortal: Postgres) -> None:
    """Its commit is under way when it stops; meanwhile another takes the lock that it had seen."""
    schema = f"o8_{secrets.token_hex(6)}"

    async def work() -> None:
        async with team(mortal.url, 2, schema) as (a, b):
            stopped, go_on = threading.Event(), threading.Event()

            def stand_still(change: object) -> None:
                stopped.set()
                go_on.wait(30)

            late = asyncio.create_task(a.change(Agent(a, "ann").caller, stand_still))
            await asyncio.to_thread(stopped.wait)
            granted = await Agent(b, "bob").lock("port:1")  # once PostgreSQL took the row back
            go_on.set()
            with pytest.raises(StoreUnavailable):
                await late
            await until(lambda: not a.team.reach.is_away)
            assert (await Agent(a, "ann").locks())[0]["holder"] == "bob"
            assert await Agent(b, "bob").renew(granted["token"])

    asyncio.run(work())


def test_postgres_stands_still_and_nobody_waits_for_ever(mortal: Postgres) -> None:
    async def work(a: Server) -> None:
        await Agent(a, "ann").write({"k": 1})
        pids = [
            row[0]
            for row in mortal.run(
                "SELECT pid FROM pg_stat_activity WHERE"
                f" application_name LIKE 'orchestr8-index {a.server}%'"
            )
        ]
        for pid in pids:
            os.kill(int(str(pid)), signal.SIGSTOP)
        try:
            assert await refused(lambda: Agent(a, "ann").write({"k": 2})) < 15
        finally:
            for pid in pids:
                os.kill(int(str(pid)), signal.SIGCONT)
        await until(lambda: not a.team.reach.is_away)
        await Agent(a, "ann").write({"k": 3})

    run(mortal.url, 1, work)


class Pooler:
    """Lets a connection through to PostgreSQL, but swallows LISTEN, as poolers do."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data.replace(b'LISTEN "', b'NOTIFY "'))
        except OSError:
            pass
        finally:
            for each in (source, target):
                each.close()

    def close(self) -> None:
        self._listening.close()


def test_a_pooler_that_swallows_listen_is_named(quick_postgres: Postgres) -> None:
    """And its waiters are served all the same, a second late."""
    parts = psycopg.conninfo.conninfo_to_dict(quick_postgres.url)
    pooler = Pooler(int(str(parts["port"])))
    through = psycopg.conninfo.make_conninfo(quick_postgres.url, port=pooler.port)
    schema = f"o8_{secrets.token_hex(6)}"

    async def work() -> None:
        async with team(quick_postgres.url, 1, schema) as (a,), team(through, 1, schema) as (b,):
            await until(lambda: b.reasons == [DEAF])
            await Agent(b, "bob").write({"there": 1})
            after = (await Agent(b, "bob").read("k", changed_after=0))["rev"]
            asked = Agent(b, "bob").read("k", changed_after=after, wait_ms=30_000)
            wait = asyncio.create_task(asked)
            await asyncio.sleep(0.1)
            await Agent(a, "ann").write({"k": 1})
            assert (await wait)["events"][0]["by"] == "ann"

    try:
        asyncio.run(work())
    finally:
        pooler.close()


def test_an_old_server_refuses_a_newer_schema(quick_postgres: Postgres) -> None:
    schema = f"o8_{secrets.token_hex(6)}"

    async def work() -> None:
        async with team(quick_postgres.url, 1, schema):
            pass
        with psycopg.connect(quick_postgres.url, autocommit=True) as later:
            later.execute(f"INSERT INTO {schema}.layout VALUES (99)".encode())
        with pytest.raises(StoreTooNew, match="newer release"):
            async with team(quick_postgres.url, 1, schema):
                pass

    asyncio.run(work())


def test_the_database_is_read_only(mortal: Postgres) -> None:
    """At the start, and when it becomes so: writes are refused with the cure, reads go on."""
    schema = f"o8_{secrets.token_hex(6)}"

    async def work() -> None:
        async with team(mortal.url, 1, schema) as (a,):
            await Agent(a, "ann").write({"k": 1})
            mortal.run("ALTER DATABASE o8 SET default_transaction_read_only = on")
            try:
                mortal.run(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name LIKE '%writes'"
                )
                with pytest.raises(StoreUnavailable):
                    await Agent(a, "ann").write({"k": 2})
                with pytest.raises(StoreUnavailable, match="read-only"):
                    check(mortal.url, schema)
            finally:
                mortal.run("ALTER DATABASE o8 RESET default_transaction_read_only", "postgres")
            await until(lambda: not a.team.reach.is_away)
            assert await Agent(a, "ann").get("k") == 1

    asyncio.run(work())


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://o8@127.0.0.1:{port}/none", "There is no such database."),
        ("postgresql://nobody:secret@127.0.0.1:{port}/o8", "There is no such role in PostgreSQL."),
        ("postgresql://o8@127.0.0.1:1/o8", "PostgreSQL is not running there."),
        ("postgresql://o8@no.such.host.invalid/o8", "PostgreSQL's host has no address."),
        ("nonsense", "That is no address of a database."),
    ],
)
def test_a_wrong_address_is_told_with_its_cure(
    quick_postgres: Postgres, url: str, why: str
) -> None:
    port = psycopg.conninfo.conninfo_to_dict(quick_postgres.url)["port"]
    with pytest.raises(StoreUnavailable) as told:
        check(url.format(port=port), "o8_none")
    assert told.value.sentence == why
    assert told.value.cure
    assert "secret" not in str(told.value)


def test_a_role_without_rights_is_told(quick_postgres: Postgres) -> None:
    with psycopg.connect(quick_postgres.url, autocommit=True) as own:
        own.execute(b"DROP ROLE IF EXISTS o8_poor")
        own.execute(b"CREATE ROLE o8_poor LOGIN")
    poor = psycopg.conninfo.make_conninfo(quick_postgres.url, user="o8_poor")
    from orchestr8_index.team.start import make_tables

    with pytest.raises(StoreUnavailable, match="The role may not do that"):
        make_tables(poor, f"o8_{secrets.token_hex(6)}")
