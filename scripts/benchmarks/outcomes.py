"""Outcomes a second, and questions over a store of many decisions and patterns."""

import asyncio
import contextlib
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from orchestr8_index.learn.outcomes import Outcomes
from orchestr8_index.records import Decision
from orchestr8_index.store import ledger
from orchestr8_index.store.database import size_bytes
from orchestr8_index.store.store import Store
from orchestr8_index.text import Terms

from .harness import Run, apart
from .load import closed_loop
from .servers import Client, Server, agents_of, outcome, rpc
from .texts import questions

LIMITS = {"MCP_STORE_SOFT_MB": "20000", "MCP_STORE_HARD_MB": "40000"}
REPORTERS, QUERIES = 100, 3000


def ask(client: Client, texts: list[str]) -> float:
    """The median question's milliseconds."""
    return statistics.median(client.call("queryAgents", {"context": text})[1] for text in texts)


def figures(run: Run, server: Server) -> None:
    size = size_bytes(Path(server.data_dir)) / 1e6
    run.row("  afterwards", unit="MB", memory=server.memory_mb, database=size)


def reports(run: Run, count: int, agents: list[str]) -> None:
    texts = questions(run.root, count, seed=11)
    named = [outcome(f"t{n}", text, agents[n % len(agents)]) for n, text in enumerate(texts)]
    sent = iter([rpc("cacheDecision", params) for params in named])
    with Server(run.root, MCP_MAX_RUNNING=str(4 * REPORTERS)) as server:  # else a tenth is refused
        client = Client(server.port)
        before = ask(client, texts[:QUERIES])
        run.row("memory, idle", server.memory_mb, "MB")
        started = time.perf_counter()
        seen = asyncio.run(closed_loop(server.port, sent, REPORTERS))
        rate = len(seen.spent) / (time.perf_counter() - started)
        run.row(f"{REPORTERS} reporters", rate, "a second")
        seen.tell(run)
        after = ask(client, questions(run.root, QUERIES, seed=13))
        run.row("  questions, p50", unit="ms", without_outcomes=before, with_them=after)
        run.row("  with them as long as without", after / before, "times")
        figures(run, server)


def decisions(root: str, count: int, agents: list[str], pairs: bool) -> Iterator[Decision]:
    """One for each question, every tenth a failure; with `pairs` two successes of two agents,
    which make a pattern."""
    moment, many = ledger.now(), len(agents)
    for number, text in enumerate(questions(root, count, seed=17)):
        for twice in "ab" if pairs else "a":
            pair = (agents[number % many], agents[number // many % many])
            yield Decision(
                task_id=f"d{number}{twice}",
                task_description=text,
                agents_used=pair if pairs else pair[:1],
                result="success" if pairs or number % 10 else "failure",
                duration_ms=5.0 if pairs else None,
                tokens_saved=1 if pairs else None,
                timestamp=moment,
            )


def insert(batch: list[Decision], connection: sqlite3.Connection) -> None:
    for decision in batch:
        ledger.insert_decision(connection, decision)


def fill(data_dir: str, *of: object) -> None:
    """Rows through the ledger, then one count of everything and its checkpoint."""
    store, made = Store(Path(data_dir)), decisions(*of)
    outcomes = Outcomes(store, Terms(1 << 16))
    store.open()
    store.reader.execute("PRAGMA synchronous = OFF")
    store.reader.execute("PRAGMA cache_size = -200000")
    while batch := list(islice(made, 10_000)):
        store.prepare(partial(insert, batch))
    outcomes.load()

    async def finish() -> None:
        store.start()
        await outcomes.checkpoint()

    asyncio.run(finish())
    store.close()


@contextlib.contextmanager
def over_filled(run: Run, count: int, agents: list[str], pairs: bool) -> Iterator[Server]:
    """A server over a filled store, as soon as it has all experience."""
    with tempfile.TemporaryDirectory() as data_dir:
        Server(run.root, data_dir=data_dir).stop()
        started = time.perf_counter()
        apart(fill, data_dir, run.root, count, agents, pairs)
        name = f"{count:,} {'pairs of ' if pairs else ''}decisions"
        run.row(f"{name} filled in", time.perf_counter() - started, "s")
        with Server(run.root, data_dir=data_dir, **LIMITS) as server:
            started = time.perf_counter()
            while not server.get("/health")[1]["database"]["connected"]:
                time.sleep(0.005)
            ready = server.ready_s + time.perf_counter() - started
            run.row("  start", unit="s", first_answer=server.ready_s, with_all_experience=ready)
            yield server
            figures(run, server)


def filled(run: Run, count: int, agents: list[str]) -> None:
    with over_filled(run, count, agents, pairs=False) as server:
        asked = questions(run.root, QUERIES, seed=19)
        run.row("  questions, p50", ask(Client(server.port), asked), "ms")


def patterned(run: Run, count: int, agents: list[str]) -> None:
    with over_filled(run, count, agents, pairs=True) as server:
        client, method = Client(server.port), "getOrchestrationPattern"
        run.row("  patterns", server.get("/metrics")[1]["patterns"]["total"])
        asked = questions(run.root, 1000, seed=23)
        run.times(f"  {method}", [client.call(method, {"goal": text})[1] for text in asked])


def main(arguments: list[str]) -> None:
    options = {"outcomes": 10_000, "patterns": 10_000, "decisions": 0}
    with Run(__doc__, arguments, **options) as run:
        with Server(run.root) as server:
            agents = agents_of(Client(server.port), questions(run.root, 300, seed=3))
        for name, work in (("outcomes", reports), ("patterns", patterned), ("decisions", filled)):
            if count := getattr(run.given, name):
                work(run, count, agents)
