"""The memory of the process: its limits, and ways to save some.

Above the soft one /health says so, above the hard one requests are refused; both grow with use.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ..config import Limits
from ..errors import Overloaded

FREE_ENTRIES, ENTRY_KB, DECISION_KB = 100, 24, 4
LIBRARIES_MB = {
    "bpe_openai": 180,
    "mcp": 34,
    "numpy": 14,
    "rapidfuzz": 4,
    "prometheus_client": 4,
    "opentelemetry": 15,
    "psycopg": 18,
}
LOADED_MB = 6  # growth after the first requests: caches, words seen, buffers
M_ARENA_MAX = -8  # of malloc.h
SUPERVISORS = "uvicorn.supervisors"
LOADING = threading.RLock()
UNUSED = ("bz2", "html", "lzma", "pickle")  # for archives, error pages and log sockets


def memory_mb() -> float:
    """Resident memory in MB (1024·1024 bytes); its peak where /proc is missing, 0 on Windows."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            pages = int(statm.read().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1048576, 1)
    except OSError:
        if sys.platform == "win32":
            return 0.0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1048576 if sys.platform == "darwin" else 1024), 1)


@dataclass(slots=True)
class MemoryLimit:
    """The limits. `resident` measures the memory in use; `used` and `allowance` (what the limits
    grew by) are of the last measurement, in MB."""

    limits: Limits
    resident: Callable[[], float] = memory_mb
    used: float = 0.0
    allowance: float = 0.0
    shedding: bool = False

    def measure(self, entries: int, decisions: int, drop: Callable[[], None]) -> None:
        """Called once a second. Above the hard limit it calls `drop`, to free caches."""
        kilobytes = max(0, entries - FREE_ENTRIES) * ENTRY_KB + decisions * DECISION_KB
        libraries = sum(mb for name, mb in LIBRARIES_MB.items() if name in sys.modules)
        self.allowance = LOADED_MB + kilobytes / 1024 + libraries
        hard = max(self.limits.memory_hard_mb, self.limits.memory_soft_mb) + self.allowance
        self.used = self.resident()
        if self.used > hard:
            drop()
            gc.collect()
            give_back()
            self.used = self.resident()
        self.shedding = self.used > hard

    def check(self) -> None:
        """Raises Overloaded above the hard limit."""
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


def load_uvicorn() -> None:
    """Import uvicorn without its supervisors and what they import: multiprocessing (1.7 MB)."""
    if "uvicorn" in sys.modules:
        return
    nothing: Any = ModuleType(SUPERVISORS)
    nothing.__getattr__ = lambda name: None
    sys.modules[SUPERVISORS] = nothing
    import uvicorn  # noqa: F401

    del sys.modules[SUPERVISORS]


class _Deferred(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        with LOADING:  # another thread waits until all of the module's code has run
            if self.__dict__.pop("_waits", False):
                importlib.reload(self)
                self.__class__ = ModuleType  # type: ignore[assignment]
            return ModuleType.__getattribute__(self, name)


def defer(module_name: str) -> None:
    """Import a module whose code runs at the first use of a name; submodules can come before."""
    if module_name not in sys.modules and (spec := importlib.util.find_spec(module_name)):
        module = sys.modules[module_name] = importlib.util.module_from_spec(spec)
        module.__class__, module.__dict__["_waits"] = _Deferred, True
        if (parts := module_name.rpartition("."))[0]:
            setattr(sys.modules[parts[0]], parts[2], module)


def defer_unused() -> None:
    """Before all other imports: libraries import what a server hardly ever uses, 1 MB of it."""
    for name in UNUSED:
        defer(name)


def one_arena() -> None:
    """Make glibc use one arena for all threads: others keep what their thread freed (1.1 MB)."""
    _libc("mallopt", M_ARENA_MAX, 1)


def give_back() -> None:
    """Make glibc return free memory to the system."""
    _libc("malloc_trim", 0)


def _libc(name: str, *arguments: int) -> None:
    if sys.platform == "linux":
        import ctypes  # inotify imports it anyway

        if call := getattr(ctypes.CDLL(None), name, None):
            call(*arguments)
