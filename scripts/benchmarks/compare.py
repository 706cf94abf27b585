"""This working tree beside another revision: starts, memory, hits and misses, in turn.

`--base REV` is checked out beside it, and both run on the libraries installed here. In each round
both start cold and warm, and are asked the same; told are the medians, and the median, lowest and
highest ratio of a round: below 1 this tree takes less.
"""

import contextlib
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .harness import REPOSITORY, Run
from .serve import ask
from .servers import Client, Server
from .texts import questions

MISSES, HITS = 400, 1000
Figures = dict[str, list[float]]


@contextlib.contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        tree, git = Path(folder, "tree"), ["git", "-C", str(REPOSITORY), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", tree, revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", tree], check=True)


def one_round(root: str, tree: Path, texts: list[str], figures: Figures) -> None:
    with tempfile.TemporaryDirectory() as data_dir:
        for start in ("cold start s", "warm start s"):
            of_tree = {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}  # not of where one stands
            with Server(root, data_dir=data_dir, **of_tree) as server:
                figures[start].append(server.ready_s)
                if start == "cold start s":
                    continue
                figures["memory idle MB"].append(server.memory_mb)
                client, before = Client(server.port), server.cpu_s
                figures["miss p50 ms"].append(statistics.median(ask(client, texts)))
                used = (server.cpu_s - before) / len(texts) * 1e3
                figures["miss, processor ms"].append(used)
                hits = [client.call("queryAgents", {"context": texts[0]})[1] for _ in range(HITS)]
                figures["hit p50 ms"].append(statistics.median(hits))
                figures["memory afterwards MB"].append(server.memory_mb)
                client.close()


NAMES = (
    *("cold start s", "warm start s", "memory idle MB", "memory afterwards MB"),
    *("miss p50 ms", "miss, processor ms", "hit p50 ms"),
)


def main(arguments: list[str]) -> None:
    options = {"base": "main", "rounds": 5}
    with Run(__doc__, arguments, **options) as run, checked_out(run.given.base) as base:
        trees = {"base": base, "here": REPOSITORY}
        found: dict[str, Figures] = {who: {name: [] for name in NAMES} for who in trees}
        for number in range(run.given.rounds):
            texts = questions(run.root, MISSES, seed=number)
            for who in sorted(trees, reverse=bool(number % 2)):
                one_round(str(run.root), trees[who], texts, found[who])
        for name in NAMES:
            before, now = found["base"][name], found["here"][name]
            ratios = [mine / theirs for mine, theirs in zip(now, before, strict=True) if theirs]
            medians = {"base": statistics.median(before), "here": statistics.median(now)}
            ratio = {"ratio": statistics.median(ratios), "from": min(ratios), "to": max(ratios)}
            run.row(name, **medians, **ratio)
