"""Is the database one that this version can use? Its tables are made and changed here."""

from __future__ import annotations

from typing import Any

import psycopg

from ..errors import StoreTooNew, StoreUnavailable
from .connection import LEAST_VERSION
from .schema import LAYOUT, MIGRATIONS, TIMELINE

LOCK = 0x6F387465616D  # "o8team": one server at a time changes the tables


def check_engine(connection: psycopg.Connection[Any]) -> None:
    """Raises StoreUnavailable for one that is too old, speaks no UTF-8 or may not write."""
    if connection.info.server_version < LEAST_VERSION:
        found = connection.info.server_version // 10_000
        raise StoreUnavailable(f"PostgreSQL {found} is too old.", "Use PostgreSQL 13 or newer.")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreUnavailable(
            f"The database keeps its texts as {encoding}.",
            "Create one with `createdb --encoding=UTF8 --template=template0`.",
        )
    if connection.execute("SHOW transaction_read_only").fetchone() == ("on",):
        raise StoreUnavailable(
            "PostgreSQL is read-only here.",
            "Name its primary, or several hosts with target_session_attrs=read-write.",
        )


def version(connection: psycopg.Connection[Any], schema: str) -> int:
    """How many steps the tables have seen; 0 where there are none."""
    query = "SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'layout'"
    if connection.execute(query, (schema,)).fetchone() is None:  # a name may be cached as missing
        return 0
    row = connection.execute("SELECT max(version) FROM layout").fetchone()
    return int(row[0]) if row and row[0] else 0


def check_version(connection: psycopg.Connection[Any], schema: str) -> int:
    """The version of the tables. Raises StoreTooNew for one of a later release."""
    found = version(connection, schema)
    if found > len(MIGRATIONS):
        raise StoreTooNew(
            f"The database has the tables of a newer release ({found}; this one knows"
            f" {len(MIGRATIONS)}).",
            "Upgrade this server: `pip install --upgrade orchestr8-index[team]`.",
        )
    return found


def migrate(connection: psycopg.Connection[Any], schema: str) -> int:
    """Make what is missing, in one transaction, one server at a time; how many steps that took."""
    check_engine(connection)
    if (found := check_version(connection, schema)) == len(MIGRATIONS):
        return 0
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock($1::bigint)", (LOCK,))
        found = check_version(connection, schema)
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'.encode())
        connection.execute(LAYOUT.encode())
        for number, steps in enumerate(MIGRATIONS[found:], found + 1):
            for step in steps:
                connection.execute(step.encode())
            connection.execute("INSERT INTO layout VALUES ($1)", (number,))
    return len(MIGRATIONS) - found


def timeline(connection: psycopg.Connection[Any]) -> str:
    """Of the write-ahead log: another one after each fail-over."""
    row = connection.execute(TIMELINE.encode()).fetchone()
    return str(row[0]) if row else ""
