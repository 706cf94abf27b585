"""Shared values and their log: all or nothing, at a revision, once for each request."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from orchestr8_index.coordinate import core, log, select, values
from orchestr8_index.coordinate.caller import Caller
from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.coordinate.feed import Feed, Owner
from orchestr8_index.coordinate.statements import MIGRATIONS, NAME, checksum
from orchestr8_index.errors import (
    Compacted,
    Conflict,
    Forbidden,
    InvalidParams,
    Overloaded,
    StoreUnavailable,
    Unauthorized,
)
from orchestr8_index.sharing import (
    MAX_VALUE,
    Op,
    ReadShared,
    RestoreShared,
    SnapshotShared,
    WriteShared,
    value_of,
)
from orchestr8_index.store.database import connect
from orchestr8_index.store.schema import migrate
from orchestr8_index.validate import read_params

from .worlds import Agent, Hand, run, shared, until

LONG = "k" * 255


@shared
async def test_what_is_written_is_read(state: Coordination) -> None:
    a = Agent(state, "a")
    wrote = await a.write({"task/1": {"state": "done"}, "task/2": [1, "é", None]})
    read = await Agent(state, "b").read("task/1", "task/2", "task/3")
    assert [each["value"] for each in read["items"]] == [{"state": "done"}, [1, "é", None]]
    assert {each["rev"] for each in read["items"]} == {wrote["rev"]} == {read["rev"]}
    assert read["items"][0]["by"] == "a"


@shared
async def test_a_write_is_all_or_nothing(state: Coordination) -> None:
    a = Agent(state, "a")
    first = (await a.write({"x": 1}))["rev"]
    await a.write({"x": 2}, if_rev=first)
    with pytest.raises(Conflict) as refused:
        await a.write({"new": 1, "x": 3}, if_rev=0)
    facts = refused.value.data()
    assert (facts["key"], facts["by"]) == ("x", "a")
    assert (await a.get("new"), await a.get("x")) == (None, 2)


@shared
async def test_null_deletes(state: Coordination) -> None:
    a = Agent(state, "a")
    await a.write({"x": 1})
    await a.write({"x": None, "never": None})
    assert (await a.read("x"))["items"] == []
    await a.write({"x": 2}, if_rev=0)
    history = (await a.read("x", history=True))["items"]
    assert [each["value"] for each in history] == [2, None, 1]


@shared
async def test_a_write_that_changes_nothing_names_a_revision_that_can_be_read(
    state: Coordination,
) -> None:
    a = Agent(state, "a")
    await a.write({"k": 1})
    for _ in range(2):
        rev = (await a.write({"none": None}))["rev"]
        assert (await a.read("k", at_rev=rev))["items"][0]["value"] == 1
    with pytest.raises(InvalidParams, match="future"):
        await a.read("k", at_rev=rev + (1 << 30))
    done = await a.write({"none": None, "k": 2})
    assert (await a.read("k", at_rev=done["rev"]))["items"][0]["rev"] == done["rev"]


def test_a_file_of_the_first_layout_keeps_its_history(tmp_path: Path) -> None:
    """There a deletion had no value, and every event a place in the index."""
    with contextlib.closing(connect(tmp_path / NAME)) as before:
        migrate(before, MIGRATIONS[:2])
        rows = [("k", 0, "1"), ("k", 1, None), ("k", 0, None)]
        for rev, (key, kind, value) in enumerate(rows, 1):
            row = (
                rev << 10,
                "default",
                kind,
                key,
                value,
                "a",
                0,
                None,
                checksum(key, (value or "2").encode()),
            )
            before.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        item = ("default", "k", "2", 3 << 10, "a", 0, None, checksum("k", b"2"))
        before.execute("INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?)", item)

    async def work(state: Coordination) -> None:
        a = Agent(state, "a")
        history = (await a.read("k", history=True))["items"]
        assert [each["value"] for each in history] == [2, None, 1]
        assert [(await a.read("k", at_rev=rev))["items"] != [] for rev in (1, 2, 3)] == [1, 0, 1]
        changes = (await a.read("k", changed_after=1))["events"]
        assert [(each["kind"], each["value"]) for each in changes] == [("delete", None), ("put", 2)]

    run(tmp_path, work)


@shared
async def test_keys_are_found_by_prefix_and_pattern_page_by_page(state: Coordination) -> None:
    a = Agent(state, "a")
    await a.write({f"task/{n}/state": n for n in range(5)} | {"other": 1})
    page = await a.read(prefix="task/", limit=3)
    assert ([each["value"] for each in page["items"]], page["more"]) == ([0, 1, 2], True)
    rest = await a.read(prefix="task/", limit=3, after=page["items"][-1]["key"])
    assert ([each["value"] for each in rest["items"]], "more" in rest) == ([3, 4], False)
    matched = (await a.read(pattern="t*/?/st*"))["items"]
    assert [each["value"] for each in matched] == [0, 1, 2, 3, 4]


@shared
async def test_values_are_read_as_they_were(state: Coordination) -> None:
    a = Agent(state, "a")
    revs = [(await a.write({"x": n, f"y{n}": n}))["rev"] for n in range(3)]
    await a.write({"x": None})
    for n, rev in enumerate(revs):
        items = (await a.read(prefix="", at_rev=rev))["items"]
        then = {"x": n} | {f"y{m}": m for m in range(n + 1)}
        assert {each["key"]: each["value"] for each in items} == then
    with pytest.raises(InvalidParams, match="future"):
        await a.read("x", at_rev=1 << 40)


@shared
async def test_a_value_expires_and_nobody_sees_it_afterwards(
    state: Coordination, hand: Hand
) -> None:
    a = Agent(state, "a")
    rev = (await a.write({"x": 1}, ttl_s=10))["rev"]
    assert (await a.read("x"))["items"][0]["expires_in"] == 10
    waiting = asyncio.ensure_future(a.read("x", changed_after=rev, wait_ms=20_000))
    await until(lambda: state.feed.waiting == 1)
    hand.move(10)
    assert (await a.read("x"))["items"] == []
    [event] = (await waiting)["events"]
    assert (event["kind"], event["cause"], event["value"]) == ("delete", "expired", None)
    await a.write({"x": 2}, if_rev=0)


def test_a_retry_does_nothing_twice(tmp_path: Path) -> None:
    async def ask(state: Coordination) -> Any:
        a, b = Agent(state, "a"), Agent(state, "b")
        wrote = await a.write({"n": 1}, request_id="w")
        held = await a.lock("a.py", request_id="l")
        sent = await a.send("b", request_id="s")
        await b.write({"n": 2}, request_id="w")  # another caller's request
        return [wrote, held, sent]

    async def count(state: Coordination) -> None:
        assert await ask(state) == first
        b = Agent(state, "b")
        assert len((await b.inbox())["messages"]) == 1
        assert len((await b.read("n", history=True))["items"]) == 2
        assert len(await b.locks()) == 1

    first = run(tmp_path, ask)
    run(tmp_path, count)


@shared
async def test_two_at_once_with_one_request_are_one(state: Coordination) -> None:
    a = Agent(state, "a")
    answers = await asyncio.gather(*(a.lock("p:1", request_id="r") for _ in range(5)))
    assert len({each["token"] for each in answers}) == 1


@shared
async def test_a_reader_waits_for_a_change(state: Coordination) -> None:
    a, b = Agent(state, "a"), Agent(state, "b")
    choices = [("keys", ["x"]), ("prefix", "x"), ("pattern", "?"), ("prefix", "")]
    asked: list[dict[str, Any]] = [{name: value} for name, value in choices]
    rev = (await a.write({"other": 1}))["rev"]
    waits = [
        asyncio.ensure_future(b.read(**each, changed_after=rev, wait_ms=20_000)) for each in asked
    ]
    await until(lambda: state.feed.waiting == len(asked))
    await a.write({"yy": 0})
    await a.write({"x": 1})
    for wait in waits[:3]:
        assert [each["key"] for each in (await wait)["events"]] == ["x"]
    assert (await waits[3])["events"][0]["key"] == "yy"


def test_waiting_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    async def work(state: Coordination) -> None:
        a = Agent(state, "a")
        call = asyncio.ensure_future(a.inbox(wait_ms=20_000))
        await until(lambda: state.feed.waiting == 1)
        with pytest.raises(Overloaded):
            await a.read("x", changed_after=0, wait_ms=20_000)
        await a.send("a")
        await call

    run(tmp_path, work, most_waiting=1)


def test_a_call_that_waits_for_many_keys_counts_as_many(tmp_path: Path) -> None:
    async def work(state: Coordination) -> None:
        a, keys = Agent(state, "a"), [f"k{n}" for n in range(100)]
        calls = [a.read(*keys, changed_after=0, wait_ms=20_000) for _ in range(2)]
        waits = [asyncio.ensure_future(call) for call in calls]
        await until(lambda: state.feed.waiting == 2)
        with pytest.raises(Overloaded):
            await a.read("x", changed_after=0, wait_ms=20_000)
        await a.write({"k1": 1})
        await asyncio.gather(*waits)

    run(tmp_path, work, most_waiting=40)


def waits(feed: Feed, owners: Iterable[Owner]) -> int:
    """How many of them may wait at once, one after the other."""
    taken = 0
    with contextlib.ExitStack() as stack, contextlib.suppress(Overloaded):
        for owner in owners:
            stack.enter_context(feed.listen(owner, [("p", "k", False)]))
            taken += 1
    return taken


def test_who_calls_itself_by_many_names_is_one_caller() -> None:
    """Two names took all places; now a tenth stays for who else asks from there."""
    near = [Owner("127.0.0.1", f"agent-{n}", part=0.9, share=0.9) for n in range(40)]
    assert waits(Feed(20), near) == 18
    assert waits(Feed(20), [near[0]] * 40) == 10
    assert waits(Feed(20), [Owner("ci", f"agent-{n}", keyed=True) for n in range(40)]) == 10
    assert waits(Feed(20), [*near, Owner("127.0.0.1", part=1.0)]) == 18


def test_what_the_server_itself_waits_for_takes_no_place() -> None:
    feed = Feed(1)
    with feed.listen(None, [("p", "", True)]):
        assert waits(feed, [Owner("a")]) == 1


@shared
async def test_a_revoked_key_ends_nobody_elses_calls(state: Coordination) -> None:
    """Who had no key, and called itself as the key was called, was told that it was revoked."""
    owners = [Owner("127.0.0.1", "ci"), Owner("ci", keyed=True)]
    agents = [Agent(state, "ci", owner=owner, verified=owner.keyed) for owner in owners]
    reads = [each.read("x", changed_after=0, wait_ms=20_000) for each in agents]
    calls = [asyncio.ensure_future(read) for read in reads]
    await until(lambda: state.feed.waiting == 2)
    state.feed.end("ci")
    with pytest.raises(Unauthorized):
        await calls[1]
    await agents[0].write({"x": 1})
    assert (await calls[0])["events"][0]["value"] == 1


@shared
async def test_a_key_named_twice_is_waited_for_once_and_left(state: Coordination) -> None:
    """What was waited for beside it stayed in memory."""
    a = Agent(state, "a")
    assert (await a.read("x", "x", "y", changed_after=0, wait_ms=10))["events"] == []
    assert not state.feed._wanted


def test_a_revision_is_seen_whole_or_not_at_all(tmp_path: Path) -> None:
    async def work(state: Coordination) -> list[int]:
        a = Agent(state, "a")
        for _ in range(3):
            await a.write({f"k{n}": n for n in range(10)})
        sizes: list[int] = []
        after = 0
        while page := await a.read(prefix="", changed_after=after, limit=1):
            if not page["events"]:
                return sizes
            sizes.append(len(page["events"]))
            after = page["rev"]
        return sizes

    assert run(tmp_path, work) == [10, 10, 10]


@shared
async def test_the_log_is_compacted_and_old_cursors_are_told(state: Coordination) -> None:
    a = Agent(state, "a")
    old = (await a.write({"x": 1, "y": 1}))["rev"]
    unread = await a.send("b")
    await a.write({"x": 2})
    cut = (await a.write({"z": 1}))["rev"]
    await a.write({"y": 3, "z": None})
    await state.store.write(
        lambda connection: log.compact(connection, cut, project="default"), project="default"
    )
    with pytest.raises(Compacted) as refused:
        await a.read("x", changed_after=old)
    assert refused.value.data()["oldest"] == cut - 1
    with pytest.raises(Compacted):
        await a.read("x", at_rev=old)
    then = (await a.read(prefix="", at_rev=cut))["items"]
    assert {each["key"]: each["value"] for each in then} == {"x": 2, "y": 1, "z": 1}
    assert [each["id"] for each in (await Agent(state, "b").inbox())["messages"]] == [unread["id"]]
    assert await a.get("x") == 2


@shared
async def test_the_horizon_stops_at_a_message_that_waits(state: Coordination, hand: Hand) -> None:
    a = Agent(state, "a")

    async def horizon(most: int, days: float) -> Any:
        find = lambda writing: log.horizon(writing, state.clock.at(), most, days)  # noqa: E731
        return await state.store.write(find, project="default")

    for n in range(10):
        await a.write({f"k{n}": 1})
    sent = int((await a.send("b"))["id"]) >> 10
    hand.move(20 * 86_400)
    await a.write({"late": 1})
    for most, days in ((5, 100), (1000, 10)):
        assert await horizon(most, days) <= sent
    await Agent(state, "b").inbox(ack=[str(sent << 10)])
    assert await horizon(1000, 10) > sent


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for two and a half of `LONG_VALUE`."""
    for module in (select, values):
        monkeypatch.setattr(module, "MOST_BYTES", 250_000)


LONG_VALUE = "x" * 100_000


@pytest.mark.usefixtures("narrow")
@shared
async def test_no_more_is_read_than_has_room_in_an_answer(state: Coordination) -> None:
    a, read = Agent(state, "a"), list[str]()
    for n in range(9):
        await a.write({f"k{n}": LONG_VALUE})
    tracemalloc.start()
    answer = await state.read_shared(a.caller, ReadShared(prefix="", limit=1000))
    assert len(answer["items"]) == 2 and answer["more"]
    assert tracemalloc.get_traced_memory()[1] < 700_000
    tracemalloc.stop()
    for at_rev in ({}, {"at_rev": answer["rev"]}):
        more: Any = {"more": True}
        while more.get("more"):
            more = await a.read(prefix="", after=read[-1] if more.get("items") else "", **at_rev)
            read += [each["key"] for each in more["items"]]
    assert read == [f"k{n}" for n in range(9)] * 2


@pytest.mark.usefixtures("narrow")
@shared
async def test_a_revision_is_read_whole_where_it_has_room(state: Coordination) -> None:
    a = Agent(state, "a")
    revs = [(await a.write({"k": n, "l": LONG_VALUE, "m": n}))["rev"] for n in range(5)]
    history = await a.read(prefix="", history=True)
    assert [each["rev"] for each in history["items"]] == [revs[4]] * 3 + [revs[3]] * 3
    changes = await a.read(prefix="", changed_after=revs[0], limit=7)
    assert [each["rev"] for each in changes["events"]] == [revs[1]] * 3 + [revs[2]] * 3
    assert (changes["rev"], changes["more"]) == (revs[2], True)
    two = await a.read("k", "m", changed_after=revs[0], limit=3)
    assert [each["rev"] for each in two["events"]] == [revs[1]] * 2 + [revs[2]] * 2
    await a.write({"n": LONG_VALUE, "o": LONG_VALUE, "p": LONG_VALUE})
    alone = await a.read(prefix="", changed_after=revs[4])
    assert [each["key"] for each in alone["events"]] == ["n", "o", "p"]


@pytest.mark.usefixtures("narrow")
@shared
async def test_a_snapshot_that_could_not_be_put_back_is_refused(state: Coordination) -> None:
    a = Agent(state, "a")
    await a.write({"p/1": LONG_VALUE, "p/2": LONG_VALUE, "q/1": LONG_VALUE})
    with pytest.raises(InvalidParams, match="longer prefixes"):
        await state.snapshot_shared(a.caller, SnapshotShared())
    kept = await state.snapshot_shared(a.caller, SnapshotShared(prefix="p/"))
    assert len(kept["items"]) == 2


@shared
async def test_a_snapshot_is_restored(state: Coordination) -> None:
    a, root = Agent(state, "a", scope="report"), Agent(state, "root").caller
    await a.write({"p/x": 1, "p/y": [2], "q": 3})
    await a.write({"p/t": 1}, ttl_s=60)
    with pytest.raises(Forbidden):
        await state.snapshot_shared(a.caller, SnapshotShared())
    kept = await state.snapshot_shared(root, SnapshotShared(prefix="p/"))
    await a.write({"p/x": 9, "p/new": 1, "q": 4})
    done = await state.restore_shared(root, RestoreShared(items=kept["items"], prefix="p/"))
    assert (done["put"], done["deleted"]) == (3, 1)
    items = (await a.read(prefix=""))["items"]
    assert {each["key"]: each["value"] for each in items} == {
        "p/x": 1,
        "p/y": [2],
        "p/t": 1,
        "q": 4,
    }
    with pytest.raises(InvalidParams):
        await state.restore_shared(root, RestoreShared(items=kept["items"], prefix="q/"))


@shared
async def test_projects_see_nothing_of_each_other(state: Coordination) -> None:
    one, other = Agent(state, "a", project="one"), Agent(state, "a", project="other")
    await one.write({"x": 1})
    await one.lock("port:1")
    await one.send("a")
    assert (await other.read(prefix=""))["items"] == []
    assert (await other.read(prefix="", changed_after=0))["events"] == []
    assert (await other.locks(), (await other.inbox())["messages"]) == ([], [])
    assert (await other.lock("port:1"))["token"]


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"ops":[{"key":"a b","value":1}]}', "ops"),
        (b'{"ops":[{"key":"' + b"k" * 256 + b'","value":1}]}', "ops"),
        (b'{"ops":[{"key":"@agent/x","value":1}]}', "ops"),
        (b'{"ops":[{"key":"a\\n","value":1}]}', "ops"),
        (b'{"ops":[{"key":"a","value":1,"ttl_s":0}]}', "ops"),
        (b'{"ops":[{"key":"a","value":1,"ttl_s":86401}]}', "ops"),
        (b'{"ops":[{"key":"a","value":1,"strange":1}]}', "ops"),
        (b'{"ops":[{"key":"a"}]}', "ops"),
        (b'{"ops":[]}', "ops"),
        (
            b'{"ops":'
            + msgspec.json.encode([{"key": f"k{n}", "value": 1} for n in range(101)])
            + b"}",
            "ops",
        ),
        (b'{"ops":[{"key":"a","value":1}],"strange":1}', "strange"),
    ],
)
def test_bad_input_is_named_by_its_field(raw: bytes, field: str) -> None:
    with pytest.raises(InvalidParams) as refused:
        read_params(WriteShared, raw)
    assert field in refused.value.problems


@pytest.mark.parametrize(
    "value",
    [
        b"NaN",
        b'"\xed\xa0\x80"',
        b"{",
        b'"' + b"x" * (MAX_VALUE + 1) + b'"',
        b"[" + b" " * MAX_VALUE + b"]",
    ],
)
@shared
async def test_what_is_no_value_is_refused(state: Coordination, value: bytes) -> None:
    with pytest.raises(InvalidParams) as refused:
        await state.write_shared(Caller("a"), WriteShared(ops=[Op("x", Raw(value))]))
    assert "ops.value" in refused.value.problems


@pytest.mark.parametrize("value", [float("nan"), object(), "\ud800"])
def test_a_python_value_that_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(InvalidParams):
        value_of(value)


@shared
async def test_the_longest_key_and_value_are_kept(state: Coordination) -> None:
    text = "x" * (MAX_VALUE - 2)
    await Agent(state, "a").write({LONG: text})
    assert await Agent(state, "a").get(LONG) == text


@shared
async def test_a_key_is_written_once_in_a_call(state: Coordination) -> None:
    ops = [Op("x", value_of(1)), Op("x", value_of(2))]
    with pytest.raises(InvalidParams, match="twice"):
        await state.write_shared(Caller("a"), WriteShared(ops=ops))


def test_a_full_store_refuses_and_still_deletes(tmp_path: Path) -> None:
    async def work(state: Coordination) -> None:
        a = Agent(state, "a")
        with pytest.raises(StoreUnavailable, match="reached its limit"):
            for n in range(200):
                await a.write({f"k{n}": "x" * 100_000})
        assert "reached its limit of 2 MB" in " ".join(state.store.reasons)
        await a.write({f"k{n}": None for n in range(10)})
        assert await a.get("k11")
        await until(lambda: state.store.has_room())
        await a.write({"again": 1})
        assert state.store.reasons == []

    run(tmp_path, work, hard_mb=2)


def test_the_log_makes_room_before_its_time_but_for_what_waits(tmp_path: Path) -> None:
    """A key that is written again and again must not fill the file with what it was."""

    async def work(state: Coordination) -> None:
        a, b = Agent(state, "a"), Agent(state, "b")
        first = (await a.write({"k": 0}))["rev"]
        for _ in range(60):
            await a.write({"k": "x" * 100_000})
        with pytest.raises(Compacted):
            await a.read("k", changed_after=first)
        await a.send("b", body="before all that is given up")
        with pytest.raises(StoreUnavailable, match="reached its limit"):
            for _ in range(60):
                await a.write({"k": "y" * 100_000})
        (message,) = (await b.inbox())["messages"]
        await b.inbox(ack=[message["id"]])
        await until(lambda: state.store.has_room())
        await a.write({"k": "z"})

    run(tmp_path, work, hard_mb=2)


def test_the_log_keeps_so_many_events_or_so_many_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Hand()
    monkeypatch.setattr(core, "MOST_EVENTS", 10)

    async def work(state: Coordination) -> None:
        a = Agent(state, "a")
        revs = [(await a.write({"k": n}))["rev"] for n in range(30)]
        await state.tidy()
        with pytest.raises(Compacted) as refused:
            await a.read("k", changed_after=revs[5])
        oldest = refused.value.data()["oldest"]
        assert oldest == revs[19]
        kept = (await a.read("k", changed_after=oldest))["events"]
        assert [each["rev"] for each in kept] == revs[20:]
        hand.move(31 * 86_400)
        last = (await a.write({"k": "late"}))["rev"]
        await state.tidy()
        with pytest.raises(Compacted) as refused:
            await a.read("k", changed_after=revs[25])
        assert refused.value.data()["oldest"] == last - 1

    run(tmp_path, work, hand)


@shared
async def test_a_key_writes_only_its_prefixes(state: Coordination) -> None:
    """Neither beside them, nor by putting a snapshot back that takes others away."""
    await Agent(state, "ann").write({"other/1": 1, "task/9": 9})
    bound = Agent(state, "bob", writes=("task/*", "note"))
    await bound.write({"task/1": 1, "note": 2})
    for key in ("tasks", "task", "note/1", "other/1", "own/x"):
        with pytest.raises(Forbidden, match=r"may not write .*task/\*, note"):
            await bound.write({"task/2": 1, key: 1})
    for prefix in ("", "ta", "other/"):
        with pytest.raises(Forbidden):
            await state.restore_shared(bound.caller, RestoreShared(prefix=prefix, items=[]))
    await state.restore_shared(bound.caller, RestoreShared(prefix="task/", items=[]))
    left = (await bound.read(prefix=""))["items"]
    assert [row["key"] for row in left] == ["note", "other/1"]


@shared
async def test_readers_need_a_right_to_write(state: Coordination) -> None:
    reader = Agent(state, "r", scope="read")
    assert (await reader.read(prefix=""))["items"] == []
    for call in (reader.write({"x": 1}), reader.lock("p:1"), reader.send("a")):
        with pytest.raises(Forbidden):
            await call


@pytest.mark.parametrize("asked", [{}, {"keys": ["a"], "prefix": ""}])
def test_exactly_one_choice_of_keys_is_needed(asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams, match="exactly one"):
        read_params(ReadShared, msgspec.json.encode(asked))
