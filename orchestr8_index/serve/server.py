"""Runs uvicorn until a signal; running requests then have some seconds to end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from ..config import Door, Limits
from ..daemon.claim import BACKLOG
from ..daemon.pidfile import PidFile
from .protocol import Lines, Wire
from .shares import peer_of

GRACE_SECONDS, LAST_SECONDS = 5, 10
MOST_AT_ONCE = 256  # connections that one turn of the loop accepts
REST_SECONDS = 1.0  # when there are no descriptors left
log = logging.getLogger("orchestr8.serve")


class HttpServer(uvicorn.Server):
    """uvicorn's server; the first signal stops it with status 0, a second SIGINT ends it at once.

    `ending` is set before it waits for running requests: a stream that stands must end itself.
    `claim` is held as long as it runs, and left at the first signal.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        lines: Lines,
        ending: asyncio.Event | None = None,
        claim: PidFile | None = None,
    ) -> None:
        super().__init__(config)
        self._lines, self._ending, self._claim = lines, ending or asyncio.Event(), claim
        self._told = asyncio.Event()
        self._tell: Callable[[], object] = self._told.set
        self._last = threading.Timer(LAST_SECONDS, _give_up)
        self._last.daemon = True

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            super().run(sockets)
        finally:
            self._last.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Windows' loop cannot watch a socket: there uvicorn takes the connections itself."""
        if sys.platform == "win32":
            await super().startup(sockets)
            return
        await super().startup([])
        secure = self.config.ssl
        limits = self._lines.limits
        self.servers = [Acceptor(each, self._protocol, secure, limits) for each in sockets or ()]  # type: ignore[misc]

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

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

    def end(self) -> None:
        """Stop, as after a signal; from any thread."""
        self.should_exit = True
        self._tell()

    def handle_exit(self, sig: int, frame: object) -> None:
        if not self.should_exit:
            self._last.start()
            self.end()
        elif sig == signal.SIGINT:  # of SIGTERM a watcher sends one more, `down` another
            log.warning("ended by a second signal")
            os._exit(1)

    async def main_loop(self) -> None:
        """One step a second, where uvicorn takes ten; a signal ends the wait."""
        loop = asyncio.get_running_loop()
        self._tell = functools.partial(loop.call_soon_threadsafe, self._told.set)
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                rest = 1.0 - loop.time() % 1.0  # to a whole second, as the upkeep does
                await asyncio.wait_for(self._told.wait(), rest)

    async def on_tick(self, counter: int) -> bool:
        self._lines.sweep(self.server_state.connections, asyncio.get_running_loop().time())
        if self._claim:
            self._claim.hold()
        return await super().on_tick(counter)


def _give_up() -> None:
    """Nothing acknowledged is lost: that is on the disk already."""
    log.error("the stop took too long", extra={"seconds": LAST_SECONDS})
    os._exit(1)


def serve(
    app: Any,
    pidfile: PidFile,
    listening: socket.socket,
    door: Door | None = None,
    lines: Lines | None = None,
    ending: asyncio.Event | None = None,
) -> None:
    """Blocks until SIGTERM or SIGINT; running requests then have GRACE_SECONDS to end."""
    door, lines = door or Door(), lines or Lines(Limits())
    log.info("listening", extra={"port": listening.getsockname()[1], "pid": os.getpid()})
    try:
        HttpServer(configured(app, lines, door), lines, ending, pidfile).run(sockets=[listening])
    finally:
        listening.close()
        pidfile.release()
    log.info("stopped")


def configured(app: Any, lines: Lines, door: Door) -> uvicorn.Config:
    lines.quick = getattr(app, "quick", None)
    return uvicorn.Config(
        app,
        http=functools.partial(Wire, lines=lines),  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=lines.limits.idle_seconds,
        backlog=BACKLOG,
        ssl_certfile=door.tls_cert or None,
        ssl_keyfile=door.tls_key or None,
    )


class Acceptor:
    """Accepts as many connections in one turn of the loop as wait. It stands where uvicorn keeps
    its servers: it can be closed, and waited for.

    uvloop takes one in a turn. When turns are long, under load, the last of a thousand that came at
    once would wait for a minute before anybody could even refuse it.
    """

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        secure: ssl.SSLContext | None = None,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self._seconds, self._most = limits.head_seconds, max(1, limits.max_connections // 2)
        self._listening, self._protocol, self._secure = listening, protocol, secure
        self._loop = asyncio.get_running_loop()
        self._opening: dict[asyncio.Task[None], str] = {}  # of which peer; the oldest first
        self._closed = False
        listening.setblocking(False)
        self._loop.add_reader(listening, self._take)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._listening)

    async def wait_closed(self) -> None:
        for task in self._opening:
            task.cancel()

    def _take(self) -> None:
        for _ in range(MOST_AT_ONCE):
            try:
                accepted, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("no connection can be accepted", extra={"reason": str(error)})
                self._loop.remove_reader(self._listening)
                self._loop.call_later(REST_SECONDS, self._go_on)
                return
            peer = peer_of(str(address[0]) if address else "local")
            if self._secure:
                self._make_room(peer)
            task = self._loop.create_task(self._open(accepted))
            self._opening[task] = peer
            task.add_done_callback(functools.partial(self._opened, accepted))

    def _make_room(self, peer: str) -> None:
        """For one more handshake: the one that is silent longest makes way; of a peer beyond
        loopback that has its half, one of its own."""
        mine = [task for task, of in self._opening.items() if peer and of == peer]
        if 2 * len(mine) >= self._most:
            self._end(mine[0])
        elif len(self._opening) >= self._most:
            self._end(next(iter(self._opening)))

    def _end(self, task: asyncio.Task[None]) -> None:
        del self._opening[task]
        task.cancel()

    def _opened(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self._opening.pop(task, None)
        if task.cancelled():
            accepted.close()

    def _go_on(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listening, self._take)

    async def _open(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        try:
            due = {"ssl_handshake_timeout": self._seconds} if self._secure else {}
            await self._loop.connect_accepted_socket(
                self._protocol, accepted, ssl=self._secure, **due
            )
        except OSError:  # it went away, or its TLS was none, or did not come in time
            accepted.close()
