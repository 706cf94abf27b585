"""How does the server run and stop? One loop until a signal; running requests then end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from ..daemon.claim import BACKLOG
from ..daemon.pidfile import PidFile

GRACE_SECONDS = 5
log = logging.getLogger("orchestr8.serve")


class Server(uvicorn.Server):
    """uvicorn's server, but a signal ends it with status 0 instead of being raised again.

    `ending` is set before it waits for running requests: a stream that stands must end itself.
    """

    def __init__(self, config: uvicorn.Config, ending: asyncio.Event | None = None) -> None:
        super().__init__(config)
        self._ending = ending or asyncio.Event()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending.set()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                loop.add_signal_handler(number, self.handle_exit, number, None)
            except NotImplementedError:  # Windows
                signal.signal(number, self.handle_exit)
        yield


def serve(
    app: Any, pidfile: PidFile, listening: socket.socket, ending: asyncio.Event | None = None
) -> None:
    """Blocks until SIGTERM or SIGINT; running requests then have GRACE_SECONDS to end."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=BACKLOG,
    )
    log.info("listening", extra={"port": listening.getsockname()[1], "pid": os.getpid()})
    try:
        Server(config, ending).run(sockets=[listening])
    finally:
        listening.close()
        pidfile.release()
    log.info("stopped")
