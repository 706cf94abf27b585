"""The audit and the usage: who called which method with which outcome; equal events are counted.

No contents are recorded, only names, methods or routes, and codes. Nothing here waits for the disk.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime

from ..methods import METHODS
from ..redact import redact
from ..store.notes import AuditRow
from ..store.usage import OTHERS, UsageRow
from .callers import caller

MOST_EACH = 500  # distinct events between two writes; further ones are counted together
EVERY = 10.0  # seconds between two writes of the usage
WATCHING = {"getHealth", "getMetrics", "rpc.discover"}  # monitoring calls, not counted as usage
WATCHING |= {method.name for method in METHODS.values() if method.face == "page"}
AuditKey = tuple[str, str, str]


class Usage:
    """The calls since the last write, by caller, method and outcome."""

    def __init__(self) -> None:
        self._counts: Counter[AuditKey] = Counter()
        self._written = time.monotonic()

    def note(self, who: str, what: str, outcome: str) -> None:
        if what in WATCHING:
            return
        event = (redact(who), what, outcome)
        if event not in self._counts and len(self._counts) >= MOST_EACH:
            event = (OTHERS, what, outcome)
        self._counts[event] += 1

    def put_back(self, rows: list[UsageRow]) -> None:
        """Count rows again that could not be written."""
        self._counts.update({row[1:4]: row[4] for row in rows})

    @property
    def is_due(self) -> bool:
        return bool(self._counts) and time.monotonic() - self._written >= EVERY

    def take(self) -> list[UsageRow]:
        """The rows to write; counting starts anew."""
        day, self._written = datetime.now(UTC).date().isoformat(), time.monotonic()
        counts, self._counts = self._counts, Counter()
        return [(day, *event, times) for event, times in counts.items()]


class Audit:
    """The events since the last write. `reads`: audit questions too; `usage` counts all calls."""

    def __init__(self, reads: bool) -> None:
        self._reads = reads
        self._counts: dict[AuditKey, int] = {}
        self._since = 0.0
        self.usage = Usage()

    def done(self, what: str, outcome: str, is_read: bool) -> None:
        """Note the end of a call by the current caller; without a key, by peer and agent name."""
        asks = caller.get()
        who = f"{asks.name}/{asks.agent}" if asks.agent and not asks.keyed else asks.name
        self.usage.note(who, what, outcome)
        if self._reads or not is_read:
            self.note(who, what, outcome)

    def read(self, who: str, what: str) -> None:
        """Note a question that was answered."""
        self.usage.note(who, what, "ok")
        if self._reads:
            self.note(who, what, "ok")

    def note(self, who: str, what: str, outcome: str) -> None:
        if not self._counts:
            self._since = time.time()
        event = (who, what, outcome)
        if event not in self._counts and len(self._counts) >= MOST_EACH:
            event = ("others", "others", "others")
        self._counts[event] = self._counts.get(event, 0) + 1

    def take(self) -> list[AuditRow]:
        """The rows to write; counting starts anew."""
        moment = datetime.fromtimestamp(self._since, UTC).isoformat(timespec="milliseconds")
        counts, self._counts = self._counts, {}
        return [(moment, redact(who), what, how, n) for (who, what, how), n in counts.items()]
