"""The audit: who did what, when, and how it ended; equal events of a second are counted as one.

No contents: a name, a method or an address of ours, and a code. Nothing here waits for the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from ..redact import redact
from ..store.notes import AuditRow
from .callers import caller

MOST_EACH = 500  # different events between two writes; what comes on top is counted as one
Event = tuple[str, str, str]


class Audit:
    """What has happened since the last write. `reads`: questions are noted too."""

    def __init__(self, reads: bool, clock: Callable[[], float] = time.time) -> None:
        self._reads, self._clock = reads, clock
        self._counts: dict[Event, int] = {}
        self._since = 0.0

    def done(self, what: str, outcome: str, is_read: bool) -> None:
        """A call ended, of the caller that is asking now."""
        if self._reads or not is_read:
            asks = caller.get()  # without a key its own name stands beside where it comes from
            named = f"{asks.name}/{asks.agent}" if asks.agent and not asks.keyed else asks.name
            self.note(named, what, outcome)

    def read(self, who: str, what: str) -> None:
        """That caller was answered."""
        if self._reads:
            self.note(who, what, "ok")

    def note(self, who: str, what: str, outcome: str) -> None:
        if not self._counts:
            self._since = self._clock()
        event = (who, what, outcome)
        if event not in self._counts and len(self._counts) >= MOST_EACH:
            event = ("others", "others", "others")
        self._counts[event] = self._counts.get(event, 0) + 1

    def take(self) -> list[AuditRow]:
        """The rows to write, which are forgotten here."""
        moment = datetime.fromtimestamp(self._since, UTC).isoformat(timespec="milliseconds")
        counts, self._counts = self._counts, {}
        return [(moment, redact(who), what, how, n) for (who, what, how), n in counts.items()]
