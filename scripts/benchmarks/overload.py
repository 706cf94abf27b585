"""What happens at ten times the load that it can take? And how soon is it well again?

scripts/bench overload --root DIR [--seconds 20] [--times 10] [--connections 128]
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import multiprocessing
import tempfile
import time
from pathlib import Path

from load import BROKEN, Seen, Wire, call, closed_loop, mix, open_loop
from machine import Server, describe

FIXTURE = Path(__file__).resolve().parents[2] / "plugins_fixture"
SENDERS = 2
CALM = 20.0  # ms: as an answer of a server at rest, with some patience


def offer(
    port: int, root: str, rate: float, seconds: float, seed: int, wires: int
) -> tuple[int, Seen]:
    seen = Seen()
    due = asyncio.run(
        open_loop(port, mix(root, seed), rate, seconds, seen, wires=wires, patience=0.2)
    )
    return due, seen


async def recovery(port: int) -> float:
    """Seconds until ten answers in a row come as fast as at rest."""
    started, good, wire = time.perf_counter(), 0, Wire(port)
    while good < 10:
        before = time.perf_counter()
        try:
            status, _ = await wire.post(call("querySkills", {"context": f"release {good}"}))
        except BROKEN:
            status = 0
        quick = (time.perf_counter() - before) * 1000 < CALM
        good = good + 1 if status == 200 and quick else 0
        await asyncio.sleep(0.005)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=str(FIXTURE))
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--times", type=float, default=10)
    arguments = parser.parse_args()
    root = arguments.root
    print(f"machine  {describe()}\nroot     {root}", flush=True)
    with tempfile.TemporaryDirectory() as data_dir:
        server = Server([root], data_dir)
        capacity = asyncio.run(closed_loop(server.port, mix(root), 8, 10.0))
        rate = capacity * arguments.times
        print(f"capacity, 8 connections        {capacity:,.0f} requests a second")
        wires = arguments.connections // SENDERS
        with multiprocessing.get_context("spawn").Pool(SENDERS) as senders:
            shares = [
                (server.port, root, rate / SENDERS, arguments.seconds, 100 + n, wires)
                for n in range(SENDERS)
            ]
            found = senders.starmap(offer, shares)
        took = asyncio.run(recovery(server.port))
        tell(found, rate, arguments.seconds, took)
        print(f"memory                         {server.memory_mb():.1f} MB")
        server.stop()


def tell(found: list[tuple[int, Seen]], rate: float, seconds: float, took: float) -> None:
    every = Seen()
    for _, seen in found:
        every.spent += seen.spent
        every.refused += seen.refused
        every.statuses += seen.statuses
        every.wrong += seen.wrong
    print(f"offered                        {rate:,.0f} a second for {seconds:g} s")
    print(f"accepted                       {every.line()}")
    print(f"refused (429, 503)             {every.line(every.refused)}")
    print(f"statuses                       {dict(every.statuses)}")
    print(f"wrong                          {collections.Counter(every.wrong).most_common(3)}")
    print(f"well again after               {took:.2f} s")


if __name__ == "__main__":
    main()
