"""Load: raw keep-alive connections, a natural mix of calls, and a pace.

A paced request's time is from the moment at which it was due, not from when a connection was free
for it: a server that stalls is not excused by the requests that could not be sent meanwhile.
"""

import asyncio
import collections
import math
import random
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .harness import Run
from .servers import HOST, KINDS, outcome, rpc
from .texts import questions

Over = Callable[[float], bool]  # of the seconds since the start
BROKEN = (OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


class Wire:
    """One connection, opened when needed and again after it broke."""

    def __init__(self, port: int) -> None:
        self._port, self._streams = port, None

    async def post(self, body: bytes, path: str = "/", headers: str = "") -> tuple[int, bytes]:
        """(status, body). Raises one of BROKEN."""
        self._streams = self._streams or await asyncio.open_connection(HOST, self._port)
        reading, writing = self._streams
        length = f"Content-Length: {len(body)}\r\n{headers}"
        head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{length}\r\n"
        try:
            writing.write(head.encode() + body)
            head = (await reading.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
            body = await reading.readexactly(int(length or 0))
        except BaseException:
            self.close()
            raise
        if b"connection: close" in head:
            self.close()
        return int(head.split(b" ", 2)[1]), body

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None


@dataclass
class Seen:
    """What came back: milliseconds of the answers, counts of everything else."""

    spent: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    wrong: collections.Counter[str] = field(default_factory=collections.Counter)

    def note(self, status: int, body: bytes, spent: float) -> None:
        self.statuses[str(status)] += 1
        if status in (429, 503):
            self.refused.append(spent)
        elif status == 200 and b'"result":' in body:
            self.spent.append(spent)
        else:
            self.wrong[f"{status} {body[:200]!r}"] += 1

    def add(self, other: Any) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def tell(self, run: Run) -> None:
        for name, spent in (("answered", self.spent), ("refused (429, 503)", self.refused)):
            run.times(name, spent) if spent else run.row(name, 0)
        run.row("statuses", dict(self.statuses))
        run.row("wrong", self.wrong.total(), such_as=self.wrong.most_common(3))


def mix(root: Path | str, seed: int = 7) -> Iterator[bytes]:
    """New and repeated questions of three kinds, contexts, patterns, outcomes: a task's outcome
    always names the same agent."""
    draw, number = random.Random(seed), 0
    texts = questions(root, 4000, seed)
    agents = sorted(path.stem for path in Path(root).rglob("agents/*.md"))[:50] or ["nobody"]
    while True:
        number += 1
        text = draw.choice(texts[:40]) if draw.random() < 0.3 else draw.choice(texts)
        share = draw.random()
        if share < 0.85:
            method, name = draw.choice(KINDS)
            yield rpc(method, {name: text})
        elif share < 0.90:
            yield rpc("getContext", {"task": text, "max_tokens": 800})
        elif share < 0.95:
            yield rpc("getOrchestrationPattern", {"goal": text})
        else:
            agent = agents[zlib.crc32(text.encode()) % len(agents)]
            yield rpc("cacheDecision", outcome(f"{seed}-{number}", text, agent))


async def closed_loop(
    port: int, bodies: Iterator[bytes], wires: int, seconds: float = math.inf
) -> Seen:
    """`wires` connections that ask as fast as they can, for `seconds` or until `bodies` end."""
    end, seen = time.perf_counter() + seconds, Seen()

    async def ask() -> None:
        wire = Wire(port)
        for body in bodies:
            started = time.perf_counter()
            seen.note(*await wire.post(body), (time.perf_counter() - started) * 1000)
            if time.perf_counter() > end:
                break
        wire.close()

    await asyncio.gather(*(ask() for _ in range(wires)))
    return seen


async def capacity(port: int, bodies: Iterator[bytes], run: Run) -> float:
    """Answers a second over eight connections that ask as fast as they can for ten seconds."""
    seen = await closed_loop(port, bodies, 8, 10.0)
    rate = seen.statuses.total() / 10.0
    run.row("capacity, 8 connections", rate, "a second")
    return rate


async def open_loop(
    port: int, bodies: Iterator[bytes], rate: float, over: Over, wires: int = 64, patience=0.0
) -> Seen:
    """Requests due at `rate` a second, whatever comes back, until it is `over`.

    With a patience (seconds) a request that found no free connection within it is given up, and
    counted `unsent`; the times are then from the sending, for the senders are the ones to wait.
    """
    due: asyncio.Queue[float | None] = asyncio.Queue()
    seen, started, sent = Seen(), time.perf_counter(), 0

    async def ask() -> None:
        wire = Wire(port)
        while (moment := await due.get()) is not None:
            now = time.perf_counter()
            if patience and now - moment > patience:
                seen.statuses["unsent"] += 1
                continue
            try:
                status, body = await wire.post(next(bodies))
            except BROKEN as error:
                seen.statuses[type(error).__name__] += 1
                seen.wrong[repr(error)] += 1
                continue
            since = now if patience else moment
            seen.note(status, body, (time.perf_counter() - since) * 1000)
        wire.close()

    tasks = [asyncio.create_task(ask()) for _ in range(wires)]
    while not over(elapsed := time.perf_counter() - started):
        while sent < elapsed * rate:
            due.put_nowait(started + sent / rate)
            sent += 1
        await asyncio.sleep(0.001)
    for _ in tasks:
        due.put_nowait(None)
    await asyncio.gather(*tasks)
    return seen
