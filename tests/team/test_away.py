"""PostgreSQL goes away, stands still, is read-only or strange; servers stand still."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import psycopg
import pytest

from orchestr8_index.errors import StoreTooNew, StoreUnavailable
from orchestr8_index.store.database import Lost
from orchestr8_index.team.bus import DEAF
from orchestr8_index.team.circuit import Circuit
from orchestr8_index.team.connection import TeamConnection
from orchestr8_index.team.core import TeamCoordination as Server
from orchestr8_index.team.start import check

from ..coordinate.worlds import Agent, rounds, until
from ..processes import World
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


async def read(server: Server, key: str) -> object:
    """Its value, once the server has noticed that PostgreSQL is back."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await Agent(server, "reader").get(key)
            except StoreUnavailable:
                await asyncio.sleep(0.01)


def test_what_is_shared_is_refused_at_once_and_is_whole_again(mortal: Postgres) -> None:
    async def work(a: Server, b: Server) -> None:
        await Agent(a, "ann").write({"k": 1})
        mortal.kill()
        await refused(lambda: Agent(a, "ann").write({"k": 2}))
        for _ in range(5):  # nothing is tried while it is known to be away
            assert await refused(lambda: Agent(a, "ann").write({"k": 2})) < 1
        assert a.of_team()["postgres"] == "away"
        assert a.reasons
        await refused(lambda: Agent(b, "bob").write({"k": 2}))  # who asks nothing may not know yet
        await asyncio.to_thread(mortal.start)
        await until(lambda: a.team.circuit.connected and b.team.circuit.connected)
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


def test_a_server_that_ends_answers_what_it_was_asked(quick_postgres: Postgres) -> None:
    async def work(server: Server, other: Server) -> None:
        agent = Agent(server, "ann")
        await agent.write({"k": 1})
        asked = [asyncio.create_task(agent.get("k")) for _ in range(20)]
        written = asyncio.create_task(agent.write({"k": 2}))
        await asyncio.sleep(0)
        await server.store.stop()
        assert set(await asyncio.gather(*asked)) <= {1, 2}
        assert (await written)["rev"] > 0
        await refused(lambda: agent.get("k"))
        await refused(lambda: agent.write({"k": 3}))
        assert await Agent(other, "bob").get("k") == 2

    run(quick_postgres.url, 2, work)


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
            for _ in range(rounds(5, 100)):
                before = len(kept)
                await until(lambda before=before: len(kept) > before + 20, 60)  # type: ignore[misc]
                mortal.kill()
                await asyncio.to_thread(mortal.start)
            ending = True
            await asyncio.gather(*writing)
            await until(lambda: servers[0].team.circuit.connected)
            for key in kept:
                assert await read(servers[0], key) == int(key.rpartition("/")[2])

    asyncio.run(work())


def test_a_connection_that_postgres_ended_while_idle_refuses_nobody(mortal: Postgres) -> None:
    """As a restart does between two questions: another takes its place before anything is sent."""
    circuit = Circuit()
    connection = TeamConnection(mortal.url, "public", circuit, 5.0, "idle")
    try:
        for n in range(5):
            assert connection.execute("SELECT CAST(? AS INTEGER)", (n,)).fetchone() == (n,)
            mortal.run(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE application_name = 'orchestr8-index idle'"
            )
        assert circuit.connected
    finally:
        connection.close()


@pytest.mark.parametrize("error", [psycopg.OperationalError("read-only"), StoreTooNew("1", "2")])
def test_a_connection_whose_greeting_failed_is_closed(
    quick_postgres: Postgres, error: Exception
) -> None:
    made: list[psycopg.Connection[object]] = []

    def greet(opened: psycopg.Connection[object]) -> None:
        made.append(opened)
        raise error

    connection = TeamConnection(quick_postgres.url, "public", Circuit(), 5.0, "greets")
    connection.greet = greet
    with pytest.raises((Lost, StoreTooNew)):
        connection.execute("SELECT 1")
    assert made[0].closed


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
            await until(lambda: a.team.circuit.connected)
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
        await until(lambda: a.team.circuit.connected)
        await Agent(a, "ann").write({"k": 3})

    run(mortal.url, 1, work)


class Between:
    """Lets a connection through to PostgreSQL, but for some bytes that it changes."""

    def __init__(self, port: int, old: bytes, new: bytes) -> None:
        self._port, self._old, self._new = port, old, new
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
                target.sendall(data.replace(self._old, self._new))
        except OSError:
            pass
        finally:
            for each in (source, target):
                each.close()

    def close(self) -> None:
        self._listening.close()


def port_of(engine: Postgres) -> int:
    return int(str(psycopg.conninfo.conninfo_to_dict(engine.url)["port"]))


def test_a_pooler_that_swallows_listen_is_named(quick_postgres: Postgres) -> None:
    """And its waiters are served all the same, a second late."""
    pooler = Between(port_of(quick_postgres), b'LISTEN "', b'NOTIFY "')
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
            await until(lambda: a.team.circuit.connected)
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
    with pytest.raises(StoreUnavailable) as told:
        check(url.format(port=port_of(quick_postgres)), "o8_none")
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


def test_a_postgres_that_is_too_old_is_told(quick_postgres: Postgres) -> None:
    (row,) = quick_postgres.run("SHOW server_version")
    found = f"server_version\0{row[0]}".encode()
    old = found.replace(b"\0" + str(row[0]).encode()[:2], b"\x0012")
    between = Between(port_of(quick_postgres), found, old)
    try:
        url = psycopg.conninfo.make_conninfo(quick_postgres.url, port=between.port)
        with pytest.raises(StoreUnavailable, match="PostgreSQL 12 is too old.*13 or newer"):
            check(url, "o8_none")
    finally:
        between.close()


def replace(path: Path, text: str) -> None:
    """At once: PostgreSQL may still be reading what was there before."""
    fresh, before = path.with_suffix(".fresh"), path.stat()
    fresh.write_text(text, "utf-8")
    os.chown(fresh, before.st_uid, before.st_gid)
    fresh.replace(path)


@pytest.fixture
def locked(quick_postgres: Postgres) -> Iterator[str]:
    """The address of a role that needs its password, `sesame`."""
    hba = quick_postgres.folder / "data" / "pg_hba.conf"
    before = hba.read_text("utf-8")
    replace(hba, f"host all keeper 127.0.0.1/32 scram-sha-256\n{before}")
    quick_postgres.run("DROP ROLE IF EXISTS keeper")
    quick_postgres.run("CREATE ROLE keeper SUPERUSER LOGIN PASSWORD 'sesame'")
    quick_postgres.run("SELECT pg_reload_conf()")
    yield f"postgresql://keeper:sesame@127.0.0.1:{port_of(quick_postgres)}/o8"
    replace(hba, before)
    quick_postgres.run("SELECT pg_reload_conf()")


def test_a_wrong_password_is_told(locked: str) -> None:
    check(locked, "o8_none")
    with pytest.raises(StoreUnavailable, match="refuses the password: .*PGPASSWORD|refuses the"):
        check(locked.replace("sesame", "mustard"), "o8_none")


def test_no_password_is_shown_anywhere(locked: str, tmp_path: Path) -> None:
    """Not in /health, /metrics, logs, the command line, nor where it is refused."""
    with World(tmp_path) as world:
        world.env["MCP_DATABASE_URL"] = locked
        server = world.serve("--root", str(world.work))
        paths = ("/health", "/health?details=1", "/metrics")
        asked = [f"http://127.0.0.1:{server.port}{path}" for path in paths]
        shown = [urlopen(url, timeout=20).read().decode() for url in asked]
        shown += [path.read_text("utf-8", "replace") for path in world.data.rglob("*.log*")]
        shown += [Path(f"/proc/{server.process.pid}/cmdline").read_text("utf-8")]
        world.env["MCP_DATABASE_URL"] = locked.replace("sesame", "sesame2")
        refused = world.run("database", "check")
        shown += [refused.stdout, refused.stderr]
        assert refused.returncode
        assert "refuses the password" in refused.stderr
        assert not [text for text in shown if "sesame" in text]


@pytest.fixture
def narrow(mortal: Postgres) -> Iterator[tuple[str, Path]]:
    """A database on a disk of 24 MB, and a place there for another file."""
    disk = mortal.folder / "small"
    disk.mkdir()
    shutil.chown(disk, "postgres") if os.geteuid() == 0 else None
    size = ["mount", "-t", "tmpfs", "-o", f"size=24m,uid={disk.stat().st_uid}", "small", str(disk)]
    if subprocess.run(size, capture_output=True).returncode:
        pytest.skip("a small disk needs root, and the right to mount")
    try:
        mortal.run(f"CREATE TABLESPACE small LOCATION '{disk}'", "postgres")
        mortal.run("CREATE DATABASE narrow TABLESPACE small", "postgres")
        filler = disk / "filler"
        yield mortal.url.removesuffix("o8") + "narrow", filler
        filler.unlink(missing_ok=True)  # nothing is dropped where nothing can be written
        mortal.run("DROP DATABASE narrow WITH (FORCE)", "postgres")
        mortal.run("DROP TABLESPACE small", "postgres")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_the_disk_of_postgres_is_full(narrow: tuple[str, Path]) -> None:
    """Writes are refused with the cure, reads go on; once there is room, all goes on by itself."""
    url, filler = narrow

    async def work(a: Server) -> None:
        ann = Agent(a, "ann")
        await ann.write({"k": 1})
        assert await ann.get("k") == 1  # PostgreSQL lets nobody in whose catalogue it cannot cache
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while file.write(bytes(8192)):
                pass
        with pytest.raises(StoreUnavailable, match="The disk of PostgreSQL is full: free space"):
            for n in range(2000):
                await ann.write({f"k/{n}": secrets.token_hex(20_000)})
        assert await ann.get("k") == 1
        assert any("disk of PostgreSQL" in reason for reason in a.reasons)
        filler.unlink()
        await ann.write({"k": 2})
        await until(lambda: not a.reasons)  # what was written beside it is soon well, too

    run(url, 1, work)
