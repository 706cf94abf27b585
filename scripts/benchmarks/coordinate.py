"""How fast is the shared state, beside this machine's fsync?

In process, full and fast; then through HTTP, one connection and fifty agents.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from orchestr8_index.coordinate.caller import Caller
from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.sharing import (
    LockResources,
    Op,
    ReadInbox,
    ReadShared,
    SendMessage,
    SessionCall,
    WriteShared,
    value_of,
)

from .harness import Run, Times, percentile
from .shared import measure_served

VALUE = value_of({"state": "running", "step": 3, "owner": "agent-7"})
WRITERS, EACH = 64, 150


def fsync_ms(folder: Path) -> float:
    """The median of a page written and synced."""
    spent = Times()
    with open(folder / "bare", "wb", buffering=0) as file:
        for _ in range(200):
            file.seek(0)
            file.write(os.urandom(4096))
            with spent:
                os.fsync(file.fileno())
    return percentile(spent, 0.5)


async def milliseconds(times: int, call: Callable[[int], Awaitable[Any]]) -> Times:
    spent = Times()
    for n in range(times):
        with spent:
            await call(n)
    return spent


def write(*keys: str) -> WriteShared:
    return WriteShared(ops=[Op(key, VALUE) for key in keys])


async def measure_writes(run: Run, state: Coordination, sync: str) -> None:
    one = Caller("agent-0", tree="/work")
    spent = await milliseconds(1000, lambda n: state.write_shared(one, write(f"k/{n}")))
    run.times(f"{sync}: write", spent)

    async def writer(number: int) -> None:
        me = Caller(f"agent-{number}")
        for n in range(EACH):
            await state.write_shared(me, write(f"w/{number}/{n}"))

    started = time.perf_counter()
    await asyncio.gather(*(writer(number) for number in range(WRITERS)))
    rate = WRITERS * EACH / (time.perf_counter() - started)
    run.row(f"{sync}: writes of {WRITERS} writers", rate, "a second")

    async def set_of_five(n: int) -> None:
        names = [f"{n}/{part}.py" for part in range(5)]
        await state.lock(one, LockResources(action="acquire", resources=names))

    run.times(f"{sync}: 5 locks as one set", await milliseconds(200, set_of_five))


async def measure_reads(run: Run, state: Coordination, keys: int) -> None:
    one = Caller("agent-0", tree="/work")
    for start in range(0, keys, 100):
        await state.write_shared(one, write(*(f"many/{n:07}" for n in range(start, start + 100))))
    key = [ReadShared(keys=[f"many/{n * 7919 % keys:07}"]) for n in range(2000)]
    run.times("read by key", await milliseconds(2000, lambda n: state.read_shared(one, key[n])))
    page = ReadShared(prefix="many/", after=f"many/{keys // 2:07}", limit=50)
    run.times("50 by prefix", await milliseconds(1000, lambda n: state.read_shared(one, page)))


async def measure_handing_over(run: Run, state: Coordination) -> None:
    one, other = Caller("agent-1", tree="/work"), Caller("agent-2", tree="/work")
    spent, woken = Times(), Times()
    for n in range(200):
        took = await state.lock(one, LockResources(action="acquire", resources=[f"turn:{n}"]))
        wait = LockResources(
            action="acquire", resources=[f"turn:{n}"], on_busy="wait", wait_ms=20_000
        )
        waiting = asyncio.ensure_future(state.lock(other, wait))
        while not state.feed.waiting:
            await asyncio.sleep(0.001)
        with spent:
            await state.lock(one, LockResources(action="release", token=took["token"]))
            await waiting
        rev = (await state.read_shared(one, ReadShared(keys=["woken"])))["rev"]
        read = ReadShared(keys=["woken"], changed_after=rev, wait_ms=20_000)
        reading = asyncio.ensure_future(state.read_shared(other, read))
        while not state.feed.waiting:
            await asyncio.sleep(0.001)
        with woken:
            await state.write_shared(one, write("woken"))
            await reading
    run.times("release to the next waiter", spent)
    run.times("write to a reader", woken)


async def measure_messages(run: Run, state: Coordination, messages: int) -> None:
    one = Caller("agent-1")
    await state.session(one, SessionCall(action="create", id="big"))
    words = ["deployment", "failed", "gateway", "review", "index", "token", "merge", "branch"]

    async def send(n: int) -> None:
        body = " ".join(words[(n * step) % len(words)] for step in range(1, 12)) + f" number{n}"
        await state.send_message(one, SendMessage(to=["reader"], body=body, session="big"))

    for start in range(0, messages, 200):
        await asyncio.gather(*(send(n) for n in range(start, start + 200)))
    read = SessionCall(action="read", id="big")
    run.times("last 50 of the session", await milliseconds(100, lambda n: state.session(one, read)))
    search = SessionCall(action="read", id="big", query="deploymnt faild number77", limit=10)
    run.times("fuzzy search in it", await milliseconds(50, lambda n: state.session(one, search)))
    reader = Caller("reader")
    run.times("its inbox", await milliseconds(50, lambda n: state.read_inbox(reader, ReadInbox())))


async def measure(run: Run, folder: Path, sync: str) -> None:
    state = Coordination(folder / sync, sync=sync)
    state.open()
    state.start()
    await measure_writes(run, state, sync)
    if sync == "fast":
        before = state.store.size_mb
        await measure_reads(run, state, run.given.keys)
        size = (state.store.size_mb - before) * 1e6 / run.given.keys
        run.row("bytes a key, all", round(size), keys=run.given.keys)
        await measure_handing_over(run, state)
        await measure_messages(run, state, run.given.messages)
    await state.close()
    again = Coordination(folder / sync, sync=sync)
    with (spent := Times()):
        again.open()
    run.row(f"{sync}: opened again", spent[0], "ms")
    again.start()
    await again.close()


def main(arguments: list[str]) -> None:
    sizes = {"keys": 100_000, "messages": 100_000, "calls": 500, "seconds": 60}
    with Run(__doc__, arguments, **sizes) as run:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            run.row("load and fsync", load=os.getloadavg()[0], fsync_p50_ms=fsync_ms(folder))
            for sync in ("full", "fast"):
                asyncio.run(measure(run, folder, sync))
            measure_served(run)
