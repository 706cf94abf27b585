"""What the process uses, sampled once a minute, so that a scrape costs nothing."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from ..store.database import size_bytes

EVERY_SECONDS, KEPT = 60.0, 60
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
    """The samples of the last hour, the newest last."""

    data_dir: Path
    every: float = EVERY_SECONDS
    kept: deque[Sample] = field(default_factory=lambda: deque(maxlen=KEPT))
    _next: float = 0.0

    @property
    def latest(self) -> Sample:
        return self.kept[-1] if self.kept else self.take()

    def take(self) -> Sample:
        sample = Sample(
            at=time.monotonic(),
            memory_mb=memory_mb(),
            database_mb=round(size_bytes(self.data_dir) / 1_000_000, 3),
            open_files=open_files(),
            threads=threading.active_count(),
            cpu_seconds=round(time.process_time(), 3),
        )
        self.kept.append(sample)
        return sample

    def take_if_due(self) -> bool:
        """Whether it was time for one."""
        if time.monotonic() < self._next:
            return False
        self.take()
        self._next = time.monotonic() + min(self.every, FIRST_SECONDS * len(self.kept))
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
