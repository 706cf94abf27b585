"""A project's state goes into PostgreSQL and comes back: the same, whatever is killed meanwhile."""

from __future__ import annotations

import asyncio
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from orchestr8_index.config import fixture_root
from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.errors import OperationError
from orchestr8_index.team import move
from orchestr8_index.team.start import make_tables

from ..cli.test_learnt import write_transcript
from ..coordinate.worlds import Agent, run, until
from ..learn.reporting import decision
from ..processes import World
from .engines import Postgres
from .worlds import team

HERE, THERE = "folder", "commit"


async def fill(state: Coordination) -> dict[str, Any]:
    """A bit of everything; returns what has to be the same afterwards."""
    ann, bob = (Agent(state, name, project=HERE) for name in ("ann", "bob"))
    await ann.session("create", "s1")
    for start in (0, 560):  # more rows than are carried at once
        await asyncio.gather(
            *(ann.write({f"k/{n % 600:03d}": n}) for n in range(start, start + 560))
        )
    await ann.write({"k/001": None})
    await ann.write({"short": 1}, ttl_s=3000)
    await ann.send("bob", "carol", body="look at the bridge", session="s1")
    await Agent(state, "eve", project="another").write({"k": "hers"})
    held = await ann.lock("port:1", ttl_s=3000)
    waiting = asyncio.create_task(bob.lock("port:1", on_busy="notify"))
    await asyncio.gather(waiting, return_exceptions=True)
    return {"token": held["token"], **await seen(state, HERE)}


async def events_of(agent: Agent) -> list[Any]:
    events: list[Any] = []
    more, after = True, 0
    while more:
        page = await agent.read(prefix="", changed_after=after, limit=1000)
        events, after, more = [*events, *page["events"]], page["rev"], page.get("more")
    return events


async def seen(state: Coordination, project: str) -> dict[str, Any]:
    ann, bob = (Agent(state, name, project=project) for name in ("ann", "bob"))
    found = await ann.session("read", "s1", query="bridges")
    short = (await ann.read("short"))["items"][0].pop("expires_in")
    assert 2900 < short <= 3000
    return {
        "items": (await ann.read(prefix="k/", limit=1000))["items"],
        "events": await events_of(ann),
        "past": (await ann.read("k/001", history=True))["items"],
        "inbox": (await bob.inbox(peek=True))["messages"],
        "found": [row["body"] for row in found["messages"]],
        "holder": [row["holder"] for row in await ann.locks()],
    }


def start_move(url: str, schema: str, folder: Path, name: str) -> subprocess.Popen[bytes]:
    code = f"""
from pathlib import Path
from orchestr8_index.team import move
move.{name}({url!r}, {schema!r}, Path({str(folder)!r}), {(HERE, THERE)!r})
"""
    return subprocess.Popen([sys.executable, "-c", code])


def kill_between(postgres: Postgres, schema: str, folder: Path) -> None:
    """When it has written the items, and waits for the table of locks that somebody else has."""
    with psycopg.connect(postgres.url) as blocking:
        blocking.execute(f"LOCK TABLE {schema}.hold IN ROW EXCLUSIVE MODE".encode())
        blocking.execute(f"LOCK TABLE {schema}.delivery IN ACCESS EXCLUSIVE MODE".encode())
        moving = start_move(postgres.url, schema, folder, "to_team")
        query = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        query += " AND application_name LIKE '%moves'"
        asyncio.run(until(lambda: bool(postgres.run(query))))
        moving.send_signal(signal.SIGKILL)
        moving.wait()


def test_a_move_to_postgres_and_back_is_the_same(quick_postgres: Postgres, tmp_path: Path) -> None:
    url, schema = quick_postgres.url, f"o8_{secrets.token_hex(6)}"
    place = (url, schema, tmp_path / "a", (HERE, THERE))
    before = run(tmp_path / "a", fill)
    make_tables(url, schema)
    kill_between(quick_postgres, schema, tmp_path / "a")
    moved = move.to_team(*place)
    assert moved["event"][0] > 1000
    assert move.to_team(*place) == moved  # a second time changes nothing

    async def there() -> dict[str, Any]:
        async with team(url, 1, schema) as (server,):
            found = await seen(server, THERE)
            last = before["events"][-1]["rev"]
            ann = Agent(server, "ann", project=THERE)
            assert (await ann.renew(before["token"], ttl_s=3000))["renewed"]
            assert (await ann.write({"later": 1}))["rev"] > last
            await until(lambda: server.registry.size > 0)  # after its first heartbeat
            with pytest.raises(OperationError, match="still serves"):
                await asyncio.to_thread(move.from_team, *place)
            return found

    found = asyncio.run(there())
    assert found == {name: before[name] for name in found}
    with pytest.raises(OperationError, match="another state"):  # which is newer
        move.to_team(*place)
    back = (url, schema, tmp_path / "b", (HERE, THERE))
    moved = move.from_team(*back)
    assert move.from_team(*back) == moved

    async def again(state: Coordination) -> None:
        ann = Agent(state, "ann", project=HERE)
        events = await events_of(ann)
        assert [e for e in events if e["key"] not in ("later",)] == before["events"]
        newest = events[-1]["rev"]
        assert (await ann.renew(before["token"]))["renewed"]
        assert (await ann.write({"k/005": "new"}))["rev"] > newest
        assert (await ann.read(prefix="k/", limit=1000))["items"][0] == before["items"][0]
        assert (await ann.session("read", "s1", query="bridges"))["messages"]

    run(tmp_path / "b", again)


def test_what_was_learnt_goes_with_it(quick_postgres: Postgres, tmp_path: Path) -> None:
    """By the command line, in a database of its own; a second move tells the team nothing new."""
    quick_postgres.run("CREATE DATABASE moved")
    url = quick_postgres.url.removesuffix("o8") + "moved"
    with World(tmp_path / "a") as one, World(tmp_path / "b") as other:
        kept = [decision(f"t{n}", caller="hook", unknown=("nobody",)) for n in range(3)]
        lines = "\n".join(msgspec.json.encode(each).decode() for each in kept)
        (one.work / "kept.jsonl").write_text(lines, "utf-8")
        write_transcript(claude := one.work / "claude")
        for world in (one, other):
            world.env |= {"CLAUDE_CONFIG_DIR": str(claude), "MCP_ROOTS": str(fixture_root())}
        assert one.run("import", str(one.work / "kept.jsonl")).returncode == 0
        learn = ("learn", "--from-history", "--all")
        assert "1 decision learnt" in one.run(*learn, "--yes").stdout
        for world in (one, other):
            world.env["MCP_DATABASE_URL"] = url
        # the team was told nothing
        assert "Nothing is kept yet" in one.run(*learn).stdout
        told = [one.run("database", "move").stdout for _ in range(2)]
        assert "what was learnt: 4 entries" in told[0]
        assert "what was learnt: 0 entries" in told[1]
        assert "All of it is known already" in other.run(*learn).stdout
        for change in ((*learn, "--yes"), ("forget", "--task", "t1", "--yes")):
            assert "through a server" in other.run(*change).stderr
        back = other.run("database", "move", "--back")
        assert "what was learnt: 4 entries" in back.stdout, back.stderr
        exported = [world.run("export", "-").stdout for world in (one, other)]
        assert exported[0] == exported[1]
        assert exported[0].count("\n") == 4
        assert "pg_dump" in one.run("backup").stderr
        assert one.run("audit", "--json").returncode == 0
