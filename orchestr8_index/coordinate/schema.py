"""The tables of coordinate.db, and what to do with the file when it is damaged.

An `id` is a revision and a number within it: `revision << 10 | number`. Lease times (`ends`,
`due`) are milliseconds for which servers have run on this file; `at` and `since` are Unix
milliseconds, for people only.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ..store import backup
from ..store.database import connect, transaction
from ..store.schema import migrate
from ..store.store import Layout

NAME = "coordinate.db"
HELD, WAITING, NOTIFY = 0, 1, 2  # hold.state
READY, TAKEN, DONE = 0, 1, 2  # delivery.state
PUT, DELETE, GRANT, RELEASE, MESSAGE, SESSION = range(6)  # event.kind
KINDS = ("put", "delete", "grant", "release", "message", "session")
TABLES = ("item", "event", "hold", "delivery")

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE item (
            project TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, id INTEGER NOT NULL,
            by TEXT NOT NULL, at INTEGER NOT NULL, ends INTEGER, crc INTEGER NOT NULL,
            PRIMARY KEY (project, key)) WITHOUT ROWID""",
        "CREATE INDEX item_ends ON item (ends) WHERE ends IS NOT NULL",
        """CREATE TABLE event (
            id INTEGER PRIMARY KEY, project TEXT NOT NULL, kind INTEGER NOT NULL,
            key TEXT NOT NULL, value TEXT, by TEXT NOT NULL, at INTEGER NOT NULL, cause TEXT,
            crc INTEGER NOT NULL)""",
        "CREATE INDEX event_key ON event (project, key, id)",
        """CREATE TABLE hold (
            project TEXT NOT NULL, rev INTEGER NOT NULL, resource TEXT NOT NULL,
            state INTEGER NOT NULL, shared INTEGER NOT NULL, holder TEXT NOT NULL,
            ident TEXT NOT NULL, purpose TEXT NOT NULL, secret TEXT NOT NULL, ttl INTEGER NOT NULL,
            ends INTEGER NOT NULL, since INTEGER NOT NULL, request TEXT NOT NULL,
            PRIMARY KEY (project, rev, resource)) WITHOUT ROWID""",
        "CREATE INDEX hold_resource ON hold (project, resource)",
        "CREATE INDEX hold_ident ON hold (project, ident)",
        "CREATE INDEX hold_ends ON hold (ends)",
        """CREATE TABLE delivery (
            project TEXT NOT NULL, message INTEGER NOT NULL, recipient TEXT NOT NULL,
            state INTEGER NOT NULL, priority INTEGER NOT NULL, tries INTEGER NOT NULL,
            taker TEXT NOT NULL, due INTEGER NOT NULL, ends INTEGER NOT NULL,
            PRIMARY KEY (message, recipient)) WITHOUT ROWID""",
        """CREATE INDEX delivery_inbox ON delivery
            (project, recipient, state, priority DESC, message) WHERE state < 2""",
        "CREATE INDEX delivery_due ON delivery (due) WHERE state < 2",
        """CREATE VIRTUAL TABLE message_text USING fts5 (
            words, session, content = '', tokenize = 'unicode61')""",
        """CREATE VIRTUAL TABLE message_word USING fts5vocab (message_text, row)""",
    ),
)


def mend(data_dir: Path, damage: str) -> backup.Repair:
    """Set the damaged file aside; the newest good backup and all that can still be read replace it.

    A lock that cannot be read is gone: its token is stale, so that nobody writes under it.
    """
    damaged = data_dir / NAME
    kept = reversed(backup.backups(data_dir, NAME))
    good = next((path for path in kept if backup.is_good(path)), None)
    with backup.replacement(data_dir, NAME) as sound:
        if good is not None:
            backup.copy_backup(good, sound)
        migrate(sound, MIGRATIONS)
        before = _count(sound)
        whole = _bring_back(damaged, sound)
        saved = max(0, _count(sound) - before)
    aside = backup.put_in_place(data_dir, "damaged", NAME)
    name = good.name if good else ""
    return backup.Repair(damage, aside, name, 0 if whole else None, saved, "rows")


def _count(connection: sqlite3.Connection) -> int:
    """Values, locks and messages; the log is not counted."""
    tables = (table for table in TABLES if table != "event")
    counts = (connection.execute(f"SELECT count(*) FROM {table}") for table in tables)
    return sum(int(row.fetchone()[0]) for row in counts)


def _bring_back(damaged: Path, sound: sqlite3.Connection) -> bool:
    """Copy the readable rows of every table; returns whether all of them could be read."""
    whole = True
    with contextlib.suppress(sqlite3.Error), contextlib.closing(connect(damaged)) as source:
        for table in TABLES:
            with transaction(sound):
                whole &= _copy_table(source, sound, table)
        with transaction(sound):
            index_messages(sound)
        return whole
    return False


def _copy_table(source: sqlite3.Connection, sound: sqlite3.Connection, table: str) -> bool:
    """A table that can be read whole replaces what the backup has of it; else it is added to it."""
    rows, whole = _readable(source, table)
    if whole:
        sound.execute(f"DELETE FROM {table}")
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        sound.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)
    return whole


def _readable(source: sqlite3.Connection, table: str) -> tuple[list[tuple[object, ...]], bool]:
    """Rows from both ends of the table up to a damaged page, and whether there was none."""
    columns = "id" if table == "event" else _KEYS[table]
    rows: list[tuple[object, ...]] = []
    if _read(source, f"SELECT * FROM {table} ORDER BY {columns}", rows):
        return rows, True
    backwards = ", ".join(f"{column} DESC" for column in columns.split(", "))
    _read(source, f"SELECT * FROM {table} ORDER BY {backwards}", rows)
    return rows, False


_KEYS = {
    "item": "project, key",
    "hold": "project, rev, resource",
    "delivery": "message, recipient",
}


def _read(source: sqlite3.Connection, query: str, rows: list[tuple[object, ...]]) -> bool:
    try:
        rows.extend(_each(source, query))
    except sqlite3.Error:
        return False
    return True


def _each(source: sqlite3.Connection, query: str) -> Iterator[tuple[object, ...]]:
    yield from source.execute(query)


def index_messages(connection: sqlite3.Connection) -> None:
    """Build the full-text index again from the log."""
    from .search import index_message

    connection.execute("INSERT INTO message_text (message_text) VALUES ('delete-all')")
    rows = connection.execute("SELECT id, key, value FROM event WHERE kind = ?", (MESSAGE,))
    for number, key, value in rows.fetchall():
        with contextlib.suppress(ValueError, TypeError):
            index_message(connection, number, key, value)


def layout(sync: str = "full") -> Layout:
    """`sync` full: acknowledged is on the disk; fast: it survives the process, not a power cut."""
    cure = "Raise MCP_COORDINATE_HARD_MB, or remove values with `orchestr8-index shared clear`."
    return Layout(NAME, MIGRATIONS, mend, cure, synchronous="FULL" if sync == "full" else "NORMAL")
