"""How is the file opened?"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestr8_index.store import database
from orchestr8_index.store.database import connect, size_bytes, transaction, used_bytes


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_commit_is_an_fsync(tmp_path: Path) -> None:
    with contextlib.closing(connect(tmp_path / "mcp.db")) as connection:
        full = 2
        assert (pragma(connection, "journal_mode"), pragma(connection, "synchronous")) == (
            "wal",
            full,
        )


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    connect(tmp_path / "mcp.db").close()
    assert (tmp_path / "mcp.db").stat().st_mode & 0o777 == 0o600


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    with contextlib.closing(connect(tmp_path / "mcp.db")) as connection:
        connection.execute("CREATE TABLE t (n)")
        with pytest.raises(ZeroDivisionError), transaction(connection):
            connection.execute("INSERT INTO t VALUES (1)")
            raise ZeroDivisionError
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_who_only_reads_makes_no_file_and_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        connect(tmp_path / "mcp.db", read_only=True)
    connect(tmp_path / "mcp.db").close()
    reader = connect(tmp_path / "mcp.db", read_only=True)
    with contextlib.closing(reader), pytest.raises(sqlite3.OperationalError):
        reader.execute("CREATE TABLE t (n)")


def test_text_that_is_not_utf8_is_read_all_the_same(tmp_path: Path) -> None:
    """One flipped bit in a text refused the whole table."""
    with contextlib.closing(connect(tmp_path / "mcp.db")) as connection:
        row = connection.execute("SELECT CAST(X'61FF62' AS TEXT)").fetchone()
        assert row == ("a\ufffdb",)


def test_used_bytes_leave_out_free_pages(tmp_path: Path) -> None:
    with contextlib.closing(connect(tmp_path / "mcp.db")) as connection:
        connection.execute("CREATE TABLE t (n)")
        connection.execute("INSERT INTO t VALUES (zeroblob(1000000))")
        full = used_bytes(connection)
        connection.execute("DELETE FROM t")
        assert used_bytes(connection) < full - 900_000


def test_the_size_counts_the_log_and_not_the_backups(tmp_path: Path) -> None:
    for name, size in (("mcp.db", 10), ("mcp.db-wal", 5), ("backups.db", 100)):
        (tmp_path / name).write_bytes(b"x" * size)
    assert size_bytes(tmp_path) == 15


class Blocked:
    """A connection to a file whose log cannot be opened."""

    def execute(self, sql: str) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    def close(self) -> None:
        pass


@pytest.mark.parametrize("log", [b"", b"what the file lacks"])
def test_it_is_read_where_nobody_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: bytes
) -> None:
    """On a read-only mount `learned` told to start the server, which would mend it."""
    path = tmp_path / "mcp.db"
    connect(path).close()
    path.with_name("mcp.db-wal").write_bytes(log)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(database, "connect", lambda path, read_only: Blocked())
    unread = pytest.raises(sqlite3.OperationalError) if log else contextlib.nullcontext()
    with unread, contextlib.closing(database.connect_to_read(path)) as reading:
        assert pragma(reading, "user_version") == 0


@pytest.mark.parametrize("name", ["mcp.db", "mcp.db-wal", "mcp.db-shm", "mcp.db-journal"])
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_somebody_elses_file_is_no_database(
    tmp_path: Path, name: str, link: Callable[[Path, Path], None]
) -> None:
    victim, data = tmp_path / "victim", tmp_path / "data"
    victim.touch()
    data.mkdir()
    link(victim, data / name)
    with pytest.raises(sqlite3.OperationalError, match=f"{name} is ") as said:
        connect(data / "mcp.db")
    assert said.value.sqlite_errorcode == sqlite3.SQLITE_CANTOPEN  # no damage that is to be mended
    assert victim.read_bytes() == b""
