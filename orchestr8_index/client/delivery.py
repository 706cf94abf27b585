"""How do waiting outcomes reach the server? In their order, in batches, by a thread of their own.

Nobody waits for a long spool: a call that finds the server there starts the thread and goes on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from ..errors import InternalError, InvalidParams, Orchestr8Error
from ..methods import SHORT
from .calls import Said, error_of, read_replies, request
from .spool import Batch, Line, Spool
from .steps import Reply, Trouble

SECONDS = 30.0  # a batch is a hundred commits
LONGEST_LINE = 500_000
REST, WARN_EVERY = 1.0, 60.0
UNWANTED = (400, 413)
_ANY = msgspec.json.Decoder(dict[str, msgspec.Raw])
log = logging.getLogger("orchestr8.client")


class Connection(Protocol):
    """A connection of the courier's own."""

    def post(self, url: str, body: bytes) -> Reply | Trouble: ...

    def close(self) -> None: ...


class Courier:
    """Delivers one spool. `connect` makes a connection; it is used by one thread at a time."""

    def __init__(self, spool: Spool, connect: Callable[[], Connection]) -> None:
        self._spool, self._connect = spool, connect
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._rests_until, self._warned_at = 0.0, -WARN_EVERY

    def start(self, url: str, *, at_once: bool = False) -> bool:
        """Whether a delivery has begun with this call; after one that failed it rests a while."""
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return False
            if not at_once and time.monotonic() < self._rests_until:
                return False
            self._ended.clear()
            target = self._run
            self._thread = threading.Thread(target=target, args=(url,), daemon=True)
            self._thread.start()
            return True

    def wait(self, seconds: float | None) -> bool:
        """Whether nothing waits any more; waits for the delivery that is under way."""
        if self._thread is not None:
            self._thread.join(seconds)
        return not self._spool.pending()

    def stop(self, seconds: float) -> None:
        """Deliver for that long, then end with a batch; the rest waits for the next contact."""
        self.wait(seconds)
        self._ended.set()

    def _run(self, url: str) -> None:
        connection = self._connect()
        try:
            with self._spool.delivering() as mine:
                if mine:
                    self._deliver(connection, url)
        except (OSError, Orchestr8Error) as error:
            self._put_off(str(error))
        finally:
            connection.close()

    def _deliver(self, connection: Connection, url: str) -> None:
        start, delivered, began = 0, 0, time.monotonic()
        while not self._ended.is_set():
            batch = self._spool.read(start)
            if trouble := self._send(connection, url, batch):
                self._put_off(trouble.reason)
                return
            start, delivered = batch.end, delivered + len(batch.lines)
            if self._spool.clear(start):
                spent = time.monotonic() - began
                log.info("%d outcomes that waited are delivered (%.1f s)", delivered, spent)
                return

    def _put_off(self, why: str) -> None:
        now = time.monotonic()
        self._rests_until = now + REST
        if now - self._warned_at >= WARN_EVERY:
            self._warned_at = now
            log.warning("outcomes wait on in %s: %s", self._spool.path, why)

    def _send(self, connection: Connection, url: str, batch: Batch) -> Trouble | None:
        """Deliver one batch, crossing out what is done with, up to the first that must wait."""
        lines = [line for line in batch.lines if self._readable(line)]
        return self._send_lines(connection, url, lines) if lines else None

    def _send_lines(self, connection: Connection, url: str, lines: list[Line]) -> Trouble | None:
        """A batch that is refused as a whole is tried in halves: one line may spoil it, or the
        server takes smaller ones only. A line that is refused alone is put aside."""
        calls = [request(_WIRE, line.report, number) for number, line in enumerate(lines)]
        reply = connection.post(url, b"[" + b",".join(calls) + b"]")
        if isinstance(reply, Trouble):
            return reply
        if reply.status in UNWANTED and len(lines) > 1:
            half = len(lines) // 2
            first = self._send_lines(connection, url, lines[:half])
            return first or self._send_lines(connection, url, lines[half:])
        if reply.status in UNWANTED:
            self._refuse(lines[0], f"The server answers it with HTTP {reply.status}.")
            self._spool.cross_out(lines[0])
            return None
        said = read_replies(reply, len(lines))
        return said if isinstance(said, Trouble) else self._settle(lines, said)

    def _settle(self, lines: list[Line], said: list[Said]) -> Trouble | None:
        others_went = any(each.error is None for each in said)
        for line, each in zip(lines, said, strict=True):
            if each.error is not None:
                error = error_of(each.error)
                mine = error.code == InvalidParams.code
                if not mine and not (error.code == InternalError.code and others_went):
                    return Trouble(error.sentence, error=error)
                self._refuse(line, error.sentence)
            self._spool.cross_out(line)
        return None

    def _readable(self, line: Line) -> bool:
        """False for what is no report at all; it is put aside."""
        try:
            _ANY.decode(line.report)
            line.report.decode()
            readable = len(line.report) < LONGEST_LINE
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            readable = False
        if not readable:
            self._refuse(line, "It is not a report.")
            self._spool.cross_out(line)
        return readable

    def _refuse(self, line: Line, why: str) -> None:
        report = line.report.decode("utf-8", "replace")
        log.warning("an outcome was refused and lies in %s: %s", self._spool.refused, why)
        self._spool.refuse(msgspec.json.encode({"why": why, "report": report}))


_WIRE = SHORT["report_outcome"].name
