"""The memory limits: above the soft one /health says so, above the hard one requests are refused.

Both are for a catalogue of FREE_ENTRIES without outcomes; each further entry, each decision and
each large library in use raises them.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass

from ..config import Limits
from ..errors import Overloaded
from .lean import give_back
from .samples import memory_mb

FREE_ENTRIES, ENTRY_KB, DECISION_KB = 100, 24, 4
LIBRARIES_MB = {
    "bpe_openai": 180,
    "mcp": 45,
    "numpy": 14,
    "rapidfuzz": 4,
    "prometheus_client": 4,
    "opentelemetry": 15,
    "psycopg": 18,
}
LOADED_MB = 6  # what answering itself brings in after the start: caches, words seen, buffers


@dataclass(slots=True)
class MemoryLimit:
    """`resident` gives the memory in use; `used` and `allowance` are the last measure, in MB."""

    limits: Limits
    resident: Callable[[], float] = memory_mb
    used: float = 0.0
    allowance: float = 0.0
    shedding: bool = False

    def measure(self, entries: int, decisions: int, drop: Callable[[], None]) -> None:
        """Once a second. Above the hard limit `drop` is to free what can be had again."""
        self.allowance = allowance_mb(entries, decisions)
        hard = max(self.limits.memory_hard_mb, self.limits.memory_soft_mb) + self.allowance
        self.used = self.resident()
        if self.used > hard:
            drop()
            gc.collect()
            give_back()
            self.used = self.resident()
        self.shedding = self.used > hard

    def check(self) -> None:
        """Raises Overloaded."""
        if self.shedding:
            cure = "Ask again in a second; if that stays, raise MCP_MEMORY_HARD_MB or restart."
            raise Overloaded("The server is short of memory.", cure)

    @property
    def reasons(self) -> list[str]:
        soft = self.limits.memory_soft_mb + self.allowance
        if self.used <= soft:
            return []
        over = f"The server uses {self.used:.0f} MB of memory, more than the {soft:.0f} MB expected"
        return [over + ("; requests are refused." if self.shedding else ".")]


def allowance_mb(entries: int, decisions: int) -> float:
    kilobytes = max(0, entries - FREE_ENTRIES) * ENTRY_KB + decisions * DECISION_KB
    libraries = sum(mb for name, mb in LIBRARIES_MB.items() if name in sys.modules)
    return LOADED_MB + kilobytes / 1024 + libraries
