"""Real engines for the tests: started on free ports in a folder of their own, ended by their pid.

`postgres` refuses to run as root: then it runs as the user `postgres`.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

PACKAGES = {"postgres": "postgresql", "redis-server": "redis-server", "nats-server": "nats-server"}


def find(program: str) -> str:
    """Its path. Skips the test where there is none; fails where the suite demands all."""
    if os.environ.get("TEAM_TESTS") == "skipped":
        pytest.skip("left out of the plain run: scripts/test --team has it")
    places = [
        shutil.which(program) or "",
        f"/usr/sbin/{program}",
        *glob.glob(f"/usr/lib/postgresql/*/bin/{program}"),
    ]
    found = next(filter(os.path.isfile, places), "")
    if not found:
        sentence = f"{program} is missing: apt-get install {PACKAGES.get(program, 'postgresql')}"
        pytest.fail(sentence) if os.environ.get("TEAM_TESTS") == "required" else pytest.skip(
            sentence
        )
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_postgres() -> dict[str, str | int]:
    return {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}


class Engine:
    """A process on a port; `start` returns once `ready` says so."""

    def __init__(self, command: list[str], port: int, ready: Callable[[], bool], **how: object):
        self.command, self.port, self._ready, self._how = command, port, ready, how
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process, end = None, time.monotonic() + 30
        while self.process is None or not self._ready():
            assert time.monotonic() < end, self.command[0]
            if self.process is None or self.process.poll() is not None:
                # again, too: those of a killed one may still hold its memory
                self.process = subprocess.Popen(self.command, **quiet, **self._how)  # type: ignore[call-overload]
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def kill(self) -> None:
        """As a power cut does it to a process and its own: one of PostgreSQL's, left alone, may
        still commit."""
        assert self.process
        pid, own = self.process.pid, list[str]()
        with contextlib.suppress(OSError):
            own = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self.process.kill()
        for each in own:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(each), signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
                self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Postgres(Engine):
    """`url` is that of the database `o8`. `durable` syncs as a real one does."""

    def __init__(self, folder: Path, *settings: str, durable: bool = False) -> None:
        self.folder, port = folder, free_port()
        quick = [] if durable else ["-c", "fsync=off", "-c", "full_page_writes=off"]
        more = [part for each in settings for part in ("-c", each)]
        command = [find("postgres"), "-D", str(folder / "data"), "-p", str(port)]
        command += ["-c", f"unix_socket_directories={folder}", "-c", "listen_addresses=127.0.0.1"]
        command += ["-c", "max_connections=60", "-c", "shared_buffers=32MB", *quick, *more]
        super().__init__(command, port, self._accepts, **_as_postgres())
        self.url = f"postgresql://o8@127.0.0.1:{port}/o8"

    def make(self, of: Postgres | None = None) -> None:
        """Its files: once, before the first start. A standby has those `of` its primary."""
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        data = ["-D", str(self.folder / "data")]
        command = [find("initdb"), *data, "-U", "o8", "-A", "trust", "-N", "--encoding=UTF8"]
        command += ["--locale=C"]
        if of is not None:
            command = [find("pg_basebackup"), *data, "-R", "-c", "fast", "-d", of.admin_url]
        subprocess.run(command, check=True, capture_output=True, **_as_postgres())  # type: ignore[call-overload]

    def _accepts(self) -> bool:
        import psycopg

        try:
            with psycopg.connect(self.admin_url, connect_timeout=2):
                return True
        except psycopg.Error:
            return False

    @property
    def admin_url(self) -> str:
        return self.url.removesuffix("/o8") + "/postgres"

    def run(self, statement: str, database: str = "o8") -> list[tuple[object, ...]]:
        import psycopg

        with psycopg.connect(self.url.removesuffix("o8") + database, autocommit=True) as asking:
            cursor = asking.execute(statement)
            return cursor.fetchall() if cursor.description else []


class Redis(Engine):
    """Keeps nothing over a kill, unless its options say so."""

    def __init__(self, folder: Path, *options: str) -> None:
        port = free_port()
        command = [find("redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
        command += ["--dir", str(folder), "--save", "", *options]
        super().__init__(command, port, lambda: answers(port))
        self.url = f"redis://127.0.0.1:{port}"


class Nats(Engine):
    """With JetStream, whose streams are kept in the folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        port = free_port()
        command = [find("nats-server"), "-js", "-sd", str(folder), "-a", "127.0.0.1"]
        super().__init__([*command, "-p", str(port), *options], port, lambda: answers(port))
        self.url = f"nats://127.0.0.1:{port}"


EngineKind = TypeVar("EngineKind", Redis, Nats)


@contextlib.contextmanager
def running(kind: type[EngineKind], *options: str) -> Iterator[EngineKind]:
    """A Redis or a NATS; the test is skipped where it is not installed."""
    with tempfile.TemporaryDirectory(prefix="o8-team-") as folder:
        engine = kind(Path(folder), *options)
        engine.start()
        try:
            yield engine
        finally:
            engine.stop()


@contextlib.contextmanager
def folder_of_its_own() -> Iterator[Path]:
    """That another user may enter: not below a folder of pytest's, which is closed to others."""
    with tempfile.TemporaryDirectory(prefix="o8-team-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


class Running:
    """An engine that somebody else runs, for a quick look: TEAM_POSTGRES_URL."""

    def __init__(self, url: str) -> None:
        self.url = url


@contextlib.contextmanager
def postgres(
    *settings: str, durable: bool = False, of: Postgres | None = None
) -> Iterator[Postgres]:
    with folder_of_its_own() as folder:
        engine = Postgres(folder, *settings, durable=durable)
        engine.make(of)
        engine.start()
        try:
            if of is None:
                engine.run("CREATE DATABASE o8", "postgres")
            yield engine
        finally:
            engine.stop()
