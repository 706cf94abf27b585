"""Does it stay as it was? Half of the capacity, mixed, for long, with a re-index every 30 s.

scripts/bench soak --root DIR [--minutes 30]
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from load import Seen, Wire, closed_loop, mix, open_files, open_loop
from machine import Server, describe

FIXTURE = Path(__file__).resolve().parents[2] / "plugins_fixture"
WARM_UP = 120.0
EVERY, LOOK = 30.0, 5.0


@dataclass
class Figures:
    """Samples after the warm-up."""

    memory: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    reindexed: int = 0


async def reindexing(port: int, root: Path, figures: Figures, end: float) -> None:
    """Every 30 s one file changes and everything is built again."""
    wire, file = Wire(port), next(iter(sorted(root.rglob("agents/*.md"))))
    text = file.read_text("utf-8")
    while time.perf_counter() + EVERY < end:
        await asyncio.sleep(EVERY)
        file.write_text(f"{text}\nSoaked {figures.reindexed} times.\n", "utf-8")
        status, body = await wire.post(b"", "/reindex")
        assert status == 200, body
        figures.reindexed += 1


async def watching(server: Server, figures: Figures, started: float, end: float) -> None:
    while time.perf_counter() < end:
        await asyncio.sleep(LOOK)
        if time.perf_counter() - started > WARM_UP:
            figures.memory.append(server.memory_mb())
            figures.files.append(open_files(server.process.pid))
        if sys.stderr.isatty():
            spent = time.perf_counter() - started
            print(f"\r  {spent:.0f} s  {server.memory_mb():.1f} MB ", end="", file=sys.stderr)


async def soak(server: Server, root: Path, minutes: float) -> None:
    bodies = mix(str(root))
    capacity = await closed_loop(server.port, bodies, 8, 10.0)
    print(f"capacity, 8 connections        {capacity:,.0f} requests a second")
    started, seen, figures = time.perf_counter(), Seen(), Figures()
    end = started + minutes * 60
    load = open_loop(server.port, bodies, capacity / 2, minutes * 60, seen)
    others = (reindexing(server.port, root, figures, end), watching(server, figures, started, end))
    due, *_ = await asyncio.gather(load, *others)
    print(f"due at {capacity / 2:,.0f} a second          {due:,}, answered {seen.line()}")
    print(f"statuses                       {dict(seen.statuses)}, wrong {seen.wrong[:3]}")
    print(f"re-indexed                     {figures.reindexed} times")
    told = server.get("/metrics")[1]
    print(f"learnt meanwhile               {told['learning']['revision']:,} outcomes")
    if not figures.memory:  # over before the warm-up was
        return
    print(
        f"memory after the warm-up       {min(figures.memory):.1f} to {max(figures.memory):.1f} MB"
    )
    print(f"open files                     {min(figures.files)} to {max(figures.files)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=str(FIXTURE))
    parser.add_argument("--minutes", type=float, default=30)
    arguments = parser.parse_args()
    print(f"machine  {describe()}\nroot     {arguments.root}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "tree")
        shutil.copytree(arguments.root, root)
        server = Server([str(root)], f"{folder}/data")
        try:
            asyncio.run(soak(server, root, arguments.minutes))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
