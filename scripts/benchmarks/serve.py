"""How fast does it start and answer, and in how much memory? Through HTTP, like any client.

scripts/bench serve --root DIR [--queries 20000]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from machine import Client, Server, describe, percentile, questions

KINDS = (("queryAgents", "context"), ("querySkills", "context"), ("queryWorkflows", "goal"))
FIXTURE = Path(__file__).resolve().parents[2] / "plugins_fixture"


def starts(root: str, rounds: int) -> tuple[list[float], list[float]]:
    cold, warm = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as data_dir:
            for times in (cold, warm):
                server = Server([root], data_dir)
                times.append(server.ready_s)
                server.stop()
    return cold, warm


def ask(client: Client, texts: list[str]) -> list[float]:
    spent = []
    for number, text in enumerate(texts):
        method, field = KINDS[number % len(KINDS)]
        reply, milliseconds = client.call(method, {field: text})
        assert "result" in reply, reply
        spent.append(milliseconds)
    return spent


def row(name: str, values: list[float], unit: str) -> str:
    p50, p95, p99 = (percentile(values, share) for share in (0.5, 0.95, 0.99))
    return f"{name:34} p50 {p50:7.3f}  p95 {p95:7.3f}  p99 {p99:7.3f} {unit}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=str(FIXTURE))
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"machine  {describe()}\nroot     {arguments.root}")
    cold, warm = starts(arguments.root, arguments.rounds)
    print(f"cold start, {len(cold)} runs             median {statistics.median(cold):.3f} s")
    print(f"warm start, {len(warm)} runs             median {statistics.median(warm):.3f} s")
    texts = questions(arguments.root, arguments.queries)
    with tempfile.TemporaryDirectory() as data_dir:
        server = Server([arguments.root], data_dir)
        client = Client(server.port)
        print(f"entries                            {server.get('/health')[1]['indexes']}")
        print(f"memory, idle                       {server.memory_mb():.1f} MB")
        first = ask(client, texts[:1000])
        print(f"memory after 1,000 questions       {server.memory_mb():.1f} MB")
        print(row("miss, one connection", first, "ms"))
        hot = [client.call("queryAgents", {"context": texts[0]})[1] for _ in range(2000)]
        print(row("hit, one connection", hot, "ms"))
        rest = ask(client, texts[1000:])
        if rest:
            print(row(f"miss, the next {len(rest):,}", rest, "ms"))
        print(f"memory after {arguments.queries:,} questions      {server.memory_mb():.1f} MB")
        server.stop()


if __name__ == "__main__":
    main()
