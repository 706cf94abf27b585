"""Opens the database: WAL, an fsync for every commit, one helper for transactions."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ..private import check_file

NAME = "mcp.db"
CACHE_KB = 128
_PAGES = ("page_count", "freelist_count", "page_size")


class Lost(sqlite3.OperationalError):
    """The connection to the database broke: the transaction may have been committed, or not."""


def connect(
    path: Path, read_only: bool = False, synchronous: str = "FULL", cache_kb: int = CACHE_KB
) -> sqlite3.Connection:
    """A connection in autocommit mode: transactions are explicit. Raises sqlite3.Error.

    With `synchronous` NORMAL a commit survives the process, but not a power cut.
    """
    if not read_only:
        _refuse_foreign(path)
    mode = "ro" if read_only else "rwc"
    address = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(
        address, uri=True, isolation_level=None, check_same_thread=False, timeout=5
    )
    connection.text_factory = _text
    with contextlib.ExitStack() as undo:
        undo.callback(connection.close)
        connection.execute(f"PRAGMA cache_size = -{cache_kb}")
        if not read_only:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            with contextlib.suppress(OSError):
                os.chmod(path, 0o600)
        undo.pop_all()
    return connection


def _refuse_foreign(path: Path) -> None:
    """Raises sqlite3.OperationalError for a link, which SQLite would follow, or another's file."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        try:
            check_file(path.with_name(path.name + suffix))
        except FileNotFoundError:
            continue
        except OSError as error:
            refusal = sqlite3.OperationalError(error.strerror)
            refusal.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise refusal from None


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A read-only connection, also in a read-only folder, where SQLite cannot open its WAL.

    Raises sqlite3.Error, there also for a WAL that is not empty, as it may not be ignored.
    """
    connection = None
    try:
        connection = connect(path, read_only=True)
        connection.execute("PRAGMA user_version").fetchone()
        return connection
    except sqlite3.OperationalError:
        if connection is not None:
            connection.close()
        wal = path.with_name(f"{path.name}-wal")
        if os.access(path.parent, os.W_OK) or (wal.exists() and wal.stat().st_size):
            raise
    frozen = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    connection = sqlite3.connect(frozen, uri=True, isolation_level=None, check_same_thread=False)
    connection.text_factory = _text
    return connection


def _text(raw: bytes) -> str:
    """Decode without errors: a flipped bit shows in the row's digest, and spoils no other row."""
    return raw.decode("utf-8", "replace")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, mode: str = "IMMEDIATE") -> Iterator[None]:
    """A transaction that commits on exit, after the fsync, or rolls back. Use DEFERRED to read."""
    connection.execute(f"BEGIN {mode}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def quick_check(connection: sqlite3.Connection) -> str:
    """What is wrong with the file's structure, or an empty string."""
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    return "" if found == "ok" else str(found)


def full_check(connection: sqlite3.Connection) -> str:
    """What SQLite finds wrong in the whole database; empty if nothing."""
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    return "" if found == "ok" else str(found)


def used_bytes(connection: sqlite3.Connection) -> int:
    """The bytes of the content, without free pages."""
    pages = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _PAGES]
    return int((pages[0] - pages[1]) * pages[2])


def size_bytes(folder: Path, name: str = NAME) -> int:
    """The bytes of the database with its WAL, without backups."""
    total = 0
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            total += (folder / f"{name}{suffix}").stat().st_size
    return total
