"""What does the server's process do without, so that it fits into its memory?"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

M_ARENA_MAX = -8  # of malloc.h
SUPERVISORS = "uvicorn.supervisors"


def load_uvicorn() -> None:
    """Import uvicorn without what its command line needs to run several processes: 1.7 MB, as
    multiprocessing comes with it, and watchfiles where that is there."""
    if "uvicorn" in sys.modules:
        return
    nothing: Any = ModuleType(SUPERVISORS)
    nothing.__getattr__ = lambda name: None
    sys.modules[SUPERVISORS] = nothing
    import uvicorn  # noqa: F401

    del sys.modules[SUPERVISORS]


def one_arena() -> None:
    """Have all threads take memory from one place, where the C library can: each further one keeps
    what its thread needed once, 1.1 MB together. Only one thread runs at a time anyway."""
    _libc("mallopt", M_ARENA_MAX, 1)


def give_back() -> None:
    """Ask the C library to return what is free to the system, where it can."""
    _libc("malloc_trim", 0)


def _libc(name: str, *given: int) -> None:
    if sys.platform == "linux":
        import ctypes  # which inotify needs, too

        if call := getattr(ctypes.CDLL(None), name, None):
            call(*given)
