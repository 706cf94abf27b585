"""A server process of one's own, connections to it, and what its store holds afterwards."""

import contextlib
import http.client
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .harness import memory_mb

HOST = "127.0.0.1"
PROGRAM = (sys.executable, "-m", "orchestr8_index")
JSON = {"Content-Type": "application/json"}
KINDS = (("queryAgents", "context"), ("querySkills", "context"), ("queryWorkflows", "goal"))
BROKEN = (OSError, ValueError, http.client.HTTPException)
Answer = namedtuple("Answer", "status headers body ms")


class Client:
    """One keep-alive connection. Raises one of BROKEN when the server is gone."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=60)
        self.close = self._connection.close

    def send(self, method: str, path: str, body: bytes = b"", headers: Any = JSON) -> Answer:
        started = time.perf_counter()
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        data = response.read()
        spent = (time.perf_counter() - started) * 1000
        return Answer(response.status, response.headers, data, spent)

    def call(self, method: str, params: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        """(the reply, the milliseconds that it took)."""
        answer = self.send("POST", "/", rpc(method, params))
        return json.loads(answer.body), answer.ms


def rpc(method: str, params: Mapping[str, Any], number: int = 1) -> bytes:
    sent = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps(sent).encode()


def agents_of(client: Client, asked: Iterable[str]) -> list[str]:
    """Qualified names of the agents that these texts find, as the server gives them."""
    found = set()
    for text in asked:
        params = {"context": text, "limit": 20, "min_confidence": 0}
        rows = client.call("queryAgents", params)[0]["result"]["agents"]
        found |= {f"{row['plugin']}:{row['name']}" for row in rows}
    return sorted(found)


def outcome(task: str, text: str, agent: str, **more: Any) -> dict[str, Any]:
    """A success to report with cacheDecision."""
    named = {"task_id": task, "task_description": text, **more}
    return {**named, "agents_used": [agent], "result": "success"}


class Server(contextlib.AbstractContextManager["Server"]):
    """A server in the foreground. `ready_s` is from process start to the first 200 of /health."""

    def __init__(
        self,
        *roots: Path | str,
        data_dir: str = "",
        program: Sequence[str] = (*PROGRAM, "serve"),
        largest_file: int = 0,
        **environment: str,
    ) -> None:
        """Without `data_dir` it is a temporary one. `largest_file`: bytes, as on a full disk."""
        self._folder = None if data_dir else tempfile.TemporaryDirectory()
        self.data_dir = data_dir or self._folder.name
        options = [part for root in roots for part in ("--root", str(root))]
        limits = (resource.RLIMIT_FSIZE, (largest_file, largest_file))
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [*program, *options, "--port", "0", "--data-dir", self.data_dir],
            env={**os.environ, **environment},
            stderr=subprocess.DEVNULL,
            preexec_fn=(lambda: resource.setrlimit(*limits)) if largest_file else None,
        )
        owner: dict[str, Any] = {}
        while owner.get("pid") != self.process.pid:
            if self.process.poll() is not None:
                raise SystemExit(
                    "The server did not start; its log in the data directory says why."
                )
            time.sleep(0.002)
            owner = owner_of(self.data_dir)
        self.port = int(owner["port"])
        while self.get("/health")[0] != 200:
            time.sleep(0.002)
        self.ready_s = time.perf_counter() - started

    def __exit__(self, *_: object) -> None:
        self.stop()

    def get(self, path: str) -> tuple[int, Any]:
        """(status, decoded body); status 0 when nobody answers."""
        try:
            answer = Client(self.port).send("GET", path)
        except OSError:
            return 0, None
        return answer.status, json.loads(answer.body)

    @property
    def memory_mb(self) -> float:
        return memory_mb(self.process.pid)

    @property
    def cpu_s(self) -> float:
        return cpu_s(self.process.pid)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)
        if self._folder:
            self._folder.cleanup()


def cpu_s(pid: int) -> float:
    """Processor time so far, without its children; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def owner_of(data_dir: Path | str, lock: str = "mcp.pid") -> dict[str, Any]:
    """What the lock file of a data directory says: pid and port. Empty without one."""
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads(Path(data_dir, lock).read_text()))
    return {}


@contextlib.contextmanager
def beside(*jobs: Callable[[threading.Event], object]) -> Iterator[None]:
    """Each job runs in a thread, with an event that is set when the block ends."""
    stop = threading.Event()
    threads = [threading.Thread(target=job, args=(stop,)) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def stored(data_dir: Path | str) -> dict[str, bool]:
    """{task id: whether its row is as it was written}, in the order of storing."""
    from orchestr8_index.store import ledger
    from orchestr8_index.store.database import NAME, connect

    with contextlib.closing(connect(Path(data_dir, NAME), read_only=True)) as connection:
        return {one.task_id: intact for one, intact in ledger.checked_decisions(connection)}
