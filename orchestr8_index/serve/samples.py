"""What the process uses, sampled once a minute, so that a scrape costs nothing."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ..store.database import size_bytes

EVERY_SECONDS = 60.0
FIRST_SECONDS = 5.0  # a start changes much, so the first samples follow sooner


@dataclass(frozen=True, slots=True)
class Sample:
    """`at` is on the monotonic clock; `open_files` is 0 where the system does not tell."""

    at: float
    memory_mb: float
    database_mb: float
    open_files: int
    threads: int
    cpu_seconds: float


@dataclass(slots=True)
class Samples:
    """`taken` counts the samples; `latest` is the newest."""

    data_dir: Path
    every: float = EVERY_SECONDS
    taken: int = 0
    _latest: Sample | None = None
    _next: float = 0.0

    @property
    def latest(self) -> Sample:
        return self._latest or self.take()

    def take(self) -> Sample:
        self.taken += 1
        self._latest = Sample(
            at=time.monotonic(),
            memory_mb=memory_mb(),
            database_mb=round(size_bytes(self.data_dir) / 1_000_000, 3),
            open_files=open_files(),
            threads=threading.active_count(),
            cpu_seconds=round(time.process_time(), 3),
        )
        return self._latest

    def take_if_due(self) -> bool:
        """Whether it was time for one."""
        if time.monotonic() < self._next:
            return False
        self.take()
        self._next = time.monotonic() + min(self.every, FIRST_SECONDS * self.taken)
        return True


def open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd")) - 1
    except OSError:
        return 0


def memory_mb() -> float:
    """Resident memory in MB (1024·1024 bytes); the peak where the present is not to be had."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            pages = int(statm.read().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1048576, 1)
    except OSError:
        return _peak_mb()


def _peak_mb() -> float:
    if sys.platform == "win32":
        return 0.0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1048576 if sys.platform == "darwin" else 1024), 1)
