"""Memory and latency under half of the capacity for long, with a re-index every 30 s."""

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections import Counter
from itertools import islice
from pathlib import Path

from .harness import Run, progress
from .load import Wire, capacity, closed_loop, mix, open_loop
from .servers import Server

WARM_UP, EVERY, LOOK = 120.0, 30.0, 5.0  # seconds


async def reindexing(port: int, root: Path, end: float) -> Counter[int]:
    """Every 30 s one file changes and everything is built again; how often with which status."""
    wire, file, statuses = Wire(port), min(root.rglob("agents/*.md")), Counter[int]()
    text = file.read_text("utf-8")
    while time.perf_counter() + EVERY < end:
        await asyncio.sleep(EVERY)
        file.write_text(f"{text}\nSoaked {statuses.total()} times.\n", "utf-8")
        statuses[(await wire.post(b"", "/reindex"))[0]] += 1
    return statuses


async def watching(server: Server, end: float) -> tuple[list[float], list[int]]:
    """Samples of memory (MB) and open files, after the warm-up."""
    started, memory, files = time.perf_counter(), list[float](), list[int]()
    while (now := time.perf_counter()) < end:
        await asyncio.sleep(LOOK)
        progress(f"{now - started:.0f} s  {server.memory_mb:.1f} MB")
        if now - started > WARM_UP:
            memory.append(server.memory_mb)
            with contextlib.suppress(OSError):
                files.append(len(list(Path(f"/proc/{server.process.pid}/fd").iterdir())))
    return memory, files


async def soak(run: Run, server: Server, root: Path) -> int:
    bodies, seconds = mix(root), run.given.minutes * 60
    rate = await capacity(server.port, bodies, run) / 2
    end = time.perf_counter() + seconds
    seen, reindexed, (memory, files) = await asyncio.gather(
        open_loop(server.port, bodies, rate, lambda now: now > seconds),
        reindexing(server.port, root, end),
        watching(server, end),
    )
    run.row("due", rate, "a second")
    seen.tell(run)
    run.row("re-indexed", reindexed[200], refused=reindexed.total() - reindexed[200])
    learnt = server.get("/metrics")[1]["learning"]["revision"]
    run.row("outcomes learnt", learnt)
    if memory:  # none when it was over before the warm-up was
        run.row("memory after the warm-up", unit="MB", least=min(memory), most=max(memory))
    if files:
        run.row("open files after the warm-up", least=min(files), most=max(files))
    return learnt


async def needed(server: Server, root: Path, learnt: int) -> float:
    """MB that so many outcomes alone cost a server."""
    outcomes = (body for body in mix(root) if b"cacheDecision" in body)
    await closed_loop(server.port, islice(outcomes, 100), 8)
    before = server.memory_mb
    await closed_loop(server.port, islice(outcomes, learnt), 8)
    return server.memory_mb - before


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, minutes=30.0) as run, tempfile.TemporaryDirectory() as folder:
        root = Path(shutil.copytree(run.root, f"{folder}/tree"))
        with Server(root) as server:
            learnt = asyncio.run(soak(run, server, root))
        with Server(root) as server:
            alone = asyncio.run(needed(server, root, learnt))
        run.row("of it by as many outcomes alone", alone, "MB")
