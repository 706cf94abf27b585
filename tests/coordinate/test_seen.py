"""Who sees what: keys of one's own, and messages by their visibility."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from orchestr8_index.coordinate.caller import Caller
from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.errors import Forbidden, InvalidParams
from orchestr8_index.sharing import (
    Op,
    ReadShared,
    RestoreShared,
    SavedValue,
    SendMessage,
    SessionCall,
    SnapshotShared,
    WriteShared,
)
from orchestr8_index.validate import read_params

from .worlds import run, shared

ADA = Caller("ada", scope="report", kind="claude")
EVE = Caller("eve", scope="report", kind="codex")
BOSS = Caller("boss", scope="admin", verified=True)
LOCAL = Caller("local", scope="admin")  # who has no key


def put(key: str) -> WriteShared:
    return WriteShared(ops=[Op(key, Raw(b"1"))])


@shared
async def test_what_is_ones_own_is_seen_and_written_by_nobody_else(state: Coordination) -> None:
    mine, theirs = f"{ADA.own}plan", f"{EVE.own}plan"
    await state.write_shared(ADA, put(mine))
    await state.write_shared(EVE, put(theirs))
    await state.write_shared(EVE, put("ownership"))
    ways: list[dict[str, Any]] = [{"prefix": each} for each in ("", "o", "own/", ADA.own)]
    ways += [{"pattern": "*plan"}, {"pattern": f"{ADA.own}*"}, {"keys": [mine, theirs]}]
    ways += [{**way, more: value} for way in ways for more, value in EXTRA]
    for way in ways:
        for who, own, other in (
            (ADA, mine, theirs),
            (EVE, theirs, mine),
            (BOSS, "", ""),
            (LOCAL, "", mine),
        ):
            told = await state.read_shared(who, ReadShared(**way))
            keys = {each["key"] for each in told.get("items", told.get("events"))}
            assert other not in keys, way
            assert who is not ADA or own in keys, way
    for key in (mine, "own/", "own/x"):
        with pytest.raises(Forbidden):
            await state.write_shared(EVE, put(key))
    await state.write_shared(BOSS, put(mine))


@shared
async def test_a_snapshot_and_its_return_leave_what_others_own_alone(state: Coordination) -> None:
    mine = f"{ADA.own}plan"
    await state.write_shared(ADA, put(mine))
    await state.write_shared(ADA, put("open"))
    kept = await state.snapshot_shared(LOCAL, SnapshotShared())
    assert [each.key for each in kept["items"]] == ["open"]
    await state.restore_shared(LOCAL, RestoreShared(items=[]))
    assert (await state.read_shared(ADA, ReadShared(keys=[mine])))["items"]
    with pytest.raises(Forbidden):
        items = [SavedValue(mine, Raw(b"2"))]
        await state.restore_shared(LOCAL, RestoreShared(items=items))
    await state.restore_shared(BOSS, RestoreShared(items=[]))
    assert not (await state.read_shared(ADA, ReadShared(keys=[mine])))["items"]


EXTRA = (("history", True), ("at_rev", 2), ("changed_after", 0))


@shared
async def test_a_wait_does_not_tell_of_anothers_own_keys(state: Coordination) -> None:
    asked = ReadShared(prefix="", changed_after=0, wait_ms=45_000)
    waiting = asyncio.create_task(state.read_shared(EVE, asked))
    await asyncio.sleep(0)
    await state.write_shared(ADA, put(f"{ADA.own}plan"))
    await state.write_shared(ADA, put("open"))
    assert [each["key"] for each in (await waiting)["events"]] == ["open"]


def test_a_proven_name_is_nobodys_who_merely_says_it() -> None:
    claimed, proven = Caller("ci"), Caller("ci", verified=True)
    assert claimed.own != proven.own


@pytest.mark.parametrize(
    ("visibility", "seen"),
    [
        ("public", "ada same eve imposter boss"),
        ("private", "ada boss"),
        ("agent_only", "ada same boss"),
        ("admin_only", "boss"),
    ],
)
def test_a_message_is_seen_by_whom_it_is_for(tmp_path: Path, visibility: Any, seen: str) -> None:
    sender = Caller("ada", scope="admin", kind="k1", verified=True)
    readers = {
        "ada": Caller("ada", scope="report", kind="k1", verified=True),
        "same": Caller("bob", scope="report", kind="k1", verified=True),
        "eve": Caller("eve", scope="report", kind="k2", verified=True),
        "imposter": Caller("ada", scope="report", kind="k1"),
        "boss": BOSS,
    }

    async def work(state: Coordination) -> None:
        await state.session(sender, SessionCall(action="create", id="s"))
        sent = SendMessage(to=[], session="s", body="secret plan", visibility=visibility)
        ident = (await state.send_message(sender, sent))["id"]
        read = SessionCall(action="read", id="s")
        ways = (
            read,
            SessionCall(action="read", id="s", offset=0),
            SessionCall(action="read", id="s", message=ident),
            SessionCall(action="read", id="s", query="secret"),
            SessionCall(action="read", id="s", query="ada", in_all=True),
            SessionCall(action="read", id="s", offset=0, visibility=[visibility]),
        )
        for way in ways:
            found = {n for n, who in readers.items() if (await state.session(who, way))["messages"]}
            assert found == set(seen.split()), way
        streams = {
            name
            for name, who in readers.items()
            if "message" in {e["kind"] for e in (await events(state, who))}
        }
        assert streams == set(seen.split())

    run(tmp_path, work)


async def events(state: Coordination, who: Caller) -> Any:
    return (await state.read_shared(who, ReadShared(prefix="", changed_after=0)))["events"]


@shared
async def test_only_an_admin_speaks_to_admins_alone(state: Coordination) -> None:
    await state.session(ADA, SessionCall(action="create", id="s"))
    with pytest.raises(Forbidden):
        sent = SendMessage(to=[], session="s", body="x", visibility="admin_only")
        await state.send_message(ADA, sent)


def test_a_message_is_for_somebody_or_for_a_session() -> None:
    with pytest.raises(InvalidParams) as refused:
        read_params(SendMessage, b'{"to":[],"body":"x"}')
    assert "to" in refused.value.problems
    read_params(SendMessage, b'{"to":[],"body":"x","session":"s"}')


@shared
async def test_pages_count_what_the_reader_may_see(state: Coordination) -> None:
    await state.session(ADA, SessionCall(action="create", id="s"))
    for n in range(12):
        visibility: Any = "private" if n % 3 == 0 else "public"
        sent = SendMessage(to=[], session="s", body=str(n), visibility=visibility)
        await state.send_message(ADA, sent)
    read = SessionCall(action="read", id="s", offset=2, limit=3)
    told = await state.session(EVE, read)
    assert [each["body"] for each in told["messages"]] == ["4", "5", "7"]
    assert (told["total"], told["more"]) == (8, True)
    told = await state.session(ADA, SessionCall(action="read", id="s", offset=11))
    assert [each["body"] for each in told["messages"]] == ["11"] and not told["more"]
