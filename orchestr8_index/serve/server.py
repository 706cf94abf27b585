"""Runs uvicorn until a signal; then running requests have some seconds to end."""

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
MOST_AT_ONCE = 256  # connections accepted in one turn of the loop
REST_SECONDS = 1.0  # the pause in accepting when there are no descriptors left
log = logging.getLogger("orchestr8.serve")


class HttpServer(uvicorn.Server):
    """uvicorn's server; the first signal stops it with status 0, a second SIGINT kills it.

    `ending` is set before it waits for running requests, so that open streams end themselves.
    `claim`, its lock file, is repaired once a second.
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
        self._signalled = asyncio.Event()
        self._wake: Callable[[], object] = self._signalled.set
        self._last = threading.Timer(LAST_SECONDS, _give_up)
        self._last.daemon = True

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            super().run(sockets)
        finally:
            self._last.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept by Acceptor; on Windows, whose loop cannot watch a socket, uvicorn accepts."""
        if sys.platform == "win32":
            await super().startup(sockets)
            return
        await super().startup([])
        secure = self.config.ssl
        limits = self._lines.limits
        self.servers = [Acceptor(each, self._protocol, secure, limits) for each in sockets or ()]  # type: ignore[misc]

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

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
        self._wake()

    def handle_exit(self, sig: int, frame: object) -> None:
        if not self.should_exit:
            self._last.start()
            self.end()
        elif sig == signal.SIGINT:  # not SIGTERM, which both the watcher and `down` send
            log.warning("ended by a second signal")
            os._exit(1)

    async def main_loop(self) -> None:
        """One tick a second, where uvicorn has ten; a signal ends the wait."""
        loop = asyncio.get_running_loop()
        self._wake = functools.partial(loop.call_soon_threadsafe, self._signalled.set)
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                rest = 1.0 - loop.time() % 1.0  # to a whole second, together with the upkeep
                await asyncio.wait_for(self._signalled.wait(), rest)

    async def on_tick(self, counter: int) -> bool:
        self._lines.sweep(self.server_state.connections, asyncio.get_running_loop().time())
        if self._claim:
            self._claim.hold()
        return await super().on_tick(counter)


def _give_up() -> None:
    """Exit at once. Nothing acknowledged is lost, as it is on the disk."""
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
    """Serve until SIGTERM or SIGINT; running requests then have GRACE_SECONDS to end. Blocks."""
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
    """Accepts all waiting connections in one turn of the loop; used by uvicorn as a server object.

    uvloop accepts one in a turn. Under load, with long turns, the last of a thousand connections
    would wait for a minute before it could even be refused.
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
        self._opening: dict[asyncio.Task[None], str] = {}  # handshakes and peers, oldest first
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
        """End the oldest TLS handshake if there are too many; one of this peer's own if it is
        beyond loopback and has half of all."""
        own = [task for task, other in self._opening.items() if peer and other == peer]
        if 2 * len(own) >= self._most:
            self._end(own[0])
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
        except OSError:  # disconnected, or the TLS handshake failed or timed out
            accepted.close()
