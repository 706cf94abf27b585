"""What the benchmarks share: the machine's description, a server of one's own, a plain client."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"


def describe() -> str:
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    )


class Server:
    """A server process of its own; `ready_s` is from process start to the first 200 of /health."""

    def __init__(
        self, roots: list[str], data_dir: str, largest_file: int = 0, **environment: str
    ) -> None:
        """`largest_file` limits in bytes what the server may write into one file: a full disk."""
        self.data_dir = data_dir
        options = [part for root in roots for part in ("--root", root)]
        command = [sys.executable, "-m", "orchestr8_index", "serve", *options]
        self.data_dir = data_dir
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, "--port", "0", "--data-dir", data_dir],
            env={**os.environ, **environment},
            stderr=subprocess.DEVNULL,
            preexec_fn=(lambda: _limit_files(largest_file)) if largest_file else None,
        )
        self.port = self._port(Path(data_dir, "mcp.pid"))
        while self.get("/health")[0] != 200:
            time.sleep(0.002)
        self.ready_s = time.perf_counter() - started

    def _port(self, pidfile: Path) -> int:
        while self.process.poll() is None:
            with contextlib.suppress(OSError, ValueError, KeyError):
                facts = json.loads(pidfile.read_text())
                if facts["pid"] == self.process.pid:
                    return int(facts["port"])
            time.sleep(0.002)
        raise SystemExit("The server did not start; its log in the data directory says why.")

    def get(self, path: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except OSError:
            return 0, None
        finally:
            connection.close()

    def memory_mb(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+)", text)
        return int(match[1]) / 1024 if match else 0.0

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait(60)


def _limit_files(size: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


class Client:
    """One keep-alive connection; `call` returns the reply and the milliseconds it took."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=60)

    def call(self, method: str, params: dict[str, Any]) -> tuple[dict[str, Any], float]:
        sent = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        body = json.dumps(sent).encode()
        started = time.perf_counter()
        self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
        reply = self._connection.getresponse().read()
        spent = (time.perf_counter() - started) * 1000
        return json.loads(reply), spent


@contextlib.contextmanager
def serving(roots: list[str]) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as data_dir:
        server = Server(roots, data_dir)
        try:
            yield server
        finally:
            server.stop()


def questions(root: str, count: int, seed: int = 7) -> list[str]:
    """Distinct questions of 4 to 10 words that stand together in the tree's own files."""
    draw, words, found = random.Random(seed), [], {}
    for path in sorted(Path(root).rglob("*.md"))[:2000]:
        words += re.findall(r"[A-Za-z][\w-]+", path.read_text("utf-8", "replace")[:4000])
    for _ in range(100 * count if len(words) > 10 else 0):
        start = draw.randrange(len(words) - 10)
        found[" ".join(words[start : start + draw.randint(4, 10)])[:500]] = None
        if len(found) == count:
            return list(found)
    raise SystemExit(f"{root} has too few words for {count} questions: name a larger --root.")


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
