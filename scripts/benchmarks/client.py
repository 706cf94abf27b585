"""Imports, answers with and without a server, and outcomes through processes that are killed."""

import logging
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from itertools import count
from typing import Any

from orchestr8_index import Orchestrator

from .harness import Run, Times, percentile
from .servers import Server, stored
from .texts import questions

IMPORTS = ("orchestr8_index", "orchestr8_index.client", "http.client")
NOBODY = "http://127.0.0.1:9"
REPORTER = """
import sys
from orchestr8_index import Orchestrator
data_dir, start, end = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = Orchestrator(data_dir=data_dir)
for number in range(start, end):
    client.report_outcome(f"t{number}", f"task number {number}", ["a"], "success")
    print(number, flush=True)
"""


def import_ms(module: str) -> float:
    """With all that it imports, as `-X importtime` says."""
    command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    rows = [line.split("|") for line in said.splitlines()]
    return next(int(spent) / 1000 for _, spent, name in rows if name.strip() == module)


def spent_ms(client: Orchestrator, texts: list[str], source: str) -> list[float]:
    spent = Times()
    for text in texts:
        with spent:
            answer = client.query_agents(text)
        assert answer.source == source, answer
    return spent


def answers(run: Run) -> None:
    texts = questions(run.root, 2000)
    with Server(run.root) as server, Orchestrator(data_dir=server.data_dir) as client:
        run.times("from the server", spent_ms(client, texts[:500], "index"))
        run.times("from the client's cache", spent_ms(client, texts[:500], "index"))
        server.process.kill()
        server.process.wait()
        (first,) = spent_ms(client, texts[500:501], "embedded")
        run.row("first answer without it", first, "ms")
        run.times("then, without it", spent_ms(client, texts[501:], "embedded"))
        absence(run, server.data_dir, texts)


def absence(run: Run, data_dir: str, texts: list[str]) -> None:
    """Embedded answers with an address where nobody is, against those that look for nobody."""
    clients = [Orchestrator(url, data_dir=data_dir, cache_seconds=0) for url in (NOBODY, "")]
    for client in clients:
        client.query_agents(texts[0])
    rows = [[spent_ms(client, [text], "embedded")[0] for client in clients] for text in texts]
    dead, none = zip(*rows, strict=True)
    mean = statistics.fmean(dead) - statistics.fmean(none)
    worst = percentile(dead, 0.99) - percentile(none, 0.99)
    run.row("what a dead server costs a call", unit="ms", mean=mean, p99=worst)


def doomed(process: subprocess.Popen[Any], seconds: float) -> threading.Timer:
    """Kills the process after that time, unless it is cancelled before."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    return timer


def spool(data_dir: str, outcomes: int, draw: random.Random) -> tuple[list[int], int]:
    """Report them all while no server runs, in processes that are killed; which are acknowledged,
    and how often one was killed."""
    acknowledged: list[int] = []
    kills, quiet = 0, {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    while not acknowledged or acknowledged[-1] < outcomes - 1:
        start = acknowledged[-1] + 1 if acknowledged else 0
        command = [sys.executable, "-c", REPORTER, data_dir, str(start), str(outcomes)]
        process = subprocess.Popen(command, text=True, **quiet)
        timer = doomed(process, draw.uniform(0.5, 1.5))
        out, _ = process.communicate()
        timer.cancel()
        kills += process.returncode == -signal.SIGKILL
        acknowledged += [int(line) for line in out.splitlines(keepends=True) if line[-1] == "\n"]
    return acknowledged, kills


def deliver(root: str, data_dir: str, draw: random.Random) -> int:
    """Servers that are killed while they receive, until nothing waits; how many were killed."""
    for kills in count():
        server = Server(root, data_dir=data_dir)
        timer = doomed(server.process, draw.uniform(0.3, 1.5) if kills < 5 else 600.0)
        with Orchestrator(data_dir=data_dir) as client:
            client.health()
            done = client.flush(120)
        timer.cancel()
        server.stop(signal.SIGKILL)
        if done:
            break
    return kills


def outcomes(run: Run, number: int) -> None:
    draw, started = random.Random(3), time.perf_counter()
    with tempfile.TemporaryDirectory() as data_dir:
        acknowledged, clients = spool(data_dir, number, draw)
        reported = time.perf_counter()
        servers = deliver(run.root, data_dir, draw)
        delivered = time.perf_counter()
        found = [int(task[1:]) for task in stored(data_dir)]
    run.row("outcomes reported", reported - started, "s", clients_killed=clients)
    run.row("outcomes delivered", delivered - reported, "s", servers_killed=servers)
    lost = len(set(acknowledged) - set(found))
    run.row("outcomes", sent=number, stored=len(found), lost=lost, in_order=found == sorted(found))


def main(arguments: list[str]) -> None:
    logging.getLogger("orchestr8.client").setLevel(logging.ERROR)
    with Run(__doc__, arguments, outcomes=10_000) as run:
        for module in IMPORTS:
            spent = statistics.median(import_ms(module) for _ in range(9))
            run.row(f"import {module}", spent, "ms")
        answers(run)
        if run.given.outcomes:
            outcomes(run, run.given.outcomes)
