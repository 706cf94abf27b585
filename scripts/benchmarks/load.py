"""What the load benchmarks share: raw keep-alive connections, a natural mix of calls, a pace.

A paced request's time is from the moment at which it was due, not from when a connection was free
for it: a server that stalls is not excused by the requests that could not be sent meanwhile.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import math
import random
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machine import HOST, percentile, questions

BROKEN = (OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
Body = bytes


def call(method: str, params: dict[str, Any]) -> Body:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


class Wire:
    """One connection, opened when needed and again after it broke."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: Body, path: str = "/") -> tuple[int, bytes]:
        """(status, body). Raises one of BROKEN."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port)
        reading, writing = self._streams
        head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            writing.write(head.encode() + body)
            return await self._reply(reading)
        except BaseException:
            self.close()
            raise

    async def _reply(self, reading: asyncio.StreamReader) -> tuple[int, bytes]:
        head = (await reading.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
        body = await reading.readexactly(int(length or 0))
        if b"connection: close" in head:
            self.close()
        return int(head.split(b" ", 2)[1]), body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass
class Seen:
    """What came back: milliseconds of the answers, counts of everything else."""

    spent: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)

    def note(self, status: int, body: bytes, spent: float) -> None:
        self.statuses[str(status)] += 1
        if status in (429, 503):
            self.refused.append(spent)
        elif status == 200 and b'"result":' in body:
            self.spent.append(spent)
        else:
            self.wrong.append(f"{status} {body[:200]!r}")

    def line(self, values: list[float] | None = None) -> str:
        values = self.spent if values is None else values
        if not values:
            return "none"
        p50, p99 = percentile(values, 0.5), percentile(values, 0.99)
        return f"{len(values):,}  p50 {p50:.2f}  p99 {p99:.2f}  most {max(values):.1f} ms"


def mix(root: str, seed: int = 7) -> Iterator[Body]:
    """New and repeated questions of three kinds, contexts, patterns, outcomes: a task's outcome
    always names the same agent."""
    draw = random.Random(seed)
    texts = questions(root, 4000, seed)
    agents = sorted(path.stem for path in Path(root).rglob("agents/*.md"))[:50] or ["nobody"]
    number = 0
    while True:
        number += 1
        text = draw.choice(texts[:40]) if draw.random() < 0.3 else draw.choice(texts)
        share = draw.random()
        if share < 0.85:
            method, name = draw.choice(
                [("queryAgents", "context"), ("querySkills", "context"), ("queryWorkflows", "goal")]
            )
            yield call(method, {name: text})
        elif share < 0.90:
            yield call("getContext", {"task": text, "max_tokens": 800})
        elif share < 0.95:
            yield call("getOrchestrationPattern", {"goal": text})
        else:
            yield outcome(f"{seed}-{number}", text, agents[zlib.crc32(text.encode()) % len(agents)])


def outcome(task: str, text: str, agent: str) -> Body:
    params = {"task_id": task, "task_description": text, "agents_used": [agent]}
    return call("cacheDecision", {**params, "result": "success"})


async def closed_loop(port: int, bodies: Iterator[Body], wires: int, seconds: float) -> float:
    """Requests a second that `wires` connections get answered, each asking as fast as it can."""
    end, answered = time.perf_counter() + seconds, 0

    async def ask() -> None:
        nonlocal answered
        wire = Wire(port)
        while time.perf_counter() < end:
            await wire.post(next(bodies))
            answered += 1
        wire.close()

    await asyncio.gather(*(ask() for _ in range(wires)))
    return answered / seconds


async def open_loop(
    port: int,
    bodies: Iterator[Body],
    rate: float,
    seconds: float,
    seen: Seen,
    wires: int = 64,
    patience: float = math.inf,
) -> int:
    """Requests due at `rate` a second, whatever comes back; returns how many were due.

    One that found no free connection within `patience` seconds is given up, and counted `unsent`;
    with a patience the times are from the sending, for the senders are the ones to wait.
    """
    due: asyncio.Queue[float | None] = asyncio.Queue()
    of = (port, due, bodies, seen, patience)
    asking = [asyncio.create_task(_ask_when_due(*of)) for _ in range(wires)]
    started, sent = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        while sent < elapsed * rate:
            due.put_nowait(started + sent / rate)
            sent += 1
        await asyncio.sleep(0.001)
    for _ in asking:
        due.put_nowait(None)
    await asyncio.gather(*asking)
    return sent


async def _ask_when_due(
    port: int,
    due: asyncio.Queue[float | None],
    bodies: Iterator[Body],
    seen: Seen,
    patience: float,
) -> None:
    wire = Wire(port)
    while (moment := await due.get()) is not None:
        sent = time.perf_counter()
        if sent - moment > patience:
            seen.statuses["unsent"] += 1
            continue
        try:
            status, body = await wire.post(next(bodies))
        except BROKEN as error:
            seen.statuses[type(error).__name__] += 1
            seen.wrong.append(repr(error))
            continue
        since = moment if patience == math.inf else sent
        seen.note(status, body, (time.perf_counter() - since) * 1000)
    wire.close()


def open_files(pid: int) -> int:
    with contextlib.suppress(OSError):
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return 0
