"""Start, memory, hits and misses of one server, through HTTP like any client."""

import statistics
import tempfile

from .harness import Run
from .servers import KINDS, Client, Server
from .texts import questions

FIRST, HITS = 1000, 2000


def starts(run: Run) -> None:
    """Cold: with an empty data directory. Warm: with the index that the cold start left."""
    spent: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(run.given.rounds):
        with tempfile.TemporaryDirectory() as data_dir:
            for times in spent.values():
                with Server(run.root, data_dir=data_dir) as server:
                    times.append(server.ready_s)
    for name, times in spent.items():
        run.row(f"{name} start", unit="s", runs=len(times), median=statistics.median(times))


def ask(client: Client, texts: list[str]) -> list[float]:
    """Milliseconds of each question, of the three kinds in turn."""
    spent = []
    for number, text in enumerate(texts):
        method, field = KINDS[number % len(KINDS)]
        reply, milliseconds = client.call(method, {field: text})
        assert "result" in reply, reply
        spent.append(milliseconds)
    return spent


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, queries=20_000, rounds=5) as run:
        starts(run)
        texts = questions(run.root, run.given.queries)
        with Server(run.root) as server:
            client, before = Client(server.port), server.cpu_s
            run.row("entries", server.get("/health")[1]["indexes"])
            run.row("memory, idle", server.memory_mb, "MB")
            run.times("miss, one connection", ask(client, texts[:FIRST]))
            run.row(f"memory after {FIRST:,} questions", server.memory_mb, "MB")
            hot = {"context": texts[0]}
            run.times("hit", [client.call("queryAgents", hot)[1] for _ in range(HITS)])
            if rest := texts[FIRST:]:
                run.times("miss, the others", ask(client, rest))
            run.row(f"memory after {len(texts):,} questions", server.memory_mb, "MB")
            each = (server.cpu_s - before) * 1000 / (len(texts) + HITS)
            run.row("processor time of a request", each, "ms")
