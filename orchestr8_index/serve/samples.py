"""What does the process use? Looked at once a minute, so that a scrape costs nothing."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..store.database import size_bytes
from .process import memory_mb

EVERY_SECONDS, KEPT = 60.0, 60
FIRST_SECONDS = 5.0  # a start changes much, so the first looks follow sooner


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
    """The samples of the last hour. `also` runs after each: small things that need a look."""

    data_dir: Path
    every: float = EVERY_SECONDS
    also: list[Callable[[], None]] = field(default_factory=list)
    taken: deque[Sample] = field(default_factory=lambda: deque(maxlen=KEPT))
    _next: float = 0.0

    @property
    def latest(self) -> Sample:
        return self.taken[-1] if self.taken else self.take()

    def take(self) -> Sample:
        sample = Sample(
            at=time.monotonic(),
            memory_mb=memory_mb(),
            database_mb=round(size_bytes(self.data_dir) / 1_000_000, 3),
            open_files=open_files(),
            threads=threading.active_count(),
            cpu_seconds=round(time.process_time(), 3),
        )
        self.taken.append(sample)
        return sample

    def look(self) -> None:
        """Take one if it is time."""
        if time.monotonic() < self._next:
            return
        self.take()
        self._next = time.monotonic() + min(self.every, FIRST_SECONDS * len(self.taken))
        for look in self.also:
            look()


def open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd")) - 1
    except OSError:
        return 0
