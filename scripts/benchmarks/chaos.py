"""Does it answer again, rightly, and with nothing lost, whatever is done to it while it works?

scripts/bench chaos [--rounds 200] [--root DIR] [--seed 7]

Each round starts a server with its watcher, loads it, does one thing to it, and looks how long it
takes until it answers and until it takes outcomes again. Clocks are not set back: files are dated
into the future instead.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import http.client
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import HOST, Client, describe

from orchestr8_index.store import ledger
from orchestr8_index.store.database import NAME, connect

FIXTURE = Path(__file__).resolve().parents[2] / "plugins_fixture"
PROGRAM = (sys.executable, "-m", "orchestr8_index")
AGAIN = 30.0
BROKEN = (OSError, ValueError, http.client.HTTPException)


class World:
    """A tree, a data directory, and what was sent to the servers over them."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.data, self.tree = folder / "data", folder / "tree"
        self.other = folder / "other"
        for tree in (self.tree, self.other):
            shutil.copytree(root, tree)
        (self.other / "plugins" / "late" / "agents").mkdir(parents=True)
        late = "---\nname: latecomer\ndescription: Comes late.\n---\n\nBrews coffee.\n"
        (self.other / "plugins" / "late" / "agents" / "latecomer.md").write_text(late)
        self.names = sorted(path.stem for path in root.rglob("agents/*.md"))
        self.acknowledged: set[str] = set()
        self.wrong: list[str] = []
        self.asked = 0

    def run(self, *command: str) -> None:
        options = ("--data-dir", str(self.data))
        roots = ("--root", str(self.tree), "--port", "0") if command == ("up",) else ()
        done = subprocess.run(
            [*PROGRAM, *command, *roots, *options], capture_output=True, text=True
        )
        assert done.returncode == 0, (command, done.stderr)

    def owner(self, lock: str = "mcp.pid") -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((self.data / lock).read_text())
            return found
        return {}

    def client(self) -> Client:
        port = self.owner().get("port")
        if not port:
            raise OSError("no server")
        return Client(port)

    def post(self, path: str) -> None:
        with contextlib.suppress(*BROKEN):
            connection = http.client.HTTPConnection(HOST, self.owner().get("port") or 1, timeout=30)
            connection.request("POST", path)
            connection.getresponse().read()

    def ask(self, client: Client, name: str) -> bool:
        """Whether it answered; an answer without the agent of that name first is noted as wrong."""
        reply, _ = client.call("queryAgents", {"context": name})
        rows = reply.get("result", {}).get("agents")
        if rows is None:
            return False
        self.asked += 1
        if not rows or rows[0]["name"] != name:
            self.wrong.append(f"{name}: {json.dumps(reply)[:200]}")
        return True

    def report(self, client: Client, task: str) -> bool:
        params = {"task_id": task, "task_description": f"warm the kettle {task}", "caller": task}
        params |= {"agents_used": [self.names[0]], "result": "success"}
        reply, _ = client.call("cacheDecision", params)
        if reply.get("result", {}).get("stored"):
            self.acknowledged.add(task)
            return True
        return False


class Load:
    """Two that ask and two that report, each until told to stop; broken connections are renewed."""

    def __init__(self, world: World, number: int) -> None:
        self._world, self._number, self._stop = world, number, threading.Event()
        jobs = (self._asking, self._asking, self._reporting, self._reporting)
        self._threads = [threading.Thread(target=job, args=(n,)) for n, job in enumerate(jobs)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _asking(self, who: int) -> None:
        draw = random.Random(who)
        self._repeat(lambda client: self._world.ask(client, draw.choice(self._world.names)))

    def _reporting(self, who: int) -> None:
        tasks = (f"{self._number}-{who}-{n}" for n in range(10**9))
        self._repeat(lambda client: self._world.report(client, next(tasks)))

    def _repeat(self, job: Callable[[Client], bool]) -> None:
        client: Client | None = None
        while not self._stop.is_set():
            try:
                client = client or self._world.client()
                if not job(client):
                    time.sleep(0.01)
            except BROKEN:
                client = None
                time.sleep(0.02)


# --- what is done to it ------------------------------------------------------------------------


def kill(pid: int | None) -> None:
    with contextlib.suppress(ProcessLookupError):
        if pid and pid > 1:
            os.kill(pid, signal.SIGKILL)


def kill_server(world: World, draw: random.Random) -> None:
    kill(world.owner().get("pid"))


def kill_watcher(world: World, draw: random.Random) -> None:
    kill(world.owner("mcp.watch").get("pid"))


def kill_build(world: World, draw: random.Random) -> None:
    server = world.owner().get("pid")
    asking = threading.Thread(target=world.post, args=("/reindex",))
    asking.start()
    time.sleep(draw.uniform(0.02, 0.4))
    for child in Path(f"/proc/{server}/task/{server}/children").read_text().split():
        kill(int(child))
    asking.join()


def fill_disk(world: World, draw: random.Random) -> None:
    """No file may grow any more, for a while."""
    pid = world.owner()["pid"]
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
    with contextlib.suppress(sqlite3.Error):
        with contextlib.closing(sqlite3.connect(world.data / NAME)) as connection:
            pages = _pages_of(connection, "agent_queries")
        if pages:
            with open(world.data / NAME, "r+b") as file:
                file.seek((draw.choice(pages) - 1) * 4096)
                file.write(draw.randbytes(4096))


def _pages_of(connection: sqlite3.Connection, table: str) -> list[int]:
    rows = connection.execute("SELECT pageno FROM dbstat WHERE name = ?", (table,))
    return [page for (page,) in rows]


def replace_tree(world: World, draw: random.Random) -> None:
    asking = threading.Thread(target=world.post, args=("/reindex",))
    asking.start()
    time.sleep(draw.uniform(0.0, 0.3))
    aside = world.tree.with_name("aside")
    world.tree.rename(aside)
    world.other.rename(world.tree)
    aside.rename(world.other)
    asking.join()


def date_into_the_future(world: World, draw: random.Random) -> None:
    """As after a clock that was set back by a day: everything on the disk is newer than now."""
    kill_server(world, draw)
    later = time.time() + 86400
    for path in (*world.data.rglob("*"), *world.tree.rglob("*")):
        with contextlib.suppress(OSError):
            os.utime(path, (later, later))


FAULTS = (
    kill_server,
    kill_watcher,
    kill_build,
    fill_disk,
    delete_snapshot,
    corrupt_database,
    replace_tree,
    date_into_the_future,
)


# --- the rounds --------------------------------------------------------------------------------


def again(world: World, job: Callable[[Client], bool]) -> float:
    """Seconds until it works."""
    started = time.perf_counter()
    while (spent := time.perf_counter() - started) < AGAIN:
        try:
            if job(world.client()):
                return time.perf_counter() - started
        except BROKEN:
            pass
        time.sleep(0.01)
    return spent


def round_of(world: World, number: int, fault: Any, draw: random.Random) -> tuple[float, float]:
    world.run("up")
    with Load(world, number):
        time.sleep(draw.uniform(0.1, 0.4))
        fault(world, draw)
        asked = again(world, lambda client: world.ask(client, world.names[0]))
        told = again(world, lambda client: world.report(client, f"{number}-after"))
    world.run("down")
    return asked, told


def leftovers(world: World) -> list[str]:
    """Processes and temporary files that nobody owns any more."""
    found = [str(path) for path in world.data.rglob("*") if _is_temporary(path)]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(world.data) in said and int(process.name) != os.getpid():
                found.append(said[:120])
    return found


def _is_temporary(path: Path) -> bool:
    return path.name.startswith("build-") or path.suffix in (".part", ".tmp")


def lost(world: World) -> set[str]:
    with contextlib.closing(connect(world.data / NAME, read_only=True)) as connection:
        found = {decision.task_id for decision, intact in ledger.checked_decisions(connection)}
    return world.acknowledged - found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=str(FIXTURE))
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    draw, took = random.Random(arguments.seed), collections.defaultdict[str, list[Any]](list)
    print(f"machine  {describe()}\nroot     {arguments.root}", flush=True)
    folder = Path(tempfile.mkdtemp())
    try:
        world = World(folder, Path(arguments.root))
        for number in range(arguments.rounds):
            fault = FAULTS[number % len(FAULTS)]
            took[fault.__name__].append(round_of(world, number, fault, draw))
            if sys.stderr.isatty():
                print(f"\r  {number + 1} of {arguments.rounds}", end="", file=sys.stderr)
        tell(world, took)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tell(world: World, took: dict[str, list[tuple[float, float]]]) -> None:
    print(f"\n{'':24} rounds  answers again, most   takes outcomes again, most")
    for name, rounds in took.items():
        asked, told = (max(row[at] for row in rounds) for at in (0, 1))
        print(f"{name:24} {len(rounds):6}  {asked:17.2f} s  {told:25.2f} s")
    print(f"questions answered       {world.asked:,}, wrong {len(world.wrong)} {world.wrong[:2]}")
    print(f"outcomes acknowledged    {len(world.acknowledged):,}, lost {len(lost(world))}")
    print(f"left over                {leftovers(world) or 'nothing'}")


if __name__ == "__main__":
    main()
