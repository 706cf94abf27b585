"""Deliver spooled outcomes to the server: in order, in batches, in a background thread.

No call waits for a long spool: one that reaches the server starts the thread and goes on.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from itertools import groupby
from typing import Annotated

import msgspec

from ..daemon.http import HttpClient
from ..daemon.locate import Address
from ..errors import InternalError, InvalidParams, Orchestr8Error
from ..methods import SHORT
from .rpc import RpcReply, error_of, read_replies, request
from .spool import BEGINNING, Line, Spool

SECONDS = 30.0  # the timeout of a batch: up to a hundred commits
LONGEST_LINE = 500_000
REST, WARN_EVERY = 1.0, 60.0
REFUSED, NOT_FOUND = (400, 413, 431), 404
PROJECT = "project"  # the field of a spooled report that names its project's folder or name
_ANY = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PROJECT = msgspec.json.Decoder(Annotated[str, msgspec.Meta(max_length=4096)])
_WIRE = SHORT["report_outcome"].name
log = logging.getLogger("orchestr8.client")


def _connect(address: Address) -> HttpClient:
    return HttpClient(address, SECONDS)


class Delivery:
    """Delivers one spool; `connect` gives the HTTP client for an address."""

    def __init__(self, spool: Spool, connect: Callable[[Address], HttpClient] = _connect) -> None:
        self._spool, self._connect = spool, connect
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._rests_until, self._warned_at = 0.0, -WARN_EVERY

    def start(self, address: Address, *, at_once: bool = False) -> bool:
        """Start the thread; False if one runs, or (without `at_once`) failed within a second."""
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return False
            if not at_once and time.monotonic() < self._rests_until:
                return False
            self._ended.clear()
            self._thread = threading.Thread(target=self._run, args=(address,), daemon=True)
            self._thread.start()
            return True

    def wait(self, seconds: float | None) -> bool:
        """Wait for the running delivery, at most `seconds`; True when the spool is empty."""
        if self._thread is not None:
            self._thread.join(seconds)
        return not self._spool.pending()

    def stop(self, seconds: float) -> None:
        """Wait that long for the running delivery, then let it end after its current batch."""
        self.wait(seconds)
        self._ended.set()

    def _run(self, address: Address) -> None:
        http = self._connect(address)
        try:
            with self._spool.delivering() as mine:
                if mine:
                    self._deliver(http)
        except (OSError, Orchestr8Error) as error:  # mostly NoAnswer
            self._put_off(str(error))
        finally:
            http.close()

    def _deliver(self, http: HttpClient) -> None:
        batch, delivered, began = BEGINNING, 0, time.monotonic()
        while not self._ended.is_set():
            batch = self._spool.read(batch)
            readable = [line for line in batch.lines if self._readable(line)]
            for project, lines in groupby(readable, lambda line: _split(line)[0]):
                self._send(http, list(lines), project)
            delivered += len(batch.lines)
            if self._spool.clear(batch):
                spent = time.monotonic() - began
                log.info("%d outcomes that waited are delivered (%.1f s)", delivered, spent)
                return

    def _put_off(self, why: str) -> None:
        now = time.monotonic()
        self._rests_until = now + REST
        if now - self._warned_at >= WARN_EVERY:
            self._warned_at = now
            log.warning("outcomes wait on in %s: %s", self._spool.path, why)

    def _send(self, http: HttpClient, lines: list[Line], project: str) -> None:
        """Deliver these lines and mark each as done. Raises at the first that must be sent later.

        A batch that the server refuses is sent in halves, as one line may be the cause, or the
        size. A single line that it refuses goes to the file of refused reports.
        """
        if not lines:
            return
        calls = [request(_WIRE, _split(line)[1], number) for number, line in enumerate(lines)]
        response = _client_for(http, project).send("POST", "/", b"[" + b",".join(calls) + b"]")
        unknown = project and response.status == NOT_FOUND
        if response.status not in REFUSED and not unknown:
            self._settle(lines, read_replies(response, len(lines)))
        elif half := len(lines) // 2:
            self._send(http, lines[:half], project)
            self._send(http, lines[half:], project)
        else:
            self._refuse(lines[0], f"The server answers it with HTTP {response.status}.")

    def _settle(self, lines: list[Line], replies: list[RpcReply]) -> None:
        some_succeeded = any(each.error is None for each in replies)
        for line, reply in zip(lines, replies, strict=True):
            if reply.error is None:
                self._spool.cross_out(line)
                continue
            error = error_of(reply.error)
            is_its_own = error.code == InternalError.code and some_succeeded
            if error.code != InvalidParams.code and not is_its_own:
                raise error
            self._refuse(line, error.sentence)

    def _readable(self, line: Line) -> bool:
        """Whether the line is an intact report; if not, it goes to the file of refused reports."""
        if not line.fits:
            self._refuse(line, "It is not as it was written: its checksum does not fit.")
            return False
        try:
            _split(line)
            line.report.decode()
            readable = len(line.report) < LONGEST_LINE
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            readable = False
        if not readable:
            self._refuse(line, "It is not a report.")
        return readable

    def _refuse(self, line: Line, why: str) -> None:
        self._spool.refuse(line.report, why)
        self._spool.cross_out(line)


def _split(line: Line) -> tuple[str, bytes]:
    """(its project or "", the report without that field). Raises DecodeError."""
    fields = _ANY.decode(line.report)
    if PROJECT not in fields:
        return "", line.report
    project = _PROJECT.decode(fields.pop(PROJECT))
    return project, msgspec.json.encode(fields)


def _client_for(http: HttpClient, project: str) -> HttpClient:
    """A client of the same server whose requests name this project: a folder's path, or a name."""
    if not project:
        return http
    tree = project if os.path.isabs(project) else ""
    address = http.address._replace(tree=tree, project="" if tree else project)
    return http if address == http.address else HttpClient(address, SECONDS)
