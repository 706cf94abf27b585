"""What does the client cost, and does it lose anything? With real processes, some of them killed.

scripts/bench client --root DIR [--outcomes 10000]
"""

from __future__ import annotations

import argparse
import logging
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from machine import Server, describe, percentile, questions

from orchestr8_index import Orchestrator

FIXTURE = Path(__file__).resolve().parents[2] / "plugins_fixture"
IMPORTS = ("orchestr8_index", "orchestr8_index.client", "http.client")
REPORTER = """
import sys
from orchestr8_index import Orchestrator
data_dir, start, end = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = Orchestrator(data_dir=data_dir)
for number in range(start, end):
    client.report_outcome(f"t{number}", f"task number {number}", ["a"], "success")
    print(number, flush=True)
"""


# --- answers -----------------------------------------------------------------------------------


def import_ms(module: str) -> float:
    """With all that it imports, as `-X importtime` says: the median of nine processes."""

    def once() -> float:
        command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        lines = [line.split("|") for line in said.splitlines()]
        return next(int(spent) / 1000 for _, spent, name in lines if name.strip() == module)

    return statistics.median(once() for _ in range(9))


def spent_ms(client: Orchestrator, texts: list[str], source: str) -> list[float]:
    spent = []
    for text in texts:
        started = time.perf_counter()
        answer = client.query_agents(text)
        spent.append((time.perf_counter() - started) * 1000)
        assert answer.source == source, answer
    return spent


def say(what: str, spent: list[float]) -> None:
    p50, p99 = (percentile(spent, share) for share in (0.5, 0.99))
    print(f"{what:44} p50 {p50:.2f}  p99 {p99:.2f}  most {max(spent):.2f} ms", flush=True)


def answers(root: str) -> None:
    texts = questions(root, 2000)
    with tempfile.TemporaryDirectory() as data_dir:
        server = Server([root], data_dir)
        with Orchestrator(data_dir=data_dir) as client:
            say("from the server", spent_ms(client, texts[:500], "index"))
            say("from the client's cache", spent_ms(client, texts[:500], "index"))
            server.stop(signal.SIGKILL)
            first = spent_ms(client, texts[500:501], "embedded")
            print(f"{'first answer without it (imports, opens)':44} {first[0]:.1f} ms")
            say("then, without it", spent_ms(client, texts[501:], "embedded"))
        absence(data_dir, texts)


def absence(data_dir: str, texts: list[str]) -> None:
    """Embedded answers with an address where nobody is, against those that look for nobody."""
    nobody = Orchestrator("http://127.0.0.1:9", data_dir=data_dir, cache_seconds=0)
    without = Orchestrator(data_dir=data_dir, cache_seconds=0)
    for client in (nobody, without):
        client.query_agents(texts[0])
    dead, none = [], []
    for text in texts:
        dead += spent_ms(nobody, [text], "embedded")
        none += spent_ms(without, [text], "embedded")
    cost = statistics.fmean(dead) - statistics.fmean(none)
    worst = percentile(dead, 0.99) - percentile(none, 0.99)
    print(f"{'what a dead server costs a call':44} mean {cost:.3f}  p99 {worst:.3f} ms")
    refused = []
    for _ in range(200):
        started = time.perf_counter()
        nobody._connection.post("http://127.0.0.1:9", b"{}")
        refused.append((time.perf_counter() - started) * 1000)
    say("a refused attempt by itself", refused)


# --- outcomes ----------------------------------------------------------------------------------


def spool(data_dir: str, outcomes: int, draw: random.Random) -> tuple[list[int], int]:
    """Report them all while no server runs, in processes that are killed; which are acknowledged,
    and how often one was killed."""
    acknowledged: list[int] = []
    kills = 0
    while not acknowledged or acknowledged[-1] < outcomes - 1:
        start = acknowledged[-1] + 1 if acknowledged else 0
        command = [sys.executable, "-c", REPORTER, data_dir, str(start), str(outcomes)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        timer = threading.Timer(draw.uniform(0.5, 1.5), process.kill)
        timer.start()
        out, _ = process.communicate()
        timer.cancel()
        kills += process.returncode != 0
        acknowledged += [int(line) for line in out.splitlines(keepends=True) if line[-1] == "\n"]
    return acknowledged, kills


def deliver(root: str, data_dir: str, draw: random.Random) -> int:
    """Servers that are killed while they receive, until nothing waits; how many were killed."""
    kills = 0
    while True:
        server = Server([root], data_dir)
        timer = threading.Timer(draw.uniform(0.3, 1.5), server.process.kill)
        if kills < 5:
            timer.start()
        with Orchestrator(data_dir=data_dir) as client:
            client.health()
            done = client.flush(120)
        timer.cancel()
        server.process.kill()
        server.process.wait(60)
        if done:
            return kills
        kills += 1


def stored(data_dir: str) -> list[str]:
    with sqlite3.connect(Path(data_dir, "mcp.db")) as reading:
        return [
            row[0] for row in reading.execute("SELECT task_id FROM decision_history ORDER BY id")
        ]


def outcomes(root: str, count: int) -> None:
    draw = random.Random(3)
    with tempfile.TemporaryDirectory() as data_dir:
        started = time.perf_counter()
        acknowledged, clients = spool(data_dir, count, draw)
        spooled = time.perf_counter() - started
        started = time.perf_counter()
        servers = deliver(root, data_dir, draw)
        took = time.perf_counter() - started
        found = stored(data_dir)
    numbers = [int(task[1:]) for task in found]
    lost = len(set(acknowledged) - set(numbers))
    twice = len(numbers) - len(set(numbers))
    ordered = numbers == sorted(numbers)
    print(
        f"{count:,} outcomes reported without a server in {spooled:.1f} s, the client killed "
        f"{clients} times;\ndelivered in {took:.1f} s, the server killed {servers} times: "
        f"{len(found):,} stored, {lost} lost, {twice} twice, in order: {ordered}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=str(FIXTURE))
    parser.add_argument("--outcomes", type=int, default=10_000)
    arguments = parser.parse_args()
    logging.getLogger("orchestr8.client").setLevel(logging.ERROR)
    print(f"machine  {describe()}\nroot     {arguments.root}")
    for module in IMPORTS:
        print(f"{'import ' + module:44} {import_ms(module):.1f} ms")
    answers(arguments.root)
    if arguments.outcomes:
        outcomes(arguments.root, arguments.outcomes)


if __name__ == "__main__":
    main()
