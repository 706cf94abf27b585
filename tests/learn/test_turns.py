"""Reports of one task follow each other, and a removal goes alone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from orchestr8_index.learn.outcomes import Turns


async def settle() -> None:
    """Let everything go on that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def future() -> asyncio.Future[str]:
    return asyncio.get_running_loop().create_future()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_a_report_waits_for_the_one_of_the_same_task_alone() -> None:
    async def work() -> None:
        turns, write = Turns(), future()
        first = asyncio.create_task(turns.hold("a", write))
        await settle()
        same, other = (asyncio.create_task(turns.wait(task)) for task in "ab")
        await settle()
        assert other.done() and not same.done()
        write.set_result("written")
        await same
        assert await first == "written"

    run(work())


def test_a_write_that_fails_lets_the_next_one_go() -> None:
    async def work() -> None:
        turns, write = Turns(), future()
        first = asyncio.create_task(turns.hold("a", write))
        await settle()
        write.set_exception(OSError("full"))
        await turns.wait("a")
        with pytest.raises(OSError, match="full"):
            await first

    run(work())


def test_a_removal_begins_when_all_is_written_and_holds_up_what_comes() -> None:
    async def work() -> None:
        turns, write, order = Turns(), future(), list[str]()

        async def remove() -> None:
            async with turns.alone():
                order.append("removed")
                await settle()
                order.append("end")

        async def report() -> None:
            await turns.wait("b")
            order.append("reported")

        first = asyncio.create_task(turns.hold("a", write))
        await settle()
        removal, later = asyncio.create_task(remove()), asyncio.create_task(report())
        await settle()
        assert order == []
        write.set_result("written")
        await asyncio.gather(first, removal, later)
        assert order == ["removed", "end", "reported"]

    run(work())


def test_a_removal_that_fails_holds_up_nobody() -> None:
    async def work() -> None:
        turns = Turns()
        with pytest.raises(OSError, match="full"):
            async with turns.alone():
                raise OSError("full")
        await asyncio.wait_for(turns.wait("a"), 1)
        async with turns.alone():
            pass

    run(work())
