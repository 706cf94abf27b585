"""Processes of the command line that cost no start: one has loaded the package, and divides itself.

What is tested with them is a process as any other: its own arguments, environment, folder, pipes,
signals and status. Where its start itself is what matters, `World` starts a real one.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

MOST = 100_000  # bytes of a request
LOADED = """app cli.ask cli.learnt cli.serve cli.server serve.http serve.logs serve.stores
serve.protocol serve.server serve.sharedstate""".split()


class Forked:
    """As a subprocess.Popen with three pipes of text."""

    stdin: IO[str] | None
    stdout: IO[str]
    stderr: IO[str]
    returncode: int | None = None

    def __init__(self, arguments: tuple[str, ...], env: Mapping[str, str], cwd: Path) -> None:
        self.args = arguments
        pipes = [os.pipe() for _ in range(4)]
        theirs = [pipes[0][0], *(pipe[1] for pipe in pipes[1:])]
        self.pid = _parent().ask(theirs, arguments=arguments, env=dict(env), cwd=str(cwd))
        for end in theirs:
            os.close(end)
        self.stdin, self._status = open(pipes[0][1], "w"), pipes[3][0]
        self.stdout, self.stderr = (open(pipe[0]) for pipe in pipes[1:3])

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        if (status := self._look(timeout)) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            waiting = select.poll()
            waiting.register(self._status, select.POLLIN)
            if waiting.poll(None if timeout is None else timeout * 1000):
                self.returncode = int(os.read(self._status, 16) or b"-9")
                os.close(self._status)
        return self.returncode

    def communicate(self, input: str = "", timeout: float | None = None) -> tuple[str, str]:
        """`input` is short: nobody reads while it is written."""
        if self.stdin is not None and not self.stdin.closed:
            with contextlib.suppress(BrokenPipeError), self.stdin as pipe:
                pipe.write(input)
        texts = ["", ""]
        reading = [
            threading.Thread(target=_read, args=(pipe, texts, place), daemon=True)
            for place, pipe in enumerate((self.stdout, self.stderr))
        ]
        for thread in reading:
            thread.start()
        for thread in reading:
            thread.join(timeout)
            if thread.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(timeout)
        return texts[0], texts[1]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            _parent().ask([], pid=self.pid, signal=int(number))

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _read(pipe: IO[str], texts: list[str], place: int) -> None:
    if not pipe.closed:
        with pipe:
            texts[place] = pipe.read()


class Parent:
    """The process that has loaded the package, as those see it who have it divide itself."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        file = str(theirs.fileno())
        command = [sys.executable, "-P", __file__, file, "-m", "orchestr8_index"]  # as others look
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}  # not another checkout
        self._process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, pass_fds=[int(file)]
        )
        theirs.close()
        self._turn = threading.Lock()
        atexit.register(self._end)

    def ask(self, files: list[int], **request: Any) -> int:
        with self._turn:
            socket.send_fds(self._ours, [json.dumps(request).encode()], files)
            return int(self._ours.recv(16))

    def _end(self) -> None:
        self._ours.close()
        self._process.wait()


@functools.cache
def _parent() -> Parent:
    return Parent()


# --- in that process


def serve(control: socket.socket) -> dict[str, Any]:
    """Returns in each child, with what it is asked to run."""
    children: dict[int, int] = {}
    ended, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writing)
    while True:
        ready = select.select([control.fileno(), ended], [], [])[0]
        if ended in ready:
            os.read(ended, 1000)
            _tell(children)
        if control.fileno() in ready:
            data, files, _, _ = socket.recv_fds(control, MOST, 4)
            if not data:
                sys.exit()
            request = json.loads(data)
            if not files:
                if request["pid"] in children:
                    os.kill(request["pid"], request["signal"])
                control.send(b"0")
            elif pid := os.fork():
                children[pid] = files[3]
                for file in files[:3]:
                    os.close(file)
                control.send(b"%d" % pid)
            else:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.detach()
                for place, file in enumerate(files[:3]):
                    os.dup2(file, place)
                os.closerange(3, 4096)
                return dict(request)


def _tell(children: dict[int, int]) -> None:
    """What became of those that ended."""
    for pid, status in list(children.items()):
        ended, how = os.waitpid(pid, os.WNOHANG)
        if ended:
            os.write(status, b"%d" % os.waitstatus_to_exitcode(how))
            os.close(children.pop(pid))


def main() -> None:
    import gc
    import importlib
    import runpy
    import time

    from orchestr8_index.serve.memory import load_uvicorn

    load_uvicorn()
    for name in LOADED:
        importlib.import_module(f"orchestr8_index.{name}")
    gc.freeze()
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    for place, name in enumerate(("stdin", "stdout", "stderr")):  # of pipes, as these are
        how: dict[str, Any] = (
            {"errors": "backslashreplace", "buffering": 1} if name == "stderr" else {}
        )
        setattr(sys, name, open(place, "w" if place else "r", closefd=False, **how))
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    sys.argv[1:] = request["arguments"]
    runpy.run_module("orchestr8_index", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
