"""Ten times the load that the server can take, and the time until it is well again."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from .harness import Run, apart
from .load import BROKEN, Seen, Wire, capacity, mix, open_loop
from .servers import Server, rpc

SENDERS = 2
CALM = 20.0  # ms: as an answer of a server at rest, with some patience


def offer(port: int, root: str, rate: float, seconds: float, wires: int, seed: int) -> Seen:
    bodies = mix(root, seed)
    return asyncio.run(
        open_loop(port, bodies, rate, lambda now: now > seconds, wires, patience=0.2)
    )


async def recovery(port: int) -> float:
    """Seconds until ten answers in a row come as fast as at rest."""
    started, good, wire = time.perf_counter(), 0, Wire(port)
    while good < 10:
        before, status = time.perf_counter(), 0
        try:
            status, _ = await wire.post(rpc("querySkills", {"context": f"release {good}"}))
        except BROKEN:
            pass
        quick = (time.perf_counter() - before) * 1000 < CALM
        good = good + 1 if status == 200 and quick else 0
        await asyncio.sleep(0.005)
    return time.perf_counter() - started


def main(arguments: list[str]) -> None:
    options = {"seconds": 20.0, "times": 10.0, "connections": 128}
    with Run(__doc__, arguments, **options) as run, Server(run.root) as server:
        given, every = run.given, Seen()
        rate = asyncio.run(capacity(server.port, mix(run.root), run)) * given.times
        run.row(f"offered for {given.seconds:g} s", rate, "a second")
        wires = given.connections // SENDERS
        share = (server.port, run.root, rate / SENDERS, given.seconds, wires)
        with ThreadPoolExecutor(SENDERS) as senders:
            for seen in senders.map(lambda n: apart(offer, *share, 100 + n), range(SENDERS)):
                every.add(seen)
        every.tell(run)
        run.row("well again after", asyncio.run(recovery(server.port)), "s")
        run.row("memory", server.memory_mb, "MB")
