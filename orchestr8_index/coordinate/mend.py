"""The schema of coordinate.db for the store, and the repair of a damaged file."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from ..store import backup
from ..store.database import connect, transaction
from ..store.schema import migrate
from ..store.store import Schema
from . import statements as sql
from .caller import read_message
from .log import drop_oldest
from .search import index_message
from .statements import KEYS, MIGRATIONS, NAME

CACHE_KB = 1024  # of pages that one commit may touch, of many agents
Rows = list[tuple[object, ...]]


def mend(data_dir: Path, damage: str) -> backup.Repair:
    """Set the damaged file aside; the newest good backup and all rows that can be read replace it.

    A lock that cannot be read is gone, and its token stale.
    """
    damaged = data_dir / NAME
    kept = reversed(backup.backups(data_dir, NAME))
    good = next((path for path in kept if backup.is_good(path, MIGRATIONS)), None)
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
    tables = (table for table in KEYS if table != "event")
    counts = (connection.execute(f"SELECT count(*) FROM {table}") for table in tables)
    return sum(int(row.fetchone()[0]) for row in counts)


def _bring_back(damaged: Path, sound: sqlite3.Connection) -> bool:
    """Copy the readable rows of every table; returns whether all of them could be read."""
    whole = True
    with contextlib.suppress(sqlite3.Error), contextlib.closing(connect(damaged)) as source:
        for table in KEYS:
            with transaction(sound):
                whole &= _copy_table(source, sound, table)
        with transaction(sound):
            index_messages(sound)
        return whole
    return False


def _copy_table(source: sqlite3.Connection, sound: sqlite3.Connection, table: str) -> bool:
    """A table that can be read whole replaces that of the backup; else its rows are added to it,
    from both ends up to a damaged page. Returns whether it was whole."""
    forward = KEYS[table].split(", ")
    rows, whole = _readable(source, table, forward)
    if whole:
        sound.execute(f"DELETE FROM {table}")
    else:
        rows += _readable(source, table, [f"{column} DESC" for column in forward])[0]
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        sound.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)
    return whole


def _readable(source: sqlite3.Connection, table: str, order: Sequence[str]) -> tuple[Rows, bool]:
    """Rows up to a damaged page, and whether there was none."""
    rows = Rows()
    try:
        for row in source.execute(f"SELECT * FROM {table} ORDER BY {', '.join(order)}"):
            rows.append(row)  # a damaged page ends it: what came before is kept
    except sqlite3.Error:
        return rows, False
    return rows, True


def index_messages(connection: sqlite3.Connection) -> None:
    """Build the full-text index again from the log."""
    connection.execute(sql.CLEAR_WORDS)
    for number, key, text in connection.execute(sql.MESSAGES).fetchall():
        index_message(connection, number, key, read_message(text))


def layout(sync: str = "full") -> Schema:
    """`sync` full: acknowledged is on the disk; fast: it survives the process, not a power cut."""
    cure = "Raise MCP_COORDINATE_HARD_MB, or remove values with `orchestr8-index shared clear`."
    return Schema(
        NAME,
        MIGRATIONS,
        mend,
        cure,
        prune=drop_oldest,
        synchronous="FULL" if sync == "full" else "NORMAL",
        cache_kb=CACHE_KB,
    )
