"""How much does this process take? What the system says about it."""

from __future__ import annotations

import os
import sys


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
