"""A connection to PostgreSQL with the interface of a connection to SQLite.

It raises sqlite3's errors, so that callers handle both alike. A statement that times out closes the
connection, and the database counts as away until a connection succeeds (`Circuit`).
"""

from __future__ import annotations

import contextlib
import select
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Dumper

from ..errors import Orchestr8Error, StoreUnavailable
from ..store.database import Lost
from .circuit import Circuit
from .dialect import BUFFERED, BoundStatement, Statement, Unsent, translate, without_zeros
from .schema import VALUES
from .sentences import explain, unavailable

CONNECT_SECONDS = 2  # the least that libpq knows
_MOST_READS = 3  # of an idle connection: its last message, the end, one to spare
_SETTINGS = """SET idle_in_transaction_session_timeout = '1s'; SET lock_timeout = '2s';
    SET synchronous_commit = on; SET client_min_messages = warning; SET jit = off;
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"""


class _Number(Dumper):
    """Sends numbers without a type, so that one prepared statement takes numbers of every size."""

    oid = 0

    def dump(self, obj: Any) -> bytes:
        return b"%d" % obj

    quote = dump


class _TimedConnection(psycopg.Connection[Any]):
    """A statement that takes longer than `seconds` ends the connection."""

    seconds = 5.0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, self.seconds if timeout is None else timeout)
        except psycopg.errors._WaitTimeout:
            if timeout is not None:
                raise
            self.pgconn.finish()
            raise psycopg.OperationalError("timeout: it does not answer") from None


class TeamConnection:
    """Opened at its first statement, and again after it broke.

    `seconds` is the timeout of each statement; `project` is that of the present transaction;
    `greet` is called with each new connection. A transaction's statements are buffered until one of
    them reads (`Unsent`). Raises Lost where the database is away, else what sqlite3 would.
    """

    def __init__(self, url: str, schema: str, circuit: Circuit, seconds: float, name: str) -> None:
        self._url, self._schema, self._circuit = url, schema, circuit
        self._seconds, self._name = seconds, name
        self._open: _TimedConnection | None = None
        self._unsent, self._is_within = Unsent(), False
        self.project = ""
        self.greet: Callable[[psycopg.Connection[Any]], object] = lambda opened: None

    @property
    def in_transaction(self) -> bool:
        return bool(self._unsent) or self._is_within

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, str] = ()) -> Any:
        statement = translate(sql)
        if statement.text in _ENDS:
            return self._end(statement.text)
        if statement.text.startswith("BEGIN"):
            return self._unsent.begin(statement.text)
        given = self._values(statement, sql, values)
        if statement.is_blind and self.in_transaction:
            return self._unsent.add(sql, statement.text, given)
        if statement.is_scan:
            return _PagedRows(self, statement.text, given)
        return self.ask(statement.text, given)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        for row in rows:
            self.execute(sql, row)

    def _values(
        self, statement: Statement, sql: str, values: Sequence[Any] | Mapping[str, str]
    ) -> Sequence[Any]:
        if isinstance(values, Mapping):
            return (values["project"],)
        convert = VALUES.get(sql)
        given = convert(values) if convert else values
        return (*given, self.project) if statement.is_of_project else given

    def ask(self, text: str, given: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        """Send the buffered statements, then this one."""
        try:
            inner = self._connected()
            if self._unsent:
                self._is_within = True
                sent = self._unsent.take()
                if text == "COMMIT" or len(sent) > 1:
                    return self._send_pipelined(inner, sent, text, given)
                _send(inner, *sent[0])
            return _send(inner, text, given)
        except psycopg.Error as error:
            raise self._refused(error) from None

    def _send_pipelined(
        self, inner: _TimedConnection, sent: list[BoundStatement], text: str, given: Sequence[Any]
    ) -> psycopg.Cursor[Any]:
        """A query is sent after the pipeline: psycopg ends that with a Flush, after which
        idle_in_transaction_session_timeout does not apply."""
        with inner.pipeline():
            for each in sent:
                _send(inner, *each)
            if text == "COMMIT":
                return _send(inner, text, given)
        return _send(inner, text, given)

    def raw(self) -> _TimedConnection:
        """psycopg's own connection, for what SQLite has no counterpart of. Raises Lost."""
        return self._connected()

    def close(self) -> None:
        self._unsent, self._is_within = Unsent(), False
        if self._open is not None:
            with contextlib.suppress(psycopg.Error):
                self._open.close()
            self._open = None

    def _connected(self) -> _TimedConnection:
        known = self._open
        if known and not (known.closed if self._is_within else _has_ended(known)):
            return known
        if self._is_within:
            raise Lost("The connection broke before the commit")
        if not self._circuit.connected:
            raise Lost(self._circuit.trouble)
        try:
            self._open = connect(self._url, self._schema, self._name, self._seconds, self.greet)
        except psycopg.Error as error:
            self._circuit.lost(explain(error))
            raise Lost(self._circuit.trouble) from None
        return self._open

    def _end(self, text: str) -> Any:
        """COMMIT after a failed statement raises, as it would roll back; ROLLBACK on a broken
        connection does nothing."""
        inner = self._open
        if text == "ROLLBACK":
            self._unsent.take()
            if inner is None or inner.closed or not self._is_within:
                self._is_within = False
                return BUFFERED
        elif inner and inner.info.transaction_status == pq.TransactionStatus.INERROR:
            raise sqlite3.OperationalError("a statement of the transaction failed")
        ended = self.ask(text)
        self._is_within = False
        return ended

    def _refused(self, error: psycopg.Error) -> sqlite3.Error:
        """The error of sqlite3 that means the same."""
        why = explain(error)
        if self._open is None or self._open.closed:
            self._circuit.lost(why)
            return Lost(why)
        if isinstance(error, psycopg.IntegrityError):
            return sqlite3.IntegrityError(why)
        return sqlite3.OperationalError(why)


def _has_ended(idle: _TimedConnection) -> bool:
    """Whether PostgreSQL ended this connection while it was idle, as a restart does.

    Its last message waits unread on the socket. It is read before a statement is sent, so that a
    new connection is opened instead of refusing the caller.
    """
    for _ in range(_MOST_READS):
        if idle.closed or not _is_readable(idle.fileno()):
            break
        with contextlib.suppress(psycopg.Error):
            idle.pgconn.consume_input()
    return idle.closed


def _is_readable(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def _send(inner: _TimedConnection, text: str, given: Sequence[Any]) -> psycopg.Cursor[Any]:
    return inner.execute(text, list(map(without_zeros, given)) or None, prepare=bool(given))


class ReadingConnection(TeamConnection):
    """For reads alone: where the database is away, the caller gets StoreUnavailable."""

    def ask(self, text: str, given: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        try:
            return super().ask(text, given)
        except Lost as error:
            raise StoreUnavailable(str(error), CURE) from None


CURE = "Questions are answered meanwhile; the server goes on by itself when PostgreSQL is back."


class _PagedRows:
    """Rows read in ever larger pages, as the caller takes them, in one snapshot of the database.
    Sorting is switched off, so that rows come in an index's order: without statistics PostgreSQL
    would sort all that follow, for each page."""

    def __init__(self, asked: TeamConnection, text: str, given: Sequence[Any]) -> None:
        self._asked, self._text, self._given = asked, text, given
        self._is_own = not asked.in_transaction
        if self._is_own:
            asked.execute("BEGIN DEFERRED")
        asked.execute("SET LOCAL enable_sort = off")

    def __iter__(self) -> Iterator[Any]:
        start, most = 0, FIRST_PAGE
        try:
            while True:
                page = f"{self._text} LIMIT {most} OFFSET {start}"
                rows = self._asked.ask(page, self._given).fetchall()
                yield from rows
                if len(rows) < most:
                    return
                start, most = start + most, min(2 * most, LARGEST_PAGE)
        finally:
            self.close()

    def close(self) -> None:
        if self._is_own:
            self._is_own = False
            self._asked.execute("COMMIT")


_ENDS = ("COMMIT", "ROLLBACK")
FIRST_PAGE, LARGEST_PAGE = 100, 1600


def connect(
    url: str,
    schema: str,
    name: str,
    seconds: float = 5.0,
    greet: Callable[[psycopg.Connection[Any]], object] = lambda opened: None,
) -> _TimedConnection:
    """Open a connection in autocommit mode, within the schema.

    Raises psycopg.Error, and what `greet` does.
    """
    opened = _TimedConnection.connect(
        url,
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        application_name=f"orchestr8-index {name}"[:63],
        cursor_factory=psycopg.RawCursor,
        prepare_threshold=2,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
    )
    opened.seconds = seconds
    opened.adapters.register_dumper(int, _Number)
    try:
        opened.execute(f'{_SETTINGS}; SET search_path = "{schema}"'.encode())
        greet(opened)
    except (psycopg.Error, Orchestr8Error):
        opened.close()
        raise
    return opened


@contextlib.contextmanager
def connected(
    url: str, schema: str, name: str, seconds: float = 5.0
) -> Iterator[psycopg.Connection[Any]]:
    """Within: a connection of its own. What psycopg raises there is raised as StoreUnavailable."""
    try:
        with connect(url, schema, name, seconds) as opened:
            yield opened
    except psycopg.Error as error:
        raise unavailable(error) from None
