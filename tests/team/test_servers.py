"""Several servers, one memory: what one does, the others see, in one order and in time."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from typing import Any

import pytest

from orchestr8_index.coordinate.caller import Caller
from orchestr8_index.coordinate.log import events_after, read_events
from orchestr8_index.coordinate.select import Keys
from orchestr8_index.errors import Busy, Conflict, StoreUnavailable
from orchestr8_index.store.usage import first_day
from orchestr8_index.team.core import TeamCoordination as Server
from orchestr8_index.team.registry import read_team_audit, read_team_usage
from orchestr8_index.team.start import SCHEMA

from ..coordinate.worlds import Agent, rounds
from .engines import Postgres
from .worlds import run, team


def test_a_value_of_one_server_is_read_on_the_other(quick_postgres: Postgres) -> None:
    async def work(a: Server, b: Server) -> None:
        wrote = await Agent(a, "ann").write({"task/1": "done"})
        assert (await Agent(b, "bob").read("task/1"))["items"][0]["rev"] == wrote["rev"]

    run(quick_postgres.url, 2, work)


def test_a_waiter_is_woken_by_another_servers_commit(quick_postgres: Postgres) -> None:
    async def work(a: Server, b: Server) -> None:
        wait = asyncio.create_task(Agent(b, "bob").read("k", changed_after=0, wait_ms=20_000))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await Agent(a, "ann").write({"k": 1})
        assert (await wait)["events"][0]["by"] == "ann"
        assert time.monotonic() - began < 15

    run(quick_postgres.url, 2, work)


def test_a_lock_released_on_one_server_is_granted_on_the_other(quick_postgres: Postgres) -> None:
    async def work(a: Server, b: Server) -> None:
        held = await Agent(a, "ann").lock("port:1")
        asked = Agent(b, "bob").lock("port:1", on_busy="wait", wait_ms=20_000)
        wait = asyncio.create_task(asked)
        await asyncio.sleep(0.2)
        assert not wait.done()
        await Agent(a, "ann").release(held["token"])
        granted = await wait
        assert await Agent(a, "bob").renew(granted["token"])  # one token, whichever server is asked

    run(quick_postgres.url, 2, work)


def test_a_message_reaches_an_inbox_that_waits_on_another_server(quick_postgres: Postgres) -> None:
    async def work(a: Server, b: Server) -> None:
        wait = asyncio.create_task(Agent(b, "bob").inbox(wait_ms=20_000))
        await asyncio.sleep(0.1)
        await Agent(a, "ann").send("bob", body="look")
        assert (await wait)["messages"][0]["body"] == "look"

    run(quick_postgres.url, 2, work)


def test_a_circle_over_two_servers_is_told(quick_postgres: Postgres) -> None:
    async def work(a: Server, b: Server) -> None:
        await Agent(a, "ann").lock("port:1")
        await Agent(b, "bob").lock("port:2")
        wait = asyncio.create_task(Agent(a, "ann").lock("port:2", on_busy="wait", wait_ms=5000))
        await asyncio.sleep(0.2)
        try:
            await Agent(b, "bob").lock("port:1", on_busy="wait", wait_ms=5000)
            raise AssertionError("the circle was not seen")
        except Exception as error:
            assert type(error).__name__ == "WouldDeadlock"
        wait.cancel()
        await asyncio.gather(wait, return_exceptions=True)

    run(quick_postgres.url, 2, work)


def test_one_of_32_wins_on_three_servers(quick_postgres: Postgres) -> None:
    async def work(*servers: Server) -> None:
        for number in range(rounds(5, 100)):
            calls = [Agent(servers[n % 3], f"a{n}").lock(f"port:{number}") for n in range(32)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert sum(isinstance(each, dict) for each in results) == 1
            assert sum(isinstance(each, Busy) for each in results) == 31

    run(quick_postgres.url, 3, work)


def test_a_counter_of_three_servers_loses_nothing(quick_postgres: Postgres) -> None:
    """Each increment expects the revision that it has read."""

    async def work(*servers: Server) -> None:
        async def add(agent: Agent, times: int) -> None:
            while times:
                items = (await agent.read("n"))["items"]
                now, rev = (items[0]["value"], items[0]["rev"]) if items else (0, 0)
                try:
                    await agent.write({"n": now + 1}, if_rev=rev)
                    times -= 1
                except Conflict:
                    continue

        await asyncio.gather(*(add(Agent(each, f"a{n}"), 10) for n, each in enumerate(servers)))
        assert await Agent(servers[0], "a").get("n") == 30

    run(quick_postgres.url, 3, work)


def test_a_key_that_is_written_twice_in_a_commit_keeps_both_writes(
    quick_postgres: Postgres,
) -> None:
    """What waits is committed together; the log has each value, and zero bytes hurt nobody."""

    async def work(a: Server) -> None:
        ann = Agent(a, "ann")
        await ann.write({"k": -1})
        writes = [ann.write({"k": n, f"other/{n}": "a\0b"}) for n in range(20)]
        await asyncio.gather(*writes, ann.send("bob\0", body="zero\0byte"))
        history = (await ann.read("k", history=True))["items"]
        assert [row["value"] for row in history] == [*range(19, -1, -1), -1]
        assert len((await ann.read(prefix="other/"))["items"]) == 20

    run(quick_postgres.url, 1, work)


def test_a_tail_over_three_servers_misses_and_repeats_nothing(quick_postgres: Postgres) -> None:
    """Readers go on from the revision that they have, while all three write."""
    most = rounds(40, 1000)

    async def work(*servers: Server) -> None:
        async def write(server: Server, name: str) -> None:
            for n in range(most):
                await Agent(server, name).write({f"{name}/{n}": n})

        async def tail(server: Server) -> list[str]:
            found: list[str] = []
            after, caller = 0, Agent(server, "tail").caller
            end = time.monotonic() + 60
            while len(found) < 3 * most and time.monotonic() < end:
                rows, after, _ = read_events(server.store.reader, caller, Keys(prefix=""), after, 7)
                found += [row["key"] for row in rows]
                await asyncio.sleep(0)
            return found

        writing = [asyncio.ensure_future(write(each, f"w{n}")) for n, each in enumerate(servers)]
        found = await asyncio.gather(*map(tail, servers))
        await asyncio.gather(*writing)
        for keys in found:
            assert len(keys) == len(set(keys)) == 3 * most

    run(quick_postgres.url, 3, work)


def test_a_page_of_the_log_reads_no_more_than_it_gives(quick_postgres: Postgres) -> None:
    """PostgreSQL has no figures of a new table, and sorted all that followed for each page."""

    async def work(a: Server) -> None:
        for _ in range(20):
            await Agent(a, "ann").write({f"k{n}": n for n in range(100)})

        def plans(connection: Any) -> list[str]:
            ask, found = connection.ask, list[str]()

            def explained(text: str, given: Sequence[Any] = ()) -> Any:
                if "FROM event" in text:
                    rows = ask(f"EXPLAIN {text}", given).fetchall()
                    found.append("\n".join(row for (row,) in rows))
                return ask(text, given)

            connection.ask = explained
            seen = events_after(connection, Caller("ann"), 0, 300)
            del connection.ask
            assert len(seen) == 300
            return found

        for plan in await a.read(plans):
            assert "Index Scan using event_pkey" in plan and "Sort" not in plan, plan

    run(quick_postgres.url, 1, work)


def test_what_ends_is_ended_for_all_by_the_databases_clock(quick_postgres: Postgres) -> None:
    """Two servers whose own clocks are an hour apart see a lease end at the same moment."""

    async def work(a: Server, b: Server) -> None:
        b.clock.start(b.clock.now() + 3_600_000)
        await Agent(a, "ann").write({"short": 1}, ttl_s=1)
        assert await Agent(a, "ann").get("short") == 1
        events = await Agent(b, "bob").read("short", changed_after=0, wait_ms=0)
        deleted = await Agent(b, "bob").read("short", changed_after=events["rev"], wait_ms=20_000)
        assert deleted["events"][0]["cause"] == "expired"

    run(quick_postgres.url, 2, work)


def test_projects_count_for_themselves_and_see_nothing_of_each_other(
    quick_postgres: Postgres,
) -> None:
    async def work(a: Server, b: Server) -> None:
        one, other = Agent(a, "ann", project="p"), Agent(b, "ann", project="q")
        first = await one.write({"k": "secret"})
        assert (await other.read("k"))["items"] == []
        assert (await other.write({"k": 2}))["rev"] == first["rev"]
        await one.lock("port:1")
        await other.lock("port:1")
        await one.send("ann", body="mine")
        assert (await other.inbox())["messages"] == []

    run(quick_postgres.url, 2, work)


def test_the_servers_know_of_each_other(quick_postgres: Postgres) -> None:
    async def work(a: Server, b: Server) -> None:
        end = time.monotonic() + 20
        while len(await a.servers()) < 2 and time.monotonic() < end:
            await asyncio.sleep(0.05)
        assert {each["server"] for each in await a.servers()} == {a.server, b.server}
        assert all(each["here"] for each in await b.servers())

    run(quick_postgres.url, 2, work)


def test_servers_that_start_at_once_make_the_tables_once(quick_postgres: Postgres) -> None:
    schema = f"o8_{secrets.token_hex(6)}"

    async def work() -> None:
        servers = [Server(quick_postgres.url, schema=schema) for _ in range(4)]
        await asyncio.gather(*(asyncio.to_thread(each.open) for each in servers))
        for each in servers:
            await each.close()

    asyncio.run(work())


def test_audit_and_usage_are_one_over_all_servers(
    quick_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written while PostgreSQL was away comes with the next, once."""

    async def refuse(*_: object) -> None:
        raise StoreUnavailable("PostgreSQL is not running there.")

    quick_postgres.run("CREATE DATABASE audited")
    url = quick_postgres.url.removesuffix("o8") + "audited"

    async def work() -> None:
        async with team(url, 2, SCHEMA) as (a, b):
            await a.keep_audit([("2026-01-01", "ann", "writeShared", "ok", 2)])
            with monkeypatch.context() as away, pytest.raises(StoreUnavailable):
                away.setattr(b, "read", refuse)
                await b.keep_audit([("2026-01-02", "bob", "lock", "-32051", 1)])
            await b.keep_audit([("2026-01-03", "bob", "lock", "ok", 1)])
            rows = [(f"ann on {a.server}", "ok"), (f"bob on {b.server}", "-32051")]
            found = await asyncio.to_thread(read_team_audit, url, 50)
            assert [(who, how) for _, who, _, how, _ in found[:2]] == rows
            assert len(found) == 3
            assert await asyncio.to_thread(read_team_audit, url, 1) == found[2:]
            day = first_day(1)
            for server, how in ((a, "ok"), (b, "ok"), (b, "-32042")):
                await server.keep_usage([(day, "ann", "lock", how, 2)])
            told = await asyncio.to_thread(read_team_usage, url, 1)
            assert sorted(row[3:] for row in told) == [("-32042", 2), ("ok", 4)]

    asyncio.run(work())
