"""The only place that signals a process by its pid, and only once it is proven to be ours.

A pid in a file proves nothing. The process must hold the file's lock, have the start time that the
file says, run our command line, and belong to this user. On Linux a pidfd is opened before these
checks, so that the checks and the signal concern the same process.
Standard library only.
"""

from __future__ import annotations

import calendar
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import NotOurs
from ..private import open_private
from .pidfile import PidFile

_PROC = Path("/proc")
_COMMAND = re.compile(r"(^|[ /])orchestr8-index( |$)|-m orchestr8_index[. ]|from orchestr8_index\.")
_PS = ("/bin/ps", "-ww", "-o", "uid=,lstart=,command=", "-p")


class ProcessStat(NamedTuple):
    """`started` is in clock ticks since boot on Linux, elsewhere in seconds since 1970."""

    uid: int
    started: int
    command: str


@dataclass(frozen=True, slots=True)
class Process:
    """A process that is proven to be ours; `handle` is its pidfd, -1 without one."""

    pid: int
    handle: int

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.handle >= 0:
                signal.pidfd_send_signal(self.handle, number)
            else:
                os.kill(self.pid, number)


def own_facts() -> dict[str, int]:
    """`pid` and start time of this process, for its lock file; `proven` compares them."""
    seen = _look(os.getpid())
    return {"pid": os.getpid(), **({"started": seen.started} if seen else {})}


@contextlib.contextmanager
def proven(lock: PidFile) -> Iterator[Process | None]:
    """The process that owns `lock`; None without an owner, or before it has written its pid.

    Raises NotOurs when the process that the file names fails a check.
    """
    _refuse_foreign(lock.path)
    facts = lock.owner()
    while facts and facts.get("pid") is not None:
        pid = facts["pid"]
        handle = _handle(pid) if _is_number(pid) else -1
        try:
            doubt = _doubt(lock.path, facts)
            if not doubt:
                yield Process(pid, handle)
                return
        finally:
            if handle >= 0:
                os.close(handle)
        before, facts = facts, lock.owner()
        if facts == before:  # else the owner changed during the checks: try again
            raise _refusal(lock.path, f"it names process {str(pid)[:20]}, and {doubt}")
    yield None


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a child that leads a process group, with the group. Nothing has waited for the child
    yet, so its pid cannot have been given to another process."""
    with contextlib.suppress(ProcessLookupError, PermissionError, AttributeError):
        if process.pid > 1:
            os.killpg(process.pid, signal.SIGKILL)


def _refuse_foreign(path: Path) -> None:
    try:
        os.close(open_private(path, os.O_RDONLY))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise _refusal(path, str(error.strerror)) from None


def _is_number(pid: object) -> bool:
    return type(pid) is int and 1 < pid < 2**31 and pid != os.getpid()


def _handle(pid: int) -> int:
    with contextlib.suppress(OSError, AttributeError):  # process gone, old kernel, or not Linux
        return os.pidfd_open(pid)
    return -1


def _doubt(path: Path, facts: dict[str, Any]) -> str:
    """Which check the process fails, as an error says it; "" when it passes all."""
    pid = facts["pid"]
    if not _is_number(pid):
        return "that is no number of a server's process"
    seen = _look(pid)
    if seen is None:
        return "there is none"
    if seen.uid != os.geteuid():
        return "that belongs to another user"
    if facts.get("started", seen.started) != seen.started:
        return "that was started at another time than the file says"
    if not _COMMAND.search(seen.command):
        return "that runs another program"
    return "" if _holds(pid, path) else "that does not hold the file's lock"


def _look(pid: int) -> ProcessStat | None:
    with contextlib.suppress(OSError, ValueError, IndexError, subprocess.SubprocessError):
        return _look_in_proc(pid) if sys.platform == "linux" else _ask_ps(pid)
    return None


def _look_in_proc(pid: int) -> ProcessStat:
    folder = _PROC / str(pid)
    fields = (folder / "stat").read_bytes().rsplit(b")", 1)[1].split()
    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
    return ProcessStat(folder.stat().st_uid, int(fields[19]), command.decode("utf-8", "replace"))


def _ask_ps(pid: int) -> ProcessStat:
    asked = [*_PS, str(pid)]
    env = {"LC_ALL": "C", "TZ": "UTC0"}
    output = subprocess.run(asked, capture_output=True, text=True, errors="replace", env=env)
    uid, *date, command = output.stdout.split(None, 6)
    moment = calendar.timegm(time.strptime(" ".join(date), "%a %b %d %H:%M:%S %Y"))
    return ProcessStat(int(uid), moment, command.strip() + " ")


def _holds(pid: int, path: Path) -> bool:
    """Whether this process has locked the file, by /proc; True off Linux, where it can't be seen
    and the caller knows only that some process has."""
    if sys.platform != "linux":
        return True
    folder = _PROC / str(pid)
    with contextlib.suppress(OSError):
        locked = os.lstat(path)
        for name in os.listdir(folder / "fd"):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(folder / "fd" / name), locked):
                    info = (folder / "fdinfo" / name).read_text()
                    if " FLOCK " in info and " WRITE " in info:
                        return True
    return False


def _refusal(path: Path, why: str) -> NotOurs:
    return NotOurs(f"Nothing was ended: {path} is not to be trusted: {why}.")
