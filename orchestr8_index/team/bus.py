"""Notices of commits between the servers of a team, by LISTEN and NOTIFY.

A notice names a project and a revision, and only wakes its receiver, which reads on from the last
revision that it knows. Revisions are polled with each heartbeat, too, in case a notice is lost or
a pooler passes none on.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import psycopg

from ..errors import Orchestr8Error
from .circuit import Circuit
from .connection import TeamConnection, connect
from .registry import Registry
from .sentences import explain

BEAT_SECONDS = 0.5
PROOF_SECONDS = 1.0  # for our own notice to come back
MOST_BYTES = 7900  # of a notice; PostgreSQL accepts 7999
DEAF = (
    "PostgreSQL's notices do not come through: the address leads to a pooler that swallows LISTEN."
    " Other servers' changes come a second late; name the database itself, or a pooler's session"
    " mode."
)
OnNotice = Callable[[str, list[str] | None], None]


class Notice(msgspec.Struct, array_like=True):
    """Waiters for its `topics` are woken; with None, as they are too many, all of the project."""

    server: str
    project: str
    rev: int
    at: int
    topics: list[str] | None


_read = msgspec.json.Decoder(Notice).decode


LATE_MS, SPAN = 10_000, 60.0
LATE = (
    "What other servers do has come more than ten seconds late for a minute: see the network to "
    "PostgreSQL and the load here and there; `orchestr8-index servers` has each one's lag."
)


class Lag:
    """How late notices arrive: `ms`, or 0 after a minute without one."""

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._ms, self._at, self._late_since = 0, -math.inf, math.inf

    def note(self, ms: int) -> None:
        since = self._late_since if self.ms > LATE_MS else math.inf
        self._ms, self._at = max(0, ms), self._steady()
        self._late_since = min(since, self._at) if ms > LATE_MS else math.inf

    @property
    def ms(self) -> int:
        return self._ms if self._steady() - self._at < SPAN else 0

    @property
    def reasons(self) -> list[str]:
        is_late = self.ms > LATE_MS and self._steady() - self._late_since >= SPAN
        return [LATE] if is_late else []


class Bus:
    """Used from one event loop, but for `notify`. `on_notice(project, topics)` is called in it.

    `lag` is the age of notices when they arrive, by the database's clock.
    """

    def __init__(
        self,
        url: str,
        schema: str,
        server: str,
        circuit: Circuit,
        registry: Registry,
        on_notice: OnNotice,
    ) -> None:
        self._url, self._schema, self._server = url, schema, server
        self._circuit, self._registry, self._on_notice = circuit, registry, on_notice
        self._listener: psycopg.Connection[Any] | None = None
        self._poller = TeamConnection(url, schema, circuit, 2.0, f"{server} watches")
        self._revisions: dict[str, int] = {}
        self.is_deaf = False
        self._socket = -1
        self._task: asyncio.Task[None] | None = None
        self._wake, self._is_over = asyncio.Event(), False
        self.lag = Lag()
        self.now: Callable[[], int] = lambda: 0

    @property
    def reasons(self) -> list[str]:
        deaf = [DEAF] if self.is_deaf and self._circuit.connected else []
        return [*deaf, *self.lag.reasons]

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._circuit.on_loss = lambda: loop.call_soon_threadsafe(self._wake.set)
        self._task = loop.create_task(self._run())

    async def stop(self) -> None:
        self._is_over = True
        self._wake.set()
        if self._task is not None:
            await self._task
        self._disconnect()
        await asyncio.to_thread(self._sign_off)

    def notify(
        self, connection: TeamConnection, project: str, rev: int, at: int, topics: Sequence[str]
    ) -> None:
        """Within a transaction: PostgreSQL sends the notice with its commit, or never."""
        notice = Notice(self._server, project, rev, at, list(dict.fromkeys(topics)))
        text = msgspec.json.encode(notice)
        if len(text) > MOST_BYTES:
            notice.topics = None
            text = msgspec.json.encode(notice)
        if not self.is_deaf:
            self._revisions[project] = rev
        connection.execute("SELECT pg_notify(?, ?)", (self._schema, text.decode()))

    # --- listening ---------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._is_over:
            self._wake.clear()
            try:
                if self._listener is None:
                    await asyncio.to_thread(self._reconnect)
                    self._listen()
                await self._beat()
                pause = BEAT_SECONDS
            except (psycopg.Error, sqlite3.Error, Orchestr8Error) as error:
                self._disconnect()
                why = explain(error) if isinstance(error, psycopg.Error) else str(error)
                self._circuit.lost(why)
                pause = self._circuit.pause()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0 if self._is_over else pause):
                    await self._wake.wait()
            if not self._circuit.connected and self._listener is not None:
                self._disconnect()
                await asyncio.sleep(0)

    def _reconnect(self) -> None:
        listener = connect(self._url, self._schema, f"{self._server} hears", 2.0)
        try:
            listener.execute(f'LISTEN "{self._schema}"'.encode())
            self._registry.greet(listener)
            self._circuit.found()
            proof = msgspec.json.encode(Notice(self._server, "", 0, 0, None)).decode()
            self._poller.execute("SELECT pg_notify(?, ?)", (self._schema, proof))
            self.is_deaf = not list(listener.notifies(timeout=PROOF_SECONDS, stop_after=1))
        except (psycopg.Error, sqlite3.Error, Orchestr8Error):
            listener.close()
            raise
        self._listener = listener

    def _listen(self) -> None:
        assert self._listener
        self._socket = os.dup(self._listener.pgconn.socket)  # libpq may close its own
        asyncio.get_running_loop().add_reader(self._socket, self._read_notices)
        self._revisions = dict.fromkeys(self._revisions, -1)  # some notices may be lost

    def _disconnect(self) -> None:
        if self._socket >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            os.close(self._socket)
            self._socket = -1
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _read_notices(self) -> None:
        assert self._listener
        pgconn = self._listener.pgconn
        try:
            pgconn.consume_input()
            while notify := pgconn.notifies():
                self._receive(notify.extra)
        except psycopg.Error as error:
            self._disconnect()
            self._circuit.lost(explain(error))

    def _receive(self, text: bytes) -> None:
        with contextlib.suppress(msgspec.MsgspecError):  # somebody else's, on our channel
            notice = _read(text)
            if notice.server != self._server and notice.project:
                self._revisions[notice.project] = notice.rev
                self.lag.note(self.now() - notice.at)
                self._on_notice(notice.project, notice.topics)

    async def _beat(self) -> None:
        """Send a heartbeat and poll the revisions."""
        for project, rev in await asyncio.to_thread(self._registry.beat, self._poller):
            if self._revisions.get(project, -1) < rev:
                self._on_notice(project, None)
            self._revisions[project] = rev

    def _sign_off(self) -> None:
        with contextlib.suppress(sqlite3.Error, psycopg.Error):
            self._registry.leave(self._poller)
        self._poller.close()
