"""Who has that port? On Linux the kernel's own tables say it; elsewhere it is another program."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

PROC = Path("/proc")
UNKNOWN = "another program"
_LISTENING = "0A"


def taker(port: int, proc: Path = PROC) -> str:
    """`nginx (process 812)`, or `another program` where that is hidden."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port, proc)}
    pid = _owner(sockets, proc) if sockets else None
    if pid is None:
        return UNKNOWN
    try:
        name = (proc / str(pid) / "comm").read_text().strip()
    except OSError:
        return f"process {pid}"
    return f"{name} (process {pid})"


def _inodes(port: int, proc: Path) -> set[str]:
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[1].endswith(f":{port:04X}") and fields[3] == _LISTENING:
                found.add(fields[9])
    return found


def _owner(sockets: set[str], proc: Path) -> int | None:
    """None where the process is another user's, or just gone."""
    for name in filter(str.isdecimal, os.listdir(proc)):
        folder = f"{proc}/{name}/fd"
        with contextlib.suppress(OSError):
            if not sockets.isdisjoint(os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)):
                return int(name)
    return None
