"""Locks: who gets what, in which order, for how long, and what a token proves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.errors import Busy, Forbidden, InvalidParams, StaleToken, WouldDeadlock
from orchestr8_index.sharing import BreakLock, Fence

from .worlds import TREE, Agent, Hand, opened, rounds, run, shared, until

ROUNDS = rounds(5, 500)


@shared
async def test_one_of_32_wins_500_times(state: Coordination) -> None:
    """The suite runs a few rounds; with FULL=1 it runs all."""
    agents = [Agent(state, f"agent{n}") for n in range(32)]
    wins = []
    for _ in range(ROUNDS):
        answers = await asyncio.gather(
            *(each.lock("src/a.py") for each in agents), return_exceptions=True
        )
        tokens = [each for each in answers if isinstance(each, dict)]
        assert all(isinstance(each, Busy) for each in answers if not isinstance(each, dict))
        wins.append(len(tokens))
        await agents[0].release(tokens[0]["token"])
    assert wins == [1] * ROUNDS


@shared
async def test_two_that_look_alike_do_not_share_a_lock(state: Coordination) -> None:
    one, other = Agent(state, "claude", ident="s1"), Agent(state, "claude", ident="s2")
    held = await one.lock("src/a.py")
    with pytest.raises(Busy):
        await other.lock("src/a.py")
    with pytest.raises(StaleToken):
        await other.release(held["token"].split(".")[0] + ".guessed")
    assert (await one.renew(held["token"]))["renewed"]


@shared
async def test_whoever_shows_the_token_owns_the_lock(state: Coordination) -> None:
    held = await Agent(state, "a").lock("port:3000")
    again = await Agent(state, "b").lock(token=held["token"])
    assert (again["token"], again["renewed"]) == (held["token"], True)
    await Agent(state, "b").release(held["token"])
    assert (await Agent(state, "a").locks()) == []


@shared
async def test_a_set_is_granted_whole_or_not_at_all(state: Coordination) -> None:
    await Agent(state, "a").lock("b.py")
    with pytest.raises(Busy) as refused:
        await Agent(state, "b").lock("a.py", "b.py", "c.py")
    facts = refused.value.data()
    assert [each["resource"] for each in facts["holders"]] == [f"{TREE}/b.py"]
    assert facts["next"] and facts["place"] == 1
    assert [each["resource"] for each in await Agent(state, "a").locks()] == [f"{TREE}/b.py"]


@pytest.mark.parametrize(
    ("held", "asked", "is_free"),
    [
        ("src/", "src/deep/a.py", False),
        ("src/deep/a.py", "src/", False),
        ("src/", "src", False),
        ("src/a.py", "src/a.pyc", True),
        ("src/", "src2/a.py", True),
        ("/", "anything/at/all", False),
        ("port:3000", "port:3001", True),
        ("app/[id]/page.tsx", "app/[id]/page.tsx", False),
        ("app/[id]/", "app/i/page.tsx", True),
    ],
)
def test_a_folder_overlaps_all_below(tmp_path: Path, held: str, asked: str, is_free: bool) -> None:
    async def work(state: Coordination) -> bool:
        await Agent(state, "a").lock(held)
        try:
            await Agent(state, "b").lock(asked)
        except Busy:
            return False
        return True

    assert run(tmp_path, work) is is_free


@shared
async def test_readers_share_and_a_writer_waits_for_all(state: Coordination) -> None:
    one = await Agent(state, "a").lock("a.py", mode="shared")
    other = await Agent(state, "b").lock("a.py", mode="shared")
    writer = asyncio.ensure_future(wait_for(state, "w", "a.py"))
    await until(lambda: state.feed.waiting == 1)
    with pytest.raises(Busy):  # the writer is older than a further reader
        await Agent(state, "c").lock("a.py", mode="shared")
    await Agent(state, "a").release(one["token"])
    assert not writer.done()
    await Agent(state, "b").release(other["token"])
    assert (await writer)["token"]


async def wait_for(state: Coordination, name: str, *resources: str, **more: Any) -> Any:
    return await Agent(state, name).lock(*resources, on_busy="wait", wait_ms=20_000, **more)


@shared
async def test_waiters_are_served_in_the_order_of_asking(state: Coordination) -> None:
    held = await Agent(state, "first").lock("a.py")
    served: list[str] = []

    async def wait(name: str) -> None:
        token = (await wait_for(state, name, "a.py"))["token"]
        served.append(name)
        await Agent(state, name).release(token)

    waiting = []
    for n in range(5):
        waiting.append(asyncio.ensure_future(wait(f"w{n}")))
        await until(lambda n=n: state.feed.waiting == n + 1)  # type: ignore[misc]
    await Agent(state, "first").release(held["token"])
    await asyncio.gather(*waiting)
    assert served == ["w0", "w1", "w2", "w3", "w4"]


@shared
async def test_a_big_set_is_not_starved(state: Coordination) -> None:
    """While small locks come and go, the set that asked first gets all of its resources."""
    small = [await Agent(state, f"s{n}").lock(f"{n}.py") for n in range(4)]
    big = asyncio.ensure_future(wait_for(state, "big", "0.py", "1.py", "2.py", "3.py"))
    await until(lambda: state.feed.waiting == 1)
    for n, held in enumerate(small):
        assert not big.done()
        await Agent(state, f"s{n}").release(held["token"])
        with pytest.raises(Busy):
            await Agent(state, f"again{n}").lock(f"{n}.py")
    assert (await big)["token"]


def test_philosophers_eat_or_are_told_the_cycle(tmp_path: Path) -> None:
    async def work(state: Coordination) -> list[str]:
        names = ["ada", "bob", "cyd", "dan", "eve"]
        left = {
            name: (await Agent(state, name).lock(f"fork:{n}"))["token"]
            for n, name in enumerate(names)
        }
        eaten: list[str] = []

        async def eat(n: int) -> None:
            name = names[n]
            try:
                right = await wait_for(state, name, f"fork:{(n + 1) % 5}")
                eaten.append(name)
                await Agent(state, name).release(right["token"])
            except WouldDeadlock as error:
                cycle = error.data()["cycle"]
                assert cycle[0] == cycle[-1] == name and len(cycle) == 6
            await Agent(state, name).release(left[name])

        await asyncio.gather(*(eat(n) for n in range(5)))
        return eaten

    assert len(run(tmp_path, work)) == 4


@shared
async def test_a_waiter_keeps_its_place_for_its_request(state: Coordination) -> None:
    held = await Agent(state, "a").lock("a.py")
    ask = {"on_busy": "wait", "request_id": "r1"}
    with pytest.raises(Busy, match="held by a") as refused:
        await Agent(state, "b").lock("a.py", wait_ms=1, **ask)
    assert "request_id" in refused.value.cure
    later = asyncio.ensure_future(wait_for(state, "c", "a.py"))
    await until(lambda: state.feed.waiting == 1)
    await Agent(state, "a").release(held["token"])  # b is served, though its call has ended
    mine = await Agent(state, "b").lock("a.py", wait_ms=1, **ask)
    assert not later.done()
    await Agent(state, "b").release(mine["token"])
    assert (await later)["token"]


@shared
async def test_a_waiter_without_a_request_leaves_no_place(state: Coordination) -> None:
    held = await Agent(state, "a").lock("a.py")
    with pytest.raises(Busy):
        await Agent(state, "b").lock("a.py", on_busy="wait", wait_ms=1)
    call = asyncio.ensure_future(wait_for(state, "c", "a.py"))
    await until(lambda: state.feed.waiting == 1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await Agent(state, "a").release(held["token"])
    assert (await Agent(state, "d").lock("a.py"))["token"]


@shared
async def test_who_wants_to_be_told_gets_one_message(state: Coordination) -> None:
    held = await Agent(state, "a").lock("a.py")
    with pytest.raises(Busy):
        await Agent(state, "b").lock("a.py", on_busy="notify")
    assert (await Agent(state, "b").inbox())["messages"] == []
    await Agent(state, "a").release(held["token"])
    again = await Agent(state, "a").lock("a.py")
    await Agent(state, "a").release(again["token"])
    assert [each["from"] for each in (await Agent(state, "b").inbox())["messages"]] == ["server"]


@shared
async def test_a_lease_ends_and_its_token_is_stale(state: Coordination, hand: Hand) -> None:
    held = await Agent(state, "a").lock("a.py", ttl_s=10)
    hand.move(9.9)
    with pytest.raises(Busy):
        await Agent(state, "b").lock("a.py")
    hand.move(0.2)
    taken = await Agent(state, "b").lock("a.py")
    assert int(taken["token"].split(".")[0]) > int(held["token"].split(".")[0])
    fence = [Fence("a.py", held["token"])]
    with pytest.raises(StaleToken) as refused:
        await Agent(state, "a").write({"x": 1}, fence=fence)
    facts = refused.value.data()
    assert (facts["resource"], facts["holder"]) == (f"{TREE}/a.py", "b")
    with pytest.raises(StaleToken):
        await Agent(state, "a").send("b", fence=fence)
    with pytest.raises(StaleToken):
        await Agent(state, "a").renew(held["token"])
    assert await Agent(state, "a").get("x") is None
    await Agent(state, "b").write({"x": 2}, fence=[Fence("a.py", taken["token"])])


@shared
async def test_a_folders_token_fences_its_files(state: Coordination) -> None:
    held = await Agent(state, "a").lock("src/")
    await Agent(state, "a").write({"x": 1}, fence=[Fence("src/a.py", held["token"])])
    with pytest.raises(StaleToken):
        await Agent(state, "a").write({"x": 2}, fence=[Fence("other.py", held["token"])])


@shared
async def test_an_expiry_is_an_event_and_lets_the_next_go_on(
    state: Coordination, hand: Hand
) -> None:
    await Agent(state, "a").lock("port:1", ttl_s=5)
    waiting = asyncio.ensure_future(wait_for(state, "b", "port:1"))
    await until(lambda: state.feed.waiting == 1)
    hand.move(5.1)
    await waiting
    events = (await Agent(state, "b").read(prefix="port:", changed_after=0))["events"]
    assert [(each["kind"], each["cause"]) for each in events] == [
        ("grant", None),
        ("release", "expired"),
        ("grant", None),
    ]


@shared
async def test_the_clock_jumps_an_hour_and_no_lease_does(state: Coordination, hand: Hand) -> None:
    held = await Agent(state, "a").lock("a.py", ttl_s=60)
    await Agent(state, "a").write({"x": 1}, ttl_s=60)
    for jump in (3600, -7200):
        hand.day += jump
        assert (await Agent(state, "a").renew(held["token"], ttl_s=60))["renewed"]
        assert await Agent(state, "b").get("x") == 1


def test_a_restart_renews_locks_by_their_lease(tmp_path: Path) -> None:
    hand = Hand()

    async def hold(state: Coordination) -> str:
        token = (await Agent(state, "a").lock("a.py", ttl_s=60))["token"]
        hand.move(50)
        await Agent(state, "a").write({"x": 1}, ttl_s=100)
        return str(token)

    async def find(state: Coordination) -> None:
        hand.move(55)
        with pytest.raises(Busy):
            await Agent(state, "b").lock("a.py")
        assert (await Agent(state, "a").read("x"))["items"][0]["expires_in"] == 45
        assert (await Agent(state, "a").renew(token))["renewed"]

    token = run(tmp_path, hold, hand)
    hand.move(100_000)  # while nothing runs
    run(tmp_path, find, hand)


@shared
async def test_an_admin_breaks_a_lock_and_its_holder_is_told(state: Coordination) -> None:
    held = await Agent(state, "a").lock("a.py")
    reader = Agent(state, "r", scope="report")
    with pytest.raises(Forbidden):
        await state.break_lock(reader.caller, BreakLock(resource="a.py", reason="stuck"))
    broken = await state.break_lock(
        Agent(state, "root").caller, BreakLock(resource="a.py", reason="stuck")
    )
    assert [each["name"] for each in broken["broken"]] == ["a"]
    with pytest.raises(StaleToken):
        await Agent(state, "a").release(held["token"])
    [told] = (await Agent(state, "a").inbox())["messages"]
    assert "root broke your lock" in told["body"] and "stuck" in told["body"]


@pytest.mark.parametrize("resource", ["", "x" * 1025, "../other.py", "a\0b", "é" * 600])
@shared
async def test_what_is_no_resource_is_refused(state: Coordination, resource: str) -> None:
    with pytest.raises(InvalidParams):
        await Agent(state, "a").lock(resource)


@shared
async def test_a_path_needs_a_working_tree(state: Coordination) -> None:
    with pytest.raises(InvalidParams, match="working tree is not known"):
        await Agent(state, "a", tree="").lock("src/a.py")
    assert await Agent(state, "a", tree="").lock("/abs/a.py", "db:test")


@shared
async def test_1000_sleepers_do_not_shut_the_door(state: Coordination) -> None:
    async def sleep(n: int) -> Any:
        return await Agent(state, f"s{n}").read(f"k{n}", changed_after=0, wait_ms=45_000)

    sleepers = [asyncio.ensure_future(sleep(n)) for n in range(1000)]
    await until(lambda: state.feed.waiting == 1000)
    await Agent(state, "a").write({"k7": 1})
    assert (await sleepers[7])["events"][0]["value"] == 1
    assert state.feed.waiting == 999
    for each in sleepers:
        each.cancel()
    await asyncio.gather(*sleepers, return_exceptions=True)
    assert state.feed.waiting == 0


def test_those_who_wait_are_told_when_the_server_stops(tmp_path: Path) -> None:
    async def running() -> list[Any]:
        async with opened(tmp_path) as state:
            read = Agent(state, "a").read("x", changed_after=0, wait_ms=45_000)
            mail = Agent(state, "b").inbox(wait_ms=45_000)
            calls = [asyncio.ensure_future(read), asyncio.ensure_future(mail)]
            await until(lambda: state.feed.waiting == 2)
        return await asyncio.gather(*calls, return_exceptions=True)

    assert [type(each).__name__ for each in asyncio.run(running())] == ["StoreUnavailable"] * 2
