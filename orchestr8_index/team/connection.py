"""A connection to PostgreSQL that the rooms use as they use SQLite's.

Its errors are of sqlite3's family, so that one handler serves both. Nothing waits for ever: a
statement that has no answer in time ends the connection, and the database counts as away until
somebody has reached it again (`Reach`).
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Dumper

from ..errors import StoreUnavailable
from ..store.database import Lost
from .dialect import Statement, translate
from .schema import VALUES
from .sentences import explain

CONNECT_SECONDS = 2  # the least that libpq knows
LEAST_VERSION = 130_000
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
_SETTINGS = """SET idle_in_transaction_session_timeout = '1s'; SET lock_timeout = '2s';
    SET synchronous_commit = on; SET client_min_messages = warning; SET jit = off"""


class _Number(Dumper):
    """Of no type of its own: one prepared statement serves numbers of every size."""

    oid = 0

    def dump(self, obj: Any) -> bytes:
        return b"%d" % obj

    quote = dump


class Reach:
    """Whether the database can be reached, as all connections of a server know it.

    While it is away, whoever asks is refused at once, and the one who listens tries again, ever
    more slowly; `told` is called when it was lost, from any thread.
    """

    def __init__(self) -> None:
        self.trouble = ""
        self.told: Callable[[], object] = lambda: None
        self._tries = 0

    @property
    def is_away(self) -> bool:
        return bool(self.trouble)

    def lost(self, why: str) -> None:
        self.trouble = why
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.told()

    def found(self) -> None:
        self.trouble, self._tries = "", 0

    def pause(self) -> float:
        """Seconds until the next try: twice as many each time, and never the same as others'."""
        self._tries += 1
        most = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._tries, 10))
        return float(most * random.uniform(0.5, 1.0))


class _Bounded(psycopg.Connection[Any]):
    """No statement takes longer than `seconds`: its generator is left, the connection closed."""

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

    `seconds` bound each statement; `project` is that of the commit under way. Raises Lost where the
    database is away, else what sqlite3 would.
    """

    def __init__(self, url: str, schema: str, reach: Reach, seconds: float, name: str) -> None:
        self._url, self._schema, self.reach = url, schema, reach
        self._seconds, self._name = seconds, name
        self._open: _Bounded | None = None
        self.project = ""

    @property
    def in_transaction(self) -> bool:
        inner = self._open
        return bool(inner and not inner.closed and inner.info.transaction_status.value not in (0,))

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, str] = ()) -> Any:
        statement = translate(sql)
        if statement.text in _ENDS:
            return self._end(statement.text)
        given = self._values(statement, sql, values)
        try:
            return self._ask(statement, given)
        except psycopg.DataError as error:
            if "NUL" not in str(error):
                raise self._refused(error) from None
            return self._ask(statement, list(map(_without_zeros, given)))
        except psycopg.Error as error:
            raise self._refused(error) from None

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """In one go: nothing is waited for between the rows."""
        rows = list(rows)
        if len(rows) < 2:
            for row in rows:
                self.execute(sql, row)
            return
        statement = translate(sql)
        given = [self._values(statement, sql, row) for row in rows]
        try:
            self._connected().cursor().executemany(statement.text, given)
        except psycopg.Error as error:
            raise self._refused(error) from None

    def _values(
        self, statement: Statement, sql: str, values: Sequence[Any] | Mapping[str, str]
    ) -> Sequence[Any]:
        if isinstance(values, Mapping):
            return (values["project"],)
        convert = VALUES.get(sql)
        given = convert(values) if convert else values
        return (*given, self.project) if statement.is_of_project else given

    def _ask(self, statement: Statement, given: Sequence[Any]) -> Any:
        inner = self._connected()
        if statement.is_scan:
            return _Scan(inner, statement.text, given)
        return inner.execute(statement.text, given or None, prepare=bool(given))

    def pipeline(self) -> contextlib.AbstractContextManager[Any]:
        """Within it nothing is waited for until a row is."""
        return self._connected().pipeline()

    def raw(self) -> _Bounded:
        """psycopg's own, for LISTEN and for what has no counterpart. Raises Lost."""
        return self._connected()

    def close(self) -> None:
        if self._open is not None:
            with contextlib.suppress(psycopg.Error):
                self._open.close()
            self._open = None

    def _connected(self) -> _Bounded:
        if self._open is not None and not self._open.closed:
            return self._open
        if self.reach.is_away:
            raise Lost(self.reach.trouble)
        try:
            self._open = connect(self._url, self._schema, self._name, self._seconds)
        except psycopg.Error as error:
            self.reach.lost(explain(error))
            raise Lost(self.reach.trouble) from None
        return self._open

    def _end(self, text: str) -> psycopg.Cursor[Any]:
        """COMMIT of a transaction in which something failed is no commit; and a ROLLBACK on a
        connection that broke has taken place."""
        inner = self._open
        if inner is None or inner.closed:
            if text == "ROLLBACK":
                return psycopg.Cursor.__new__(psycopg.Cursor)
            raise Lost("the connection broke before the commit")
        if text == "COMMIT" and inner.info.transaction_status == pq.TransactionStatus.INERROR:
            raise sqlite3.OperationalError("a statement of the transaction failed")
        try:
            return inner.execute(text)
        except psycopg.Error as error:
            raise self._refused(error) from None

    def _refused(self, error: psycopg.Error) -> sqlite3.Error:
        """As the rooms know it: the database is away, or refuses what was asked."""
        why = explain(error)
        if self._open is None or self._open.closed:
            self.reach.lost(why)
            return Lost(why)
        if isinstance(error, psycopg.IntegrityError):
            return sqlite3.IntegrityError(why)
        return sqlite3.OperationalError(why)


class ReadingConnection(TeamConnection):
    """Of no transaction that others share: whoever asks is told himself that it is away."""

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, str] = ()) -> Any:
        try:
            return super().execute(sql, values)
        except Lost as error:
            raise StoreUnavailable(str(error), CURE) from None


CURE = "Questions are answered meanwhile; the server goes on by itself when PostgreSQL is back."


class _Scan:
    """Rows that are read bit by bit, as nobody knows how many are wanted."""

    def __init__(self, inner: _Bounded, text: str, given: Sequence[Any]) -> None:
        self._own = inner.info.transaction_status == pq.TransactionStatus.IDLE
        self._inner = inner
        if self._own:
            inner.execute("BEGIN READ ONLY")
        self._cursor = psycopg.RawServerCursor(inner, "scan")
        self._cursor.itersize = SCANNED
        self._cursor.execute(text, given)

    def __iter__(self) -> Iterator[Any]:
        yield from self._cursor
        self.close()

    def close(self) -> None:
        self._cursor.close()
        if self._own:
            self._own = False
            self._inner.execute("COMMIT")


_ENDS = ("COMMIT", "ROLLBACK")
SCANNED = 100  # rows at a time


def _without_zeros(value: Any) -> Any:
    """PostgreSQL's texts hold no zero byte."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def connect(url: str, schema: str, name: str, seconds: float = 5.0) -> _Bounded:
    """A connection in autocommit mode, within the schema. Raises psycopg.Error."""
    opened = _Bounded.connect(
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
    except psycopg.Error:
        opened.close()
        raise
    return opened
