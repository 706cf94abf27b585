"""How fast does it learn, and what does it cost the answers? Through HTTP, like any client.

scripts/bench outcomes --root DIR [--decisions 1000000] [--patterns 10000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from machine import HOST, Client, Server, describe, percentile, questions

from orchestr8_index.learn.outcomes import Outcomes
from orchestr8_index.records import Decision
from orchestr8_index.store import ledger
from orchestr8_index.store.database import NAME, connect, size_bytes, transaction
from orchestr8_index.store.store import Store
from orchestr8_index.text import Terms

FIXTURE = Path(__file__).resolve().parents[2] / "plugins_fixture"
LIMITS = {"MCP_STORE_SOFT_MB": "20000", "MCP_STORE_HARD_MB": "40000"}
REPORTERS, QUERIES = 100, 3000


# --- reporting ---------------------------------------------------------------------------------


def request(task: str, text: str, agent: str) -> bytes:
    params = {"task_id": task, "task_description": text, "agents_used": [agent]}
    call = {"jsonrpc": "2.0", "id": 1, "method": "cacheDecision"}
    body = json.dumps({**call, "params": {**params, "result": "success"}}).encode()
    head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def reporter(port: int, requests: Iterator[bytes], spent: list[float]) -> None:
    reading, writing = await asyncio.open_connection(HOST, port)
    for sent in requests:
        started = time.perf_counter()
        writing.write(sent)
        head = await reading.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reading.readexactly(length)
        spent.append((time.perf_counter() - started) * 1000)
        assert b'"stored":true' in body, body
    writing.close()


async def report_all(port: int, requests: list[bytes]) -> tuple[float, list[float]]:
    spent: list[float] = []
    shared, started = iter(requests), time.perf_counter()
    await asyncio.gather(*(reporter(port, shared, spent) for _ in range(REPORTERS)))
    return time.perf_counter() - started, spent


def reports(root: str, outcomes: int) -> None:
    texts, agents = questions(root, outcomes, seed=11), agents_of(root)
    sent = [request(f"t{n}", text, agents[n % len(agents)]) for n, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as data_dir:
        server = Server([root], data_dir)
        client, fresh = Client(server.port), texts[:QUERIES]
        before = ask(client, fresh)
        idle = server.memory_mb()
        took, spent = asyncio.run(report_all(server.port, sent))
        p50, p99 = (percentile(spent, share) for share in (0.5, 0.99))
        print(
            f"{REPORTERS} reporters, {outcomes:,} outcomes     {outcomes / took:,.0f} a second  "
            f"p50 {p50:.2f}  p99 {p99:.2f} ms",
            flush=True,
        )
        after = ask(client, questions(root, QUERIES, seed=13))
        print(
            f"questions, p50                     {before:.3f} ms without, {after:.3f} ms with "
            f"{outcomes:,} decisions: {after / before:.2f} times"
        )
        print(f"memory                             {idle:.1f} MB, then {server.memory_mb():.1f} MB")
        print(f"database                           {size_bytes(Path(data_dir)) / 1e6:.1f} MB")
        server.stop()


def ask(client: Client, texts: list[str]) -> float:
    return statistics.median(client.call("queryAgents", {"context": text})[1] for text in texts)


def agents_of(root: str) -> list[str]:
    """Qualified names of a sample of the tree's agents, as the server gives them."""
    with tempfile.TemporaryDirectory() as data_dir:
        server, found = Server([root], data_dir), {}
        client = Client(server.port)
        for text in questions(root, 300, seed=3):
            reply, _ = client.call("queryAgents", {"context": text, "limit": 20})
            found |= {f"{row['plugin']}:{row['name']}": 0 for row in reply["result"]["agents"]}
        server.stop()
    return sorted(found)


# --- a store filled in bulk --------------------------------------------------------------------


def decisions(root: str, count: int, agents: list[str]) -> Iterator[Decision]:
    draw, moment = random.Random(5), ledger.now()
    for number, text in enumerate(questions(root, count, seed=17)):
        yield Decision(
            task_id=f"d{number}",
            task_description=text,
            agents_used=(agents[draw.randrange(len(agents))],),
            result="failure" if draw.random() < 0.1 else "success",
            duration_ms=None,
            tokens_saved=None,
            timestamp=moment,
        )


def fill(data_dir: str, made: Iterator[Decision]) -> None:
    """Rows through the ledger, then one count of everything and its checkpoint."""
    store = Store(Path(data_dir))
    outcomes = Outcomes(store, Terms(1 << 16))
    store.open()
    with_sync_off(store.reader)
    while batch := list(islice(made, 10_000)):
        with transaction(store.reader):
            for decision in batch:
                ledger.insert_decision(store.reader, decision)
    outcomes.load()

    async def finish() -> None:
        store.start()
        await outcomes.checkpoint()

    asyncio.run(finish())
    store.close()


def with_sync_off(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -200000")


def fill_apart(data_dir: str, root: str, count: int, agents: list[str]) -> float:
    """In a process of its own, so that its memory is not this one's."""
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        fill(data_dir, decisions(root, count, agents))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    return time.perf_counter() - started


def filled(root: str, count: int) -> None:
    agents = agents_of(root)
    with tempfile.TemporaryDirectory() as data_dir:
        Server([root], data_dir).stop()
        took = fill_apart(data_dir, root, count, agents)
        server = Server([root], data_dir, **LIMITS)
        started = time.perf_counter()
        while not server.get("/health")[1]["database"]["connected"]:
            time.sleep(0.005)
        ready = server.ready_s + time.perf_counter() - started
        p50 = ask(Client(server.port), questions(root, QUERIES, seed=19))
        print(
            f"{count:,} decisions (filled in {took:.0f} s)\n"
            f"  start                            first answer after {server.ready_s:.2f} s, "
            f"with all experience after {ready:.2f} s\n"
            f"  questions, p50                   {p50:.2f} ms\n"
            f"  memory                           {server.memory_mb():.0f} MB\n"
            f"  database                         {size_bytes(Path(data_dir)) / 1e6:.0f} MB"
        )
        server.stop()


# --- patterns ----------------------------------------------------------------------------------


def pattern_decisions(root: str, count: int, agents: list[str]) -> Iterator[Decision]:
    """Two successes for each of `count` goals, each goal with a sequence of its own kind."""
    for decision in decisions(root, count, agents):
        number = int(decision.task_id[1:])
        pair = (agents[number % len(agents)], agents[number // len(agents) % len(agents)])
        for twice in "ab":
            yield Decision(
                task_id=f"{decision.task_id}{twice}",
                task_description=decision.task_description,
                agents_used=pair,
                result="success",
                duration_ms=5.0,
                tokens_saved=1,
                timestamp=decision.timestamp,
            )


def patterned(root: str, count: int) -> None:
    agents = agents_of(root)
    with tempfile.TemporaryDirectory() as data_dir:
        Server([root], data_dir).stop()
        fill(data_dir, pattern_decisions(root, count, agents))
        with connect(Path(data_dir, NAME), read_only=True) as reading:
            total = reading.execute("SELECT count(*) FROM orchestration_patterns").fetchone()[0]
        server = Server([root], data_dir, **LIMITS)
        client, method = Client(server.port), "getOrchestrationPattern"
        client.call(method, {"goal": "waits until the store is open"})
        asked = questions(root, 1000, seed=23)
        spent = [client.call(method, {"goal": text})[1] for text in asked]
        p50, p99 = (percentile(spent, share) for share in (0.5, 0.99))
        print(f"{method:34} {total:,} patterns: p50 {p50:.2f}  p99 {p99:.2f} ms")
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=str(FIXTURE))
    parser.add_argument("--outcomes", type=int, default=10_000)
    parser.add_argument("--decisions", type=int, default=0)
    parser.add_argument("--patterns", type=int, default=10_000)
    arguments = parser.parse_args()
    print(f"machine  {describe()}\nroot     {arguments.root}")
    if arguments.outcomes:
        reports(arguments.root, arguments.outcomes)
    if arguments.patterns:
        patterned(arguments.root, arguments.patterns)
    if arguments.decisions:
        filled(arguments.root, arguments.decisions)


if __name__ == "__main__":
    main()
