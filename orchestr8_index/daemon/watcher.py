"""The watcher: a small process that restarts a crashed server; standard library only.

    python -c '…watcher.main()' PACKAGE_PARENT DATA_DIR COMMAND…

It runs COMMAND and restarts it when it ends by a signal or an exit status other than 0, 1 and 2:
after 0.5 s, doubling to 30 s. Status 0 is a normal end; 1 and 2 mean that it cannot run.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from ..private import make_folder, open_private
from ..redact import redact
from .pidfile import PidFile
from .process import own_facts

LOCK_NAME, STDERR_NAME, LOG_NAME = "mcp.watch", "serve.stderr", "mcp.log"
CHOSEN_ENDS = (0, 1, 2)
FIRST_PAUSE, LONGEST_PAUSE, CALM_SECONDS = 0.5, 30.0, 60.0
NAP, LOOK_SECONDS = 0.05, 2.0
PACKAGE = Path(__file__).parent.parent
UNWATCHED = (
    "Nobody would restart this server after a crash: its watcher was ended. Start both anew with "
    "`orchestr8-index down` and `orchestr8-index up`."
)
CHANGED = "The program was changed after this start: restart it with `orchestr8-index up`."


class Watched:
    """Whether the watcher that started this process still runs (a server in the foreground or under
    a service manager has none), and whether the program's files are as they were at the start."""

    def __init__(self, data_dir: Path, package: Path = PACKAGE) -> None:
        owner = PidFile(data_dir / LOCK_NAME).owner() or {}
        self._watcher = os.getppid() if owner.get("pid") == os.getppid() else None
        self._package, self._files, self._is_other = package, _files_of(package), False
        self._looked_at = time.monotonic()

    @property
    def reasons(self) -> list[str]:
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            with contextlib.suppress(OSError):  # while it is being changed
                self._is_other = _files_of(self._package) != self._files
            self._looked_at = time.monotonic()
        is_left = self._watcher not in (None, os.getppid())
        return [UNWATCHED] * is_left + [CHANGED] * self._is_other


def _files_of(package: Path) -> int:
    """A digest of their sizes and times: of some 300 in 1.5 ms."""
    folders = (each for each in os.walk(package) if not each[0].endswith("__pycache__"))
    paths = (f"{folder}/{name}" for folder, _, names in folders for name in names)
    return hash(frozenset((path, os.lstat(path)[6:9:2]) for path in paths))


class Watcher:
    """Keeps one server running until SIGTERM or SIGINT."""

    def __init__(self, data_dir: Path, command: Sequence[str]) -> None:
        self._logs, self._command = data_dir / "logs", command
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        pause = FIRST_PAUSE
        while not self._stopping:
            started = time.monotonic()
            status = self._run_once()
            if self._stopping or status in CHOSEN_ENDS:
                return status
            if time.monotonic() - started > CALM_SECONDS:
                pause = FIRST_PAUSE
            with contextlib.suppress(OSError):  # a full disk must not end the watcher
                self._write_crash(status, pause)
            self._rest(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
        return 0

    def _run_once(self) -> int:
        with self._stderr() as stderr:
            self._child = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr
            )
        if self._stopping:
            self._child.terminate()
        return self._child.wait()

    def _stderr(self) -> IO[bytes]:
        """The file for the server's stderr; /dev/null when it cannot be opened."""
        try:
            return open(self._logs / STDERR_NAME, "wb", opener=open_private)
        except OSError:
            return open(os.devnull, "wb")

    def _stop(self, number: int, frame: object) -> None:
        """A signal handler. It raises nothing, or a child that is being started would be lost."""
        self._stopping = True
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)

    def _rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < end:
            time.sleep(NAP)

    def _write_crash(self, status: int, pause: float) -> None:
        with open(self._logs / STDERR_NAME, "rb", opener=open_private) as file:
            last = file.read().decode("utf-8", "replace")[-2000:]
        now = time.time()
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        line = {
            "time": f"{moment}.{int(now % 1 * 1000):03}+00:00",
            "level": "error",
            "logger": "orchestr8.watch",
            "message": f"the server ended with status {status}; it is started again in {pause:g} s",
            "said": redact(last.strip()),
        }
        with open(self._logs / LOG_NAME, "a", encoding="utf-8", opener=open_private) as log:
            log.write(json.dumps(line) + "\n")


def main() -> int:
    os.umask(0o077)
    data_dir, command = Path(sys.argv[1]), sys.argv[2:]
    make_folder(data_dir, "logs")
    lock = PidFile(data_dir / LOCK_NAME)
    if not lock.acquire():
        return 0
    lock.write(**own_facts())
    try:
        return Watcher(data_dir, command).run()
    finally:
        lock.release()
