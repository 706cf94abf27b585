"""Accepts connections: many in one turn of the loop, as many as wait.

uvloop takes one new connection in a turn. When turns are long, under load, the last of a thousand
that came at once would wait for a minute before anybody could even refuse it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import ssl
from collections.abc import Callable

from ..config import Limits
from .shares import peer_of

MOST_AT_ONCE = 256
REST_SECONDS = 1.0  # when there are no descriptors left
log = logging.getLogger("orchestr8.serve")


class Acceptor:
    """Stands where uvicorn keeps its servers: it can be closed, and waited for."""

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
                self._rest()
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

    def _rest(self) -> None:
        self._loop.remove_reader(self._listening)
        self._loop.call_later(REST_SECONDS, self._go_on)

    def _go_on(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listening, self._take)

    async def _open(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        try:
            due = {"ssl_handshake_timeout": self._seconds} if self._secure else {}
            opening = self._loop.connect_accepted_socket(
                self._protocol, accepted, ssl=self._secure, **due
            )
            await opening
        except OSError:  # it went away, or its TLS was none, or did not come in time
            accepted.close()
