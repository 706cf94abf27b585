"""Two clocks: one for people, and one for leases that nobody can set."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache


@dataclass(slots=True)
class Clock:
    """`now` is lease time in ms: how long servers have run on the file, `base` before this start.

    It stands still while no server runs, so that a restart takes nothing from a lease.
    """

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    base: int = 0
    _started: float = field(default=-1.0)

    def start(self, base: int) -> None:
        self.base, self._started = base, self.monotonic()

    def now(self) -> int:
        return self.base + int((self.monotonic() - self._started) * 1000)

    def at(self) -> int:
        """Unix time in ms, by the clock on the wall."""
        return int(self.wall() * 1000)

    def moment(self, ends: int) -> str:
        """The time of day at which a lease ends, if nobody sets the clock meanwhile."""
        return iso(self.at() + ends - self.now())


@lru_cache(256)  # what is read together was often written together
def iso(at: int) -> str:
    """Unix ms as ISO 8601 in UTC; "" for what is no such number, as in a row that was bent."""
    try:
        second = datetime.fromtimestamp(at // 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return ""
    return f"{second:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"
