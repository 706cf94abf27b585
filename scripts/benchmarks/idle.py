"""What a server and its watcher cost while nobody asks: context switches and processor time."""

import re
import subprocess
import tempfile
import time
from pathlib import Path

from .harness import Run, memory_mb, progress
from .servers import PROGRAM, cpu_s, owner_of

SETTLE = 20.0  # seconds until what a start leaves to be done is done
LOCKS = ("mcp.pid", "mcp.watch")


def cost_of(pid: int) -> tuple[int, float]:
    """(context switches of all threads, seconds of processor time) so far."""
    switches = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        switches += sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", status.read_text())))
    return switches, cpu_s(pid)


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, minutes=10.0) as run, tempfile.TemporaryDirectory() as data:
        program, where = PROGRAM, ("--data-dir", data)
        subprocess.run(
            [*program, "up", "--root", str(run.root), "--port", "0", *where],
            check=True,
            capture_output=True,
        )
        try:
            pids = [int(owner_of(data, lock)["pid"]) for lock in LOCKS]
            time.sleep(SETTLE)
            before, started = [cost_of(pid) for pid in pids], time.perf_counter()
            progress(f"{run.given.minutes:g} minutes without a question")
            time.sleep(run.given.minutes * 60)
            spent = time.perf_counter() - started
            for name, pid, then in zip(("server", "watcher"), pids, before, strict=True):
                switches, seconds = (b - a for a, b in zip(then, cost_of(pid), strict=True))
                share, memory = 100 * seconds / spent, memory_mb(pid)
                figures = {"cpu_percent": share, "memory_MB": memory}
                run.row(name, context_switches_a_second=switches / spent, **figures)
        finally:
            subprocess.run([*program, "down", *where], check=True, capture_output=True)
