"""How do the tests start real processes, and make sure that none outlives its test?"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from orchestr8_index.config import REPOSITORY
from orchestr8_index.daemon.http import Health, get_health, request
from orchestr8_index.daemon.locate import Address, address_of
from orchestr8_index.daemon.pidfile import PidFile
from orchestr8_index.daemon.process import proven
from orchestr8_index.errors import NotOurs

from .forked import Forked

DEADLINE = 60.0
Found = TypeVar("Found")
Process = subprocess.Popen[str] | Forked


def wait_for(look: Callable[[], Found | None], seconds: float = DEADLINE) -> Found:
    """Look again and again until something is found; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "nothing was found in time"
        time.sleep(0.02)
    return found


class World:
    """A home, a data directory and an environment of their own; ends all that it started."""

    def __init__(self, folder: Path, snapshots: Path | None = None) -> None:
        """`snapshots` is copied into a data directory that has none before a server starts."""
        self.home, self.data, self._snapshots = folder / "home", folder / "data", snapshots
        self.work = folder / "work"
        for made in (self.home, self.work):
            made.mkdir(parents=True, exist_ok=True)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("MCP_")}
        given = {"HOME": str(self.home), "MCP_DATA_DIR": str(self.data), "MCP_PORT": "0"}
        self.env = {**inherited, **given, "PYTHONPATH": str(REPOSITORY)}
        self._folder = folder
        self._started: list[Process] = []

    def __enter__(self) -> World:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType) -> None:
        for process in self._started:
            process.kill()
            process.communicate(timeout=DEADLINE)  # a child that outlives it would hold its pipes
        end = time.monotonic() + 10
        while self.owners() and time.monotonic() < end:
            for file in self._locks():
                with contextlib.suppress(NotOurs), proven(PidFile(file)) as owner:
                    if owner:
                        owner.send(signal.SIGKILL)
            time.sleep(0.02)
        assert self.owners() == []

    def owners(self) -> list[dict[str, Any]]:
        """What holds a lock of any data directory of this world, watchers first."""
        return [owner for file in self._locks() if (owner := PidFile(file).owner()) is not None]

    def _locks(self) -> list[Path]:
        return [*self._folder.rglob("mcp.watch"), *self._folder.rglob("mcp.pid")]

    def start(self, *arguments: str, **environment: str) -> Process:
        if self._snapshots and arguments[0] in ("serve", "up") and not self.data.exists():
            self.data.mkdir(mode=0o700)
            shutil.copytree(self._snapshots, self.data / "snapshots")
        env = {**self.env, **environment}
        is_plain = env["PYTHONPATH"] == str(REPOSITORY)
        process = (Forked if is_plain else _started)(arguments, env, self.work)
        self._started.append(process)
        return process

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=DEADLINE * 2)
        return subprocess.CompletedProcess(process.args, process.wait(), out, err)

    def serve(self, *arguments: str, **environment: str) -> Running:
        """A server in the foreground that serves already."""
        process = self.start("serve", *arguments, **environment)
        wait_for(lambda: self._serving() or process.poll() is not None)
        assert process.poll() is None, process.communicate(timeout=DEADLINE)
        return Running(self, process, self.owner()["port"])

    def up(self, *arguments: str, **environment: str) -> int:
        """A server in the background: its port."""
        done = self.run("up", *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return self.owner()["port"]  # type: ignore[no-any-return]

    def owner(self) -> dict[str, Any]:
        return PidFile(self.data / "mcp.pid").owner() or {}

    def log(self) -> list[dict[str, Any]]:
        lines = (self.data / "logs" / "mcp.log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def _serving(self) -> int | None:
        address = address_of(self.owner())
        health = get_health(address) if address else None
        return address.port if address and health and health["status"] != "starting" else None


def _started(arguments: tuple[str, ...], env: dict[str, str], cwd: Path) -> Process:
    return subprocess.Popen(
        [sys.executable, "-m", "orchestr8_index", *arguments],
        env=env,
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Running:
    """A server in the foreground."""

    def __init__(self, world: World, process: Process, port: int) -> None:
        self.world, self.process, self.port = world, process, port

    @property
    def address(self) -> Address:
        return address_of(self.world.owner()) or Address(self.port)

    @property
    def health(self) -> Health:
        """Asked again where a busy machine was slower than the command line would wait."""
        return wait_for(lambda: get_health(self.address))

    def checked(self) -> Running:
        """Once it has looked whether the snapshot that it began with is still true."""
        wait_for(lambda: self.health["checked_age_s"] is not None)
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=DEADLINE)


def call(where: int | Address, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """One JSON-RPC call: the whole reply, with `result` or `error`."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    _, reply = request(where, "POST", "/", body)
    assert isinstance(reply, dict)
    return reply


def refused(port: int) -> bool:
    """Whether nobody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def alive(pid: int) -> bool:
    """Whether a process that is not ours to wait for still runs."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state != "Z"
    except FileNotFoundError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path("/proc").is_dir()
