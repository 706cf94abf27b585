"""Does somebody restart this server if it crashes? One whose watcher was killed starts another.

A server that nobody watched at its start, in the foreground or under a service manager, is left so.
"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable, Sequence

from ..config import Settings, inherited_environment
from .command import arguments_of, own_command, watch_command
from .pidfile import SERVER_NAME, PidFile
from .watcher import ADOPT, LOCK_NAME

AGAIN_SECONDS = 10.0
UNWATCHED = (
    "Nobody would restart this server after a crash: its watcher was ended, and another one does "
    "not start. Start both anew with `orchestr8-index down` and `orchestr8-index up`."
)
log = logging.getLogger("orchestr8.serve")


class Watched:
    """The server's own look at its watcher, once a second."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._lock = PidFile(settings.data_dir / LOCK_NAME)
        self._server = PidFile(settings.data_dir / SERVER_NAME)
        self._wanted = (self._lock.owner() or {}).get("pid") == os.getppid()
        self._started: subprocess.Popen[bytes] | None = None
        self._look_after = 0.0
        self.reasons: list[str] = []

    def look(self) -> None:
        if not self._wanted:
            return
        if self._started is not None:
            self._started.poll()  # our child: it is to be buried if it was killed, too
        if self._lock.owner() is not None:
            self._look_after, self.reasons = 0.0, []
        elif self._clock() >= self._look_after and self._is_ours():
            self.reasons = [UNWATCHED] if self._look_after else []
            self._look_after = self._clock() + AGAIN_SECONDS
            log.warning("the watcher was ended; another one is started")
            self._start()

    def _is_ours(self) -> bool:
        """Where the data directory was removed, an adopter would take this server for dead."""
        return (self._server.owner() or {}).get("pid") == os.getpid()

    def _start(self) -> None:
        server = own_command("serve", *arguments_of(self._settings))
        try:
            self._started = detached(watch_command(ADOPT, str(self._settings.data_dir), *server))
        except OSError as error:
            log.error("no watcher can be started", extra={"reason": str(error.strerror)})


def detached(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """A process that outlives its starter and its terminal."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=inherited_environment(),
        start_new_session=True,
    )
