"""Who watches the watchers? What looks after the server, and what is wrong with any of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..catalog.generations import Refresh
from .filewatch import Watch
from .logs import LogFile, LogNowhere
from .samples import Samples
from .trace import Trace

STALE_SECONDS = 7200.0


@dataclass(slots=True)
class Signs:
    """`log` is None where logs go nowhere (in tests); `trace` is None unless it was asked for."""

    data_dir: Path
    samples: Samples = field(init=False)
    watch: Watch | None = None
    log: LogFile | LogNowhere | None = None
    trace: Trace | None = None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.samples = Samples(self.data_dir)

    def listen_to(self, log: LogFile | LogNowhere) -> None:
        """A log whose file was removed begins a new one within a minute."""
        self.log = log
        self.samples.also.append(log.reopen_if_gone)

    def reasons(self, refresh: Refresh) -> list[str]:
        """What is wrong, for /health, as sentences with their cures."""
        watched = self.watch.trouble if self.watch else ""
        written = self.log.trouble if self.log else ""
        said = (_stale(self.clock() - refresh.looked_at), refresh.damage, watched, written)
        return [sentence for sentence in said if sentence]


def _stale(seconds: float) -> str:
    if seconds < STALE_SECONDS:
        return ""
    return (
        f"The index may be stale: the trees were last looked at {seconds / 3600:.0f} hours ago. "
        "Look now with `orchestr8-index reindex`; the log says why it was not done."
    )
