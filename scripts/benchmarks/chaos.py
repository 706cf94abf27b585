"""Kills, a full disk and damage under load: answers again, rightly, and loses nothing.

Each round starts a server with its watcher, loads it, does one thing to it, and looks how long it
takes until it answers and until it takes outcomes again. Clocks are not set back: files are dated
into the future instead.
"""

import collections
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from orchestr8_index.store.database import NAME

from .harness import Run, progress
from .servers import BROKEN, PROGRAM, Client, beside, outcome, owner_of, stored

AGAIN = 30.0  # seconds after which a round gives up
PAGE = 4096
Job = Callable[[Client], bool]


class World:
    """A tree, a data directory, and what was sent to the servers over them."""

    def __init__(self, folder: Path, root: str) -> None:
        self.data, self.tree, self.other = (folder / name for name in ("data", "tree", "other"))
        for tree in (self.tree, self.other):
            shutil.copytree(root, tree)
        late = self.other / "plugins" / "late" / "agents" / "latecomer.md"
        late.parent.mkdir(parents=True)
        late.write_text("---\nname: latecomer\ndescription: Comes late.\n---\n\nBrews coffee.\n")
        self.names = sorted(path.stem for path in Path(root).rglob("agents/*.md"))
        self.acknowledged: set[str] = set()
        self.wrong: list[str] = []
        self.asked = 0

    def run(self, *command: str) -> None:
        whole = [*PROGRAM, *command, "--data-dir", str(self.data)]
        done = subprocess.run(whole, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)

    def pid(self, lock: str = "mcp.pid") -> int:
        return int(owner_of(self.data, lock).get("pid") or 0)

    def client(self) -> Client:
        return Client(owner_of(self.data).get("port") or 1)

    def ask(self, name: str, client: Client) -> bool:
        """Whether it answered; an answer without the agent of that name first is noted as wrong."""
        reply, _ = client.call("queryAgents", {"context": name})
        rows = reply.get("result", {}).get("agents")
        if rows is None:
            return False
        self.asked += 1
        if not rows or rows[0]["name"] != name:
            self.wrong.append(f"{name}: {json.dumps(reply)[:200]}")
        return True

    def report(self, task: str, client: Client) -> bool:
        params = outcome(task, f"warm the kettle {task}", self.names[0], caller=task)
        reply, _ = client.call("cacheDecision", params)
        if stored := bool(reply.get("result", {}).get("stored")):
            self.acknowledged.add(task)
        return stored

    def load(self, number: int) -> list[Callable[[threading.Event], object]]:
        """Two that ask and two that report, each until told to stop."""
        jobs = [self._asking(random.Random(who)) for who in range(2)]
        jobs += [self._reporting(f"{number}-{who}") for who in range(2)]
        return [partial(self._repeat, each) for each in jobs]

    def _asking(self, draw: random.Random) -> Iterator[Job]:
        while True:
            yield partial(self.ask, draw.choice(self.names))

    def _reporting(self, name: str) -> Iterator[Job]:
        yield from (partial(self.report, f"{name}-{task}") for task in count())

    def _repeat(self, jobs: Iterator[Job], stop: threading.Event) -> None:
        """One job after the other; a broken connection is renewed."""
        client = self.client()
        while not stop.is_set():
            try:
                pause = 0.0 if next(jobs)(client) else 0.01
            except BROKEN:
                client, pause = self.client(), 0.02
            time.sleep(pause)


# --- what is done to it ------------------------------------------------------------------------


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if pid:
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def reindexing(world: World) -> Iterator[None]:
    def ask(stop: threading.Event) -> None:
        with contextlib.suppress(*BROKEN):
            world.client().send("POST", "/reindex")

    with beside(ask):
        yield


def kill_server(world: World, draw: random.Random) -> None:
    kill(world.pid())


def kill_watcher(world: World, draw: random.Random) -> None:
    kill(world.pid("mcp.watch"))


def kill_build(world: World, draw: random.Random) -> None:
    server = world.pid()
    with reindexing(world):
        time.sleep(draw.uniform(0.02, 0.4))
        for child in Path(f"/proc/{server}/task/{server}/children").read_text().split():
            kill(int(child))


def fill_disk(world: World, draw: random.Random) -> None:
    """No file may grow any more, for a while."""
    pid = world.pid()
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    time.sleep(draw.uniform(0.1, 0.5))
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def delete_snapshot(world: World, draw: random.Random) -> None:
    shutil.rmtree(world.data / "snapshots", ignore_errors=True)
    kill_server(world, draw)


def corrupt_database(world: World, draw: random.Random) -> None:
    """A page of the query log is overwritten; the decisions' own pages are `faults`' business."""
    kill_server(world, draw)
    sql = "SELECT pageno FROM dbstat WHERE name = 'agent_queries'"
    with contextlib.suppress(sqlite3.Error):
        with contextlib.closing(sqlite3.connect(world.data / NAME)) as connection:
            pages = [page for (page,) in connection.execute(sql)]
        if pages:
            with open(world.data / NAME, "r+b") as file:
                file.seek((draw.choice(pages) - 1) * PAGE)
                file.write(draw.randbytes(PAGE))


def replace_tree(world: World, draw: random.Random) -> None:
    with reindexing(world):
        time.sleep(draw.uniform(0.0, 0.3))
        aside = world.tree.with_name("aside")
        world.tree.rename(aside)
        world.other.rename(world.tree)
        aside.rename(world.other)


def date_into_the_future(world: World, draw: random.Random) -> None:
    """As after a clock that was set back by a day: everything on the disk is newer than now."""
    kill_server(world, draw)
    later = time.time() + 86400
    for path in (*world.data.rglob("*"), *world.tree.rglob("*")):
        with contextlib.suppress(OSError):
            os.utime(path, (later, later))


KILLS = (kill_server, kill_watcher, kill_build)
FAULTS = (*KILLS, fill_disk, delete_snapshot, corrupt_database, replace_tree, date_into_the_future)


# --- the rounds --------------------------------------------------------------------------------


def again(world: World, job: Job) -> float:
    """Seconds until it works."""
    started = time.perf_counter()
    while (spent := time.perf_counter() - started) < AGAIN:
        with contextlib.suppress(*BROKEN):
            if job(world.client()):
                return time.perf_counter() - started
        time.sleep(0.01)
    return spent


def round_of(world: World, number: int, fault: Any, draw: random.Random) -> tuple[float, float]:
    """Seconds until it answers, and until it takes outcomes."""
    world.run("up", "--root", str(world.tree), "--port", "0")
    with beside(*world.load(number)):
        time.sleep(draw.uniform(0.1, 0.4))
        fault(world, draw)
        asked = again(world, partial(world.ask, world.names[0]))
        told = again(world, partial(world.report, f"{number}-after"))
    world.run("down")
    return asked, told


def leftovers(world: World) -> list[str]:
    """Processes and temporary files that nobody owns any more."""
    names = [path.name for path in world.data.rglob("*")]
    found = [
        name for name in names if name.startswith("build-") or name.endswith((".part", ".tmp"))
    ]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(world.data) in said and int(process.name) != os.getpid():
                found.append(said[:120])
    return found


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, rounds=200, seed=7) as run:
        draw, rounds = random.Random(run.given.seed), run.given.rounds
        took = collections.defaultdict[str, list[tuple[float, float]]](list)
        with tempfile.TemporaryDirectory() as folder:
            world = World(Path(folder), run.root)
            for number in range(rounds):
                fault = FAULTS[number % len(FAULTS)]
                took[fault.__name__].append(round_of(world, number, fault, draw))
                progress(f"{number + 1} of {rounds}")
            for name, spent in took.items():
                asked, told = (max(row[at] for row in spent) for at in (0, 1))
                run.row(name, unit="s", rounds=len(spent), answers_again=asked, reports_again=told)
            run.row("questions answered", world.asked, wrong=len(world.wrong), such=world.wrong[:2])
            lost = world.acknowledged - set(stored(world.data))
            run.row("outcomes acknowledged", len(world.acknowledged), lost=len(lost))
            run.row("left over", leftovers(world) or "nothing")
