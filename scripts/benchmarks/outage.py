"""What callers of two servers notice while Redis and PostgreSQL are killed, stopped and started.

The parts of `bench team` that need server processes, and engines that may be killed.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from .harness import Run, Times
from .servers import BROKEN, Client, Server, beside, outcome

SETTLE, REPORTS, VALUES, AT_ONCE = 8.0, 40, 100_000, 100
TREE = Path("plugins") / "studio"


def clone(root: str, folder: Path) -> Path:
    """A small tree under git: its first commit makes all clones of it one project."""
    shutil.copytree(Path(root) / TREE, folder / ".claude")
    git = ("git", "-c", "user.name=bench", "-c", "user.email=a@b.example")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "bench"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder


class Asked:
    """Questions and writes of one thread, one after the other: milliseconds of each and what
    failed, since `reset`."""

    def __init__(self, ask: Callable[[Client, int], int]) -> None:
        self._ask, self.spent, self.failed = ask, list[float](), 0

    def reset(self) -> None:
        self.spent, self.failed = [], 0

    def run(self, port: int, stop: threading.Event) -> None:
        client, number = Client(port), 0
        while not stop.is_set():
            number += 1
            started = time.perf_counter()
            try:
                self.failed += self._ask(client, number)
            except BROKEN:
                self.failed += 1
                client = Client(port)
            self.spent.append((time.perf_counter() - started) * 1000)
            time.sleep(0.005)


def question(client: Client, number: int) -> int:
    """Half of them were asked before."""
    text = f"review the code {number % 20 if number % 2 else secrets.token_hex(3)}"
    return "result" not in client.call("queryAgents", {"context": text})[0]


def write(client: Client, number: int) -> int:
    ops = [{"key": f"task/{number % 100}/state", "value": {"n": number}}]
    return "result" not in client.call("writeShared", {"ops": ops})[0]


@contextlib.contextmanager
def asked(servers: list[Server], ask: Callable[[Client, int], int]) -> Iterator[Asked]:
    found = Asked(ask)
    with beside(*(partial(found.run, each.port) for each in servers)):
        yield found


def until(look: Callable[[], object], seconds: float = 60.0) -> float:
    """Seconds until it is so."""
    started = time.perf_counter()
    while not look():
        if time.perf_counter() - started > seconds:
            return float("inf")
        time.sleep(0.002)
    return time.perf_counter() - started


def state_of(server: Server, name: str) -> str:
    return str((server.get("/health")[1] or {}).get(name))


def memory(run: Run, tree: Path, stores: dict[str, dict[str, str]]) -> None:
    """Of a server at rest after a first question, with more and more of the engines."""
    figures: dict[str, float] = {}
    for name, environ in stores.items():
        with Server(tree, **environ) as server:
            Client(server.port).call("queryAgents", {"context": "review the code"})
            time.sleep(SETTLE)
            figures[name] = server.memory_mb
    run.row("idle memory", unit="MB", **figures)


def learning(run: Run, one: Server, other: Server) -> None:
    """From a report to one server until another one answers otherwise."""
    teller, asker, spent = Client(one.port), Client(other.port), Times()
    for number in range(REPORTS):
        text = f"tidy the {secrets.token_hex(4)} of the house {number}"
        asks = {"context": text, "limit": 20, "detail": "full"}
        before = asker.call("queryAgents", asks)[0]["result"]
        agent = before["agents"][-1]["name"] if before["agents"] else "code-reviewer"

        def is_new(asks: Any = asks, rows: Any = before["agents"]) -> bool:
            return bool(asker.call("queryAgents", asks)[0]["result"]["agents"] != rows)

        with spent:
            told = teller.call("cacheDecision", outcome(secrets.token_hex(6), text, agent))[0]
            assert "result" in told, told
            until(is_new)
    run.times("report to one, answer of another", spent)


def redis(run: Run, servers: list[Server], engine: Any) -> None:
    """Under questions, a few hundred a second."""

    def phase(name: str, found: Asked, seconds: float) -> None:
        found.reset()
        time.sleep(seconds)
        run.times(f"questions, Redis {name}", found.spent)
        run.row(f"failed, Redis {name}", found.failed)

    with asked(servers, question) as found:
        phase("there", found, 3)
        engine.kill()
        phase("killed", found, 3)
        engine.start()
        until(lambda: {state_of(each, "redis") for each in servers} == {"connected"})
        engine.signal(signal.SIGSTOP)
        phase("stopped", found, 3)
        engine.signal(signal.SIGCONT)
        back = until(lambda: {state_of(each, "redis") for each in servers} == {"connected"})
        run.row("Redis goes on, until connected", back, "s")


def refill(run: Run, servers: list[Server], engine: Any) -> None:
    """So many keys that programs read, after Redis has come back without any."""
    client = Client(servers[0].port)
    for first in range(0, VALUES, AT_ONCE):
        ops = [{"key": f"task/{n}/state", "value": {"n": n}} for n in range(first, first + AT_ONCE)]
        assert "result" in client.call("writeShared", {"ops": ops})[0]
    looking = Redis.from_url(engine.url)

    def are_there() -> bool:
        time.sleep(0.05)
        with contextlib.suppress(RedisError):
            return int(looking.dbsize()) >= VALUES
        return False

    until(are_there, 120)
    engine.kill()
    engine.start()
    until(lambda: "connected" in {state_of(each, "redis") for each in servers})
    run.row("keys of Redis refilled after connecting", until(are_there, 120), "s")


def postgres(run: Run, servers: list[Server], engine: Any) -> None:
    """Killed under questions to one server and writes to the other."""
    with asked(servers[:1], question) as questions, asked(servers[1:], write) as writes:
        time.sleep(2)
        questions.reset()
        writes.reset()
        engine.kill()
        time.sleep(3)
        run.times("questions, PostgreSQL killed", questions.spent)
        run.row("failed questions, PostgreSQL killed", questions.failed)
        run.times("writes refused, PostgreSQL killed", writes.spent)
        engine.start()
        client = Client(servers[1].port)
        run.row("PostgreSQL accepts, until a write is", until(lambda: not write(client, 1)), "s")


def measure(run: Run, engines: tuple[Any, Any, Any]) -> None:
    database, cache, stream = engines
    with tempfile.TemporaryDirectory() as folder:
        tree = clone(run.root, Path(folder) / "tree")
        os.chdir(tree)  # the servers' folder, whose project they serve
        with_pg = {"MCP_DATABASE_URL": database.url}
        both = {**with_pg, "REDIS_URL": cache.url}
        every = {**both, "NATS_URL": stream.url}
        stores = {"sqlite": {}, "with_PostgreSQL": with_pg, "with_Redis_and_NATS": every}
        memory(run, tree, stores)
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(Server(**both)) for _ in range(2)]
            until(lambda: {state_of(each, "redis") for each in servers} == {"connected"})
            learning(run, *servers)
            redis(run, servers, cache)
            refill(run, servers, cache)
            postgres(run, servers, database)
