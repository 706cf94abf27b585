"""GET /events: what is told, to whom, from where on, and how it ends."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.config import Door
from orchestr8_index.serve import stream
from orchestr8_index.serve.events import Delegated, GenerationSwapped, KeyChanged, Learnt
from orchestr8_index.serve.keys import KeyFile

from .hooks import events
from .sites import Run, Site


async def write(site: Site, *keys: str, value: Any = 1) -> int:
    ops = [{"key": key, "value": value} for key in keys]
    return int((await site.call("writeShared", "ada", ops=ops))["rev"])


def test_a_change_is_told_with_its_revision(run: Run) -> None:
    async def work(site: Site) -> None:
        async with site.events("prefix=task/") as told:
            assert await told.status() == 200
            assert (await told.text()).startswith(":\nid: ")
            await write(site, "other")
            rev = await write(site, "task/1", value={"two": "lines\n"})
            event = await told.next()
            assert (event["rev"], event["kind"], event["key"]) == (rev, "put", "task/1")
            assert event["value"] == {"two": "lines\n"} and told.last_id == str(rev)

    run(work)


def test_the_id_stands_at_the_last_event_of_a_revision(run: Run) -> None:
    async def work(site: Site) -> None:
        first = await write(site, "x")
        rev = await write(site, "a", "b", "c")
        async with site.events(f"after={first}") as told:
            await told.status()
            blocks = [await told.text() for _ in range(3)]
        assert [json.loads(block.split("data: ")[1])["key"] for block in blocks] == ["a", "b", "c"]
        assert [block.startswith(f"id: {rev}\n") for block in blocks] == [False, False, True]

    run(work)


def test_the_log_without_gap_or_repeat_over_restarts(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams that break anywhere, a server that starts anew, and writers all the while."""
    monkeypatch.setattr(stream, "PAGE", 3)  # so that no page is the last at once
    heard, written, place = list[int](), list[int](), {"id": "0"}

    async def work(site: Site) -> None:
        async with site.events(last_event_id=place["id"]) as told:
            await told.status()
            writing = asyncio.gather(*(write(site, f"k/{n}") for n in range(20)))
            for _ in range(13 if place["id"] == "0" else 20):
                heard.append((await told.next())["rev"])
            place["id"] = told.last_id
            written.extend(await writing)

    for _ in range(4):
        run(work)

    async def rest(site: Site) -> None:
        async with site.events(last_event_id=place["id"]) as told:
            await told.status()
            heard.extend([(await told.next())["rev"] for _ in range(7)])

    run(rest)
    assert heard == sorted(written) and len(heard) == 80


def test_what_happens_in_the_server_is_told_without_an_id(run: Run) -> None:
    async def work(site: Site) -> list[Any]:
        async with site.events("after=0") as told:
            await told.status()
            site.state.events.publish(GenerationSwapped(7))
            starting = {**events.completed(), "hook_event_name": "PreToolUse"}
            for payload in (starting, events.completed()):
                await site.http.post("/hooks/claude", json=payload)
            site.state.events.publish(Learnt("cacheDecision"))
            found = [await told.next() for _ in range(4)]
            assert told.last_id == ""
            return found

    index, started, ended, learnt = run(work)
    assert index == {"kind": "index", "generation": 7}
    assert (started["kind"], started["state"], started["task"]) == (
        "delegation",
        "started",
        events.TEXT,
    )
    assert (ended["id"], ended["state"], ended["result"]) == (started["id"], "ended", "success")
    assert learnt == {"kind": "learnt", "method": "cacheDecision"}


def test_who_may_only_read_hears_of_nobodys_tasks(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    key = {"authorization": f"Bearer {KeyFile(tmp_path / 'data').add('eve', 'read')}"}

    async def work(site: Site) -> Any:
        async with site.events("after=0", **key) as told:
            await told.status()
            site.state.events.publish(Delegated("started", "1", "docs-writer", "a secret task"))
            site.state.events.publish(Learnt("cacheDecision"))
            return await told.next()

    told = run(work, door=Door(require_keys=True))
    assert told == {"kind": "learnt", "method": "cacheDecision"}


def test_a_quiet_stream_gives_signs_of_life_and_the_place(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "QUIET_SECONDS", 0.01)

    async def work(site: Site) -> None:
        async with site.events("after=0&prefix=task/") as told:
            await told.status()
            rev = await write(site, "other")
            found = [await told.text()]
            while "id" not in found[-1]:
                found.append(await told.text())
            assert found[-1] == f":\nid: {rev}" and set(found[:-1]) <= {":"}

    run(work)


def test_no_stream_shows_what_is_private(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    keys = {name: KeyFile(tmp_path / "data").add(name, "report") for name in ("ada", "bob", "eve")}

    async def work(site: Site) -> dict[str, Any]:
        seen = {}
        for visibility in ("private", "public"):
            sent: dict[str, Any] = {"to": ["bob"], "body": visibility, "visibility": visibility}
            await site.reply("sendMessage", key=keys["ada"], **sent)
        for name, key in keys.items():
            async with site.events("after=0", authorization=f"Bearer {key}") as told:
                await told.status()
                seen[name] = [(await told.next())["value"]["body"]]
                while seen[name][-1] != "public":
                    seen[name].append((await told.next())["value"]["body"])
        return seen

    seen = run(work, door=Door(require_keys=True))
    assert seen == {"ada": ["private", "public"], "bob": ["private", "public"], "eve": ["public"]}


def test_a_stream_ends_with_its_key_and_with_the_server(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    key = {"authorization": f"Bearer {KeyFile(tmp_path / 'data').add('team', 'read')}"}

    async def work(site: Site) -> None:
        async with site.events(**key) as revoked, site.events(**key) as stopped:
            assert await revoked.status() == await stopped.status() == 200
            site.state.events.publish(KeyChanged("team", "key revoked"))
            while await revoked.text():
                pass
            assert revoked.is_over
        async with site.events(**key) as stopped:
            await stopped.status()
            site.state.ending.set()
            while await stopped.text():
                pass
            assert stopped.is_over and site.waiting == 0

    run(work, door=Door(require_keys=True))


@pytest.mark.parametrize(
    ("query", "last", "status", "named"),
    [
        ("after=x", "", 400, "after"),
        ("after=1&after=2", "", 400, "after"),
        ("kind=put", "", 400, "kind"),
        ("prefix=a b", "", 400, "prefix"),
        ("", "never", 400, "after"),
        ("after=5", "", 410, "oldest"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_it_streams(
    run: Run, query: str, last: str, status: int, named: str
) -> None:
    from orchestr8_index.coordinate.journal import set_oldest

    async def work(site: Site) -> None:
        await write(site, "x")
        shared = site.state.shared
        assert shared and shared.ready
        await shared.ready.store.write(lambda connection: set_oldest(connection, 1 << 30))
        reply = await site.http.get(f"/events?{query}", headers={"last-event-id": last})
        assert reply.status_code == status and named in reply.text

    run(work)


def test_streams_are_waiters_and_one_caller_has_half_of_them(run: Run) -> None:
    from .asking import limits_of

    async def work(site: Site) -> None:
        async with site.events() as one, site.events() as two:
            assert await one.status() == await two.status() == 200
            refused = await site.http.get("/events")
            assert refused.status_code == 503 and site.waiting == 2
        assert site.waiting == 0

    run(work, limits=limits_of(max_waiting=4))
