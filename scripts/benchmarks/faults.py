"""Kills, a full disk and damage under load: answers again, rightly, and loses nothing.

Each round starts a server with its watcher, loads it, does one thing to it, and looks how long it
takes until it answers and until it takes outcomes again. --only names a fault, may be repeated, and
`--only kill_server` kills alone. Clocks are not set back: files are dated into the future instead.
At last bits of decisions are flipped, for `verify` to find. What shared values, locks and messages
survive is tested in full numbers by `FULL=1 scripts/test tests/coordinate`.
"""

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
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

from orchestr8_index.store.database import NAME

from .harness import Run, progress
from .servers import BROKEN, PROGRAM, Client, beside, outcome, owner_of, stored

AGAIN = 30.0  # seconds after which a round gives up
PAGE, REPORTERS, FLIPS = 4096, 4, 10
TEXT = "warm the kettle {}"
LATE = "plugins/late/agents/latecomer.md"
Job = Callable[[Client], bool]
Fault = Callable[["World"], None]


class World:
    """A tree, a data directory, and what was sent to the servers over them."""

    def __init__(self, folder: Path, root: str, seed: int) -> None:
        self.data, self.tree, self.other = (folder / name for name in ("data", "tree", "other"))
        for tree in (self.tree, self.other):
            shutil.copytree(root, tree)
        late = self.other / LATE
        late.parent.mkdir(parents=True)
        late.write_text("---\nname: latecomer\ndescription: Comes late.\n---\n\nBrews coffee.\n")
        self.names = sorted(path.stem for path in Path(root).rglob("agents/*.md"))
        self.draw, self.asked = random.Random(seed), 0
        self.acknowledged, self.wrong = set[str](), list[str]()
        self.took = defaultdict[str, list[float]](list)

    def run(self, *command: str, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Asserts the exit status, unless any will do."""
        whole = [*PROGRAM, *command, "--data-dir", str(self.data)]
        done = subprocess.run(whole, capture_output=True, text=True)
        assert status in (None, done.returncode), (command, done.stderr)
        return done

    def start(self) -> None:
        self.run("up", "--root", str(self.tree), "--port", "0")

    def pid(self, lock: str = "mcp.pid") -> int:
        """The lock's owner, which must be a process that names the data directory of this world."""
        pid = int(owner_of(self.data, lock)["pid"])
        assert pid > 1 and str(self.data) in command_of(pid), pid
        return pid

    def client(self) -> Client:
        return Client(owner_of(self.data).get("port") or 1)

    def ask(self, name: str, client: Client) -> bool:
        """Whether it answered; an answer without the agent of that name first is noted as wrong."""
        reply, _ = client.call("queryAgents", {"context": name})
        rows = reply.get("result", {}).get("agents")
        self.asked += rows is not None
        if rows is not None and [row["name"] for row in rows[:1]] != [name]:
            self.wrong.append(f"{name}: {json.dumps(reply)[:200]}")
        return rows is not None

    def finds(self, name: str, client: Client) -> bool:
        """Whether an agent of that name is there."""
        reply, _ = client.call("queryAgents", {"context": name})
        return name in [row["name"] for row in reply["result"]["agents"][:1]]

    def health(self, client: Client) -> str:
        return str(json.loads(client.send("GET", "/health").body)["status"])

    def report(self, task: str, client: Client) -> bool:
        params = outcome(task, TEXT.format(task), self.names[0], caller=task)
        reply, _ = client.call("cacheDecision", params)
        self.acknowledged |= {task} if "result" in reply else set()
        return "result" in reply

    def load(self, number: int) -> list[Callable[[threading.Event], object]]:
        """Two that ask, and some that report, each until told to stop."""
        asking = [(partial(self.ask, name) for name in _endless(self.names, n)) for n in range(2)]
        tasks = [(f"{number}-{who}-{task}" for task in count()) for who in range(REPORTERS)]
        telling = [(partial(self.report, task) for task in mine) for mine in tasks]
        return [partial(self._repeat, jobs) for jobs in (*asking, *telling)]

    def _repeat(self, jobs: Iterator[Job], stop: threading.Event) -> None:
        """One job after the other; a broken connection is renewed."""
        client = self.client()
        while not stop.is_set():
            try:
                pause = 0.0 if next(jobs)(client) else 0.01
            except BROKEN:
                client, pause = self.client(), 0.02
            time.sleep(pause)

    def again(self, job: Job) -> float:
        """Seconds until it works."""
        started = time.perf_counter()
        while (spent := time.perf_counter() - started) < AGAIN:
            with contextlib.suppress(*BROKEN):
                if job(self.client()):
                    return time.perf_counter() - started
            time.sleep(0.01)
        return spent


def _endless(names: list[str], seed: int) -> Iterator[str]:
    draw = random.Random(seed)
    while True:
        yield draw.choice(names)


def command_of(pid: int | str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def reindexing(world: World) -> contextlib.AbstractContextManager[None]:
    def ask(stop: threading.Event) -> None:
        with contextlib.suppress(*BROKEN):
            world.client().send("POST", "/reindex")

    return beside(ask)


def kill_server(world: World) -> None:
    kill(world.pid())


def kill_watcher(world: World) -> None:
    kill(world.pid("mcp.watch"))
    world.run("status", status=None)  # it says that nobody watches


def kill_build(world: World) -> None:
    server = world.pid()
    with reindexing(world):
        time.sleep(world.draw.uniform(0.02, 0.4))
        for child in Path(f"/proc/{server}/task/{server}/children").read_text().split():
            kill(int(child))


def fill_disk(world: World) -> None:
    """No file may grow any more, for a while."""
    pid = world.pid()
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    time.sleep(world.draw.uniform(0.1, 0.5))
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def delete_snapshot(world: World) -> None:
    shutil.rmtree(world.data / "snapshots", ignore_errors=True)
    kill_server(world)


def corrupt_database(world: World) -> None:
    """A page of the query log is overwritten; the decisions' own pages are `faults`' business."""
    kill_server(world)
    sql = "SELECT pageno FROM dbstat WHERE name = 'agent_queries'"
    with contextlib.suppress(sqlite3.Error):
        with contextlib.closing(sqlite3.connect(world.data / NAME)) as connection:
            pages = [page for (page,) in connection.execute(sql)]
        if pages:
            with open(world.data / NAME, "r+b") as file:
                file.seek((world.draw.choice(pages) - 1) * PAGE)
                file.write(world.draw.randbytes(PAGE))


def tear_log(world: World) -> None:
    """What a power cut leaves: a part of a page at the end of the database's log."""
    kill_server(world)
    log = world.data / f"{NAME}-wal"
    with contextlib.suppress(OSError):
        page = log.read_bytes()[32:][: PAGE + 24]
        with open(log, "ab") as file:
            file.write(page[: world.draw.randint(1, PAGE - 1)])


def start_second(world: World) -> None:
    """A second server over one data directory says in one sentence why it does not run."""
    said = world.run("serve", "--root", str(world.tree), "--port", "0", status=1).stderr
    assert len(said.strip().splitlines()) == 1, said


def replace_tree(world: World) -> None:
    with reindexing(world):
        time.sleep(world.draw.uniform(0.0, 0.3))
        aside = world.tree.rename(world.tree.with_name("aside"))
        world.other.rename(world.tree)
        aside.rename(world.other)


def replace_root(world: World) -> None:
    """Removed and made again, and nobody asks for a re-index: it is seen all the same."""
    with contextlib.suppress(OSError):
        shutil.rmtree(world.tree.with_name("former"))
    world.tree.rename(world.tree.with_name("former"))
    shutil.copytree(world.other, world.tree)
    shutil.rmtree(world.other)
    world.tree.with_name("former").rename(world.other)
    has_late = (world.tree / LATE).exists()
    world.again(lambda client: world.finds("latecomer", client) is has_late)


def remove_log(world: World) -> None:
    """The log of the database: refused and said, and nothing is lost at the next start."""
    (world.data / f"{NAME}-wal").unlink(missing_ok=True)
    _say_and_start_again(world)


def _say_and_start_again(world: World) -> None:
    world.took["said after"].append(world.again(lambda client: world.health(client) != "healthy"))
    world.run("down")
    world.start()


def remove_pid_file(world: World) -> None:
    """A second server comes to the same database: one alone acknowledges."""
    first = [world.pid(lock) for lock in ("mcp.watch", "mcp.pid")]
    (world.data / "mcp.pid").unlink()
    world.start()
    time.sleep(world.draw.uniform(0.1, 0.5))
    if world.pid() not in first:  # else the first one had put its file back before
        for pid in first:  # as they were before the file was gone
            if str(world.data) in command_of(pid):
                kill(pid)


def bend_derived(world: World) -> None:
    """What is counted from the decisions: counted again."""
    kill_server(world)
    bent = (
        "UPDATE checkpoint SET data = 'no blob'",
        "UPDATE orchestration_patterns SET agent_sequence = '[' WHERE stored = 0",
        "UPDATE orchestration_patterns SET success_count = 'many' WHERE stored = 0",
    )
    with contextlib.suppress(sqlite3.Error):
        with contextlib.closing(sqlite3.connect(world.data / NAME, timeout=1)) as connection:
            connection.execute(world.draw.choice(bent))
            connection.commit()


def date_into_the_future(world: World) -> None:
    """As after a clock that was set back by a day: everything on the disk is newer than now."""
    kill_server(world)
    later = time.time() + 86400
    for path in (*world.data.rglob("*"), *world.tree.rglob("*")):
        with contextlib.suppress(OSError):
            os.utime(path, (later, later))


KILLS = (kill_server, kill_watcher, kill_build)
FAULTS = (
    *(*KILLS, fill_disk, delete_snapshot, corrupt_database, replace_tree, date_into_the_future),
    *(replace_root, remove_log, remove_pid_file, bend_derived, tear_log, start_second),
)


def round_of(world: World, number: int, fault: Fault) -> tuple[float, float]:
    """Seconds until it answers, and until it takes outcomes."""
    world.start()
    with beside(*world.load(number)):
        time.sleep(world.draw.uniform(0.1, 0.4))
        fault(world)
        asked = world.again(partial(world.ask, world.names[0]))
        told = world.again(partial(world.report, f"{number}-after"))
    world.run("down")
    return asked, told


def leftovers(data: Path) -> list[str]:
    """Processes and temporary files that nobody owns any more."""
    names = [path.name for path in data.rglob("*")]
    found = [
        name for name in names if name.startswith("build-") or name.endswith((".part", ".tmp"))
    ]
    others = (path.name for path in Path("/proc").glob("[0-9]*") if path.name != str(os.getpid()))
    found += [said[:120] for pid in others if str(data) in (said := command_of(pid))]
    return found


def flipped(world: World) -> int:
    """How many of FLIPS bits flipped in a decision's text, or in its pattern's, `verify` finds."""
    database, found = world.data / NAME, 0
    sure, tasks = database.read_bytes(), [*stored(world.data)]
    for _ in range(FLIPS):
        raw, number = bytearray(sure), world.draw.randrange(len(tasks))
        text = TEXT.format(tasks[number]).encode()
        at = raw.index(text + b"[") + world.draw.randrange(len(text))
        raw[at] ^= 1 << world.draw.randrange(8)
        database.write_bytes(raw)
        found += world.run("verify", status=None).returncode == 1
    database.write_bytes(sure)
    return found


def main(arguments: list[str]) -> None:
    with (
        Run(__doc__, arguments, rounds=200, seed=7, only=[]) as run,
        tempfile.TemporaryDirectory() as folder,
    ):
        world, took = World(Path(folder), run.root, run.given.seed), defaultdict(list)
        faults = [each for each in FAULTS if each.__name__ in run.given.only] or FAULTS
        for number in range(run.given.rounds):
            fault = faults[number % len(faults)]
            took[fault.__name__].append(round_of(world, number, fault))
            progress(f"{number + 1} of {run.given.rounds}")
        for name, spent in took.items():
            asked, told = map(max, zip(*spent, strict=True))
            run.row(name, unit="s", rounds=len(spent), answers_again=asked, reports_again=told)
        for name, seconds in world.took.items():
            run.row(name, unit="s", rounds=len(seconds), most=max(seconds))
        run.row("questions answered", world.asked, wrong=len(world.wrong), such=world.wrong[:2])
        rows = stored(world.data)
        lost, half = len(world.acknowledged - set(rows)), [*rows.values()].count(False)
        sound = world.run("verify", status=None).returncode == 0
        counts = {"lost": lost, "half_written": half, "verify": "sound" if sound else "NOT SOUND"}
        run.row("outcomes acknowledged", len(world.acknowledged), **counts)
        run.row("flipped bits", FLIPS, found_by_verify=flipped(world))
        run.row("left over", leftovers(world.data) or "nothing")
