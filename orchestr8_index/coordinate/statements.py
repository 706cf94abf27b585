"""The tables of coordinate.db and all statements on them; only `mend` has others, to copy rows.

An `id` is a revision and a number within it: `revision << 10 | number`. Lease times (`ends`,
`due`) are milliseconds for which servers have run on this file; `at` and `since` are Unix
milliseconds, for people only. The `{}` of a statement is filled in by `among` or `where`.
PostgreSQL has a log for each project: there `/*own*/` becomes a condition on the project.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from zlib import crc32

from ..store.lease import TABLE as LEASE
from .select import PRIVATE, Keys

NAME = "coordinate.db"
HELD, WAITING, NOTIFY = 0, 1, 2  # hold.state
READY, TAKEN, DONE = 0, 1, 2  # delivery.state
PUT, DELETE, GRANT, RELEASE, MESSAGE, SESSION = range(6)  # event.kind
CLAIM = "@claim"  # hold.request of what a host's hook claimed
KINDS = ("put", "delete", "grant", "release", "message", "session")
KEYS = {
    "item": "project, key",
    "event": "id",
    "hold": "rev, resource, project",
    "delivery": "message, recipient",
}
"""The tables that cannot be made again from others, and the order of their rows."""

_HOLD = """(
            project TEXT NOT NULL, rev INTEGER NOT NULL, resource TEXT NOT NULL,
            state INTEGER NOT NULL, shared INTEGER NOT NULL, holder TEXT NOT NULL,
            ident TEXT NOT NULL, purpose TEXT NOT NULL, secret TEXT NOT NULL, ttl INTEGER NOT NULL,
            ends INTEGER NOT NULL, since INTEGER NOT NULL, request TEXT NOT NULL,
            PRIMARY KEY"""
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE IF NOT EXISTS item (
            project TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, id INTEGER NOT NULL,
            by TEXT NOT NULL, at INTEGER NOT NULL, ends INTEGER, crc INTEGER NOT NULL,
            PRIMARY KEY (project, key)) WITHOUT ROWID""",
        "CREATE INDEX IF NOT EXISTS item_ends ON item (ends) WHERE ends IS NOT NULL",
        """CREATE TABLE IF NOT EXISTS event (
            id INTEGER PRIMARY KEY, project TEXT NOT NULL, kind INTEGER NOT NULL,
            key TEXT NOT NULL, value TEXT, by TEXT NOT NULL, at INTEGER NOT NULL, cause TEXT,
            crc INTEGER NOT NULL)""",
        "CREATE INDEX IF NOT EXISTS event_key ON event (project, key, id)",
        f"CREATE TABLE IF NOT EXISTS hold {_HOLD} (project, rev, resource)) WITHOUT ROWID",
        "CREATE INDEX IF NOT EXISTS hold_resource ON hold (project, resource)",
        "CREATE INDEX IF NOT EXISTS hold_ident ON hold (project, ident)",
        "CREATE INDEX IF NOT EXISTS hold_ends ON hold (ends)",
        """CREATE TABLE IF NOT EXISTS delivery (
            project TEXT NOT NULL, message INTEGER NOT NULL, recipient TEXT NOT NULL,
            state INTEGER NOT NULL, priority INTEGER NOT NULL, tries INTEGER NOT NULL,
            taker TEXT NOT NULL, due INTEGER NOT NULL, ends INTEGER NOT NULL,
            PRIMARY KEY (message, recipient)) WITHOUT ROWID""",
        """CREATE INDEX IF NOT EXISTS delivery_inbox ON delivery
            (project, recipient, priority DESC, message) WHERE state = 0""",
        "CREATE INDEX IF NOT EXISTS delivery_due ON delivery (due) WHERE state < 2",
        """CREATE VIRTUAL TABLE IF NOT EXISTS message_text USING fts5 (
            words, session, content = '', tokenize = 'unicode61')""",
        """CREATE VIRTUAL TABLE IF NOT EXISTS message_word USING fts5vocab (message_text, row)""",
    ),
    LEASE,
    (  # what an item still has stands in its own row: such an event needs no place in the index
        "UPDATE event SET value = 'null' WHERE kind = 1 AND value IS NULL",
        "DROP INDEX IF EXISTS event_key",
        "CREATE INDEX event_key ON event (project, key, id) WHERE value IS NOT NULL",
        # a key that begins with the project was taken for the way to a resource, or to an agent
        f"CREATE TABLE held {_HOLD} (rev, resource, project)) WITHOUT ROWID",
        "INSERT INTO held SELECT * FROM hold",
        "DROP TABLE hold",
        "ALTER TABLE held RENAME TO hold",
        "CREATE INDEX hold_resource ON hold (project, resource)",
        "CREATE INDEX hold_ident ON hold (project, ident)",
        "CREATE INDEX hold_ends ON hold (ends)",
    ),
)

# --- at the start, and in time ---------------------------------------------------------------

LAST_EVENT = "SELECT max(id) FROM event WHERE /*own*/ 1"
OLDEST = "SELECT value FROM item WHERE project = '' AND key = '@oldest'"
KEEP_OLDEST = """INSERT INTO item VALUES ('', '@oldest', ?, 0, '', 0, NULL, 0)
    ON CONFLICT (project, key) DO UPDATE SET value = excluded.value"""
LOGS = "SELECT ''"  # one for all projects of this file
_COLUMNS = (("item", "ends"), ("item", "id"), ("hold", "ends"), ("delivery", "due"))
MEND = (
    "DELETE FROM event WHERE id < 0 OR id >= 1 << 62",
    *(
        f"UPDATE {table} SET {column} = 0 WHERE {column} IS NOT NULL"
        f" AND (typeof({column}) <> 'integer' OR {column} >= 1 << 62)"
        for table, column in _COLUMNS
    ),
)
"""Numbers that are none, or above which there would be no further ones."""
LEASE_HELD = "UPDATE hold SET ends = ? + ttl WHERE state = 0"
LEASE_WAITING = "UPDATE hold SET ends = max(ends, ?) WHERE state = 1"
NEXT_DUE = """SELECT min(ends) FROM item WHERE /*own*/ ends IS NOT NULL
    UNION ALL SELECT min(ends) FROM hold WHERE /*own*/ 1
    UNION ALL SELECT min(due) FROM delivery WHERE /*own*/ state < 2"""
DUE_ITEMS = "SELECT project, key, id FROM item WHERE /*own*/ ends <= ? LIMIT ?"
DUE_HOLDS = "SELECT project, rev FROM hold WHERE /*own*/ ends <= ? LIMIT ?"
DUE_DELIVERIES = """SELECT project, recipient FROM delivery
    WHERE /*own*/ due <= ? AND state < 2 LIMIT ?"""
END_MESSAGES = "UPDATE delivery SET state = 2 WHERE /*own*/ due <= ? AND ends <= ? AND state < 2"
END_TAKES = """UPDATE delivery SET state = 0, due = ends
    WHERE /*own*/ due <= ? AND state = 1 AND state < 2"""

# --- items: values, and what the server notes under names with an @ --------------------------

ITEM = "SELECT value, ends, crc FROM item WHERE project = ? AND key = ?"
_ITEMS = "SELECT key, value, crc FROM item WHERE project = ? AND key >= ? AND key < ?"
ITEMS = f"{_ITEMS} ORDER BY key"
ITEMS_WITH = f"{_ITEMS} AND instr(key, ?) > 0 ORDER BY key"
ITEMS_WITHOUT = f"{_ITEMS} AND instr(key, ?) = 0 LIMIT ?"
PRESENT = """SELECT id, by FROM item WHERE project = ? AND key = ?
    AND (ends IS NULL OR ends > ?)"""
KEYS_AMONG = "SELECT key FROM item WHERE project = ? AND substr(key, 1, 1) <> '@' AND {}"
ADD_ITEM = "INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
PUT_ITEM = """INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (project, key) DO UPDATE SET value = excluded.value, id = excluded.id,
    by = excluded.by, at = excluded.at, ends = excluded.ends, crc = excluded.crc"""
DELETE_ITEM = "DELETE FROM item WHERE project = ? AND key = ?"
DELETE_ITEMS = "DELETE FROM item WHERE project = ? AND key >= ? AND key < ?"
READ_ITEMS = """SELECT key, CAST(value AS BLOB), id + 0, by, at + 0, ends, crc,
    (SELECT max(id) FROM event) FROM item
    WHERE project = ? AND substr(key, 1, 1) <> '@' AND (ends IS NULL OR ends > ?) AND {}
    ORDER BY key LIMIT ?"""
_PROJECTS = """WITH RECURSIVE own (project) AS (SELECT min(project) FROM item UNION ALL
    SELECT (SELECT min(project) FROM item WHERE project > own.project) FROM own
    WHERE own.project IS NOT NULL)"""
PROJECTS = f"{_PROJECTS} SELECT project FROM own WHERE project > ''"
NOTED = f"""{_PROJECTS} SELECT item.project, key, CAST(value AS BLOB), crc FROM own CROSS JOIN item
    ON item.project = own.project AND key >= '@' AND key < 'A' WHERE own.project > ''"""


# --- events ----------------------------------------------------------------------------------

ADD_EVENT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
SUPERSEDE = """UPDATE event SET value = (SELECT value FROM item WHERE project = ? AND key = ?)
    WHERE /*own*/ id = (SELECT id FROM item WHERE project = ? AND key = ?) AND value IS NULL"""
_EVENT = """ FROM event LEFT JOIN item ON item.project = event.project AND item.key = event.key
    AND item.id = event.id WHERE"""
_WRITE = f"""SELECT event.key, ifnull(event.value, item.value), event.id, event.by, event.at, NULL,
    event.crc, event.kind{_EVENT}"""
_WRITTEN = """ FROM event WHERE project = ? AND value IS NOT NULL AND kind < 2 AND {0}
    AND id < ? UNION ALL SELECT key, id FROM item WHERE project = ? AND id > 0 AND {0} AND id < ?"""
WRITE = f"{_WRITE} event.project = ? AND event.id = ?"
HISTORY = f"SELECT id FROM (SELECT key, id{_WRITTEN}) AS written ORDER BY id DESC"
PAST = f"SELECT max(id) FROM (SELECT key, id{_WRITTEN}) AS written GROUP BY key ORDER BY key"
_LOG = f"""SELECT event.id, kind, event.key, ifnull(event.value, item.value), event.by, event.at,
    cause{_EVENT}"""
READ_LOG = _LOG + " event.id >= ? AND +event.project = ? AND {} ORDER BY event.id"
READ_LOG_OF = f"""{_LOG} event.id IN (
    SELECT id FROM event WHERE id >= ? AND project = ? AND value IS NOT NULL AND {{0}} UNION ALL
    SELECT id FROM item WHERE id >= ? AND project = ? AND {{0}}) ORDER BY event.id"""
GRANTED = """SELECT key FROM event
    WHERE id BETWEEN ? AND ? AND kind = 2 AND project = ? LIMIT 1"""
SOME_EVENTS = """SELECT id, project, kind, key, CASE kind WHEN 4 THEN value END FROM event
    WHERE /*own*/ id >= ? AND id < ? AND value IS NOT NULL ORDER BY id LIMIT ?"""
LATER_WRITE = """SELECT 1 FROM event WHERE project = ? AND key = ? AND id > ? AND id < ?
    AND value IS NOT NULL UNION ALL
    SELECT 1 FROM item WHERE project = ? AND key = ? AND id > ? AND id < ?"""
DELETE_EVENT = "DELETE FROM event WHERE /*own*/ id = ?"
NTH_LAST = "SELECT id FROM event WHERE /*own*/ 1 ORDER BY id DESC LIMIT 1 OFFSET ?"
NTH_FROM = "SELECT id FROM event WHERE id >= ? ORDER BY id LIMIT 1 OFFSET ?"
ENDS_OF_LOG = "SELECT min(id), max(id) FROM event WHERE /*own*/ 1"
FIRST_FROM = "SELECT id, at FROM event WHERE /*own*/ id >= ? ORDER BY id LIMIT 1"

# --- locks -----------------------------------------------------------------------------------

_HOLDS = """SELECT rev, resource, state, shared, holder, ident, purpose, secret, ttl, ends, since,
    request FROM hold WHERE project = ?"""
HOLDS = f"{_HOLDS} ORDER BY resource, rev"
HOLDS_OF_SET = f"{_HOLDS} AND rev = ?"
HOLDS_OF = f"{_HOLDS} AND ident = ?"
HOLDS_OF_SESSION = f"{_HOLDS} AND ident >= ? AND ident < ?"
HOLDS_ON = _HOLDS + " AND resource IN ({})"
HOLDS_BELOW = f"{_HOLDS} AND resource > ? AND resource < ?"
CLAIMS_BESIDE = """SELECT resource, holder FROM hold
    WHERE project = ? AND resource >= ? AND resource < ? AND NOT (resource > ? AND resource < ?)
    AND request = '@claim' AND state = 0 AND NOT (ident >= ? AND ident < ?) LIMIT ?"""
CLAIM_ENDING = """SELECT 1 FROM hold
    WHERE project = ? AND ident = ? AND request = '@claim' AND ends < ? LIMIT 1"""
ADD_HOLD = "INSERT INTO hold VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
DELETE_HOLD = "DELETE FROM hold WHERE project = ? AND rev = ? AND resource = ?"
STAY = "UPDATE hold SET ends = ? WHERE project = ? AND rev = ? AND state = 1"
RENEW = "UPDATE hold SET ends = ?, ttl = ? WHERE project = ? AND rev = ? AND secret = ?"
RENEW_CLAIMS = """UPDATE hold SET ends = ?
    WHERE project = ? AND ident = ? AND request = '@claim' AND ends < ?"""
HAND_OVER = """UPDATE hold SET ident = ?, holder = ?, ends = ?
    WHERE project = ? AND rev = ? AND resource = ?"""

# --- messages --------------------------------------------------------------------------------

MESSAGE_OF = "SELECT value, at FROM event WHERE id = ? AND project = ? AND kind = 4"
ADD_DELIVERY = "INSERT INTO delivery VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
READY_IN = """SELECT -priority, message, recipient, tries FROM delivery
    WHERE project = ? AND recipient = ? AND state = 0 ORDER BY priority DESC, message LIMIT ?"""
COUNT_READY = """SELECT count(*) FROM (SELECT 1 FROM delivery
    WHERE project = ? AND recipient = ? AND state = 0 LIMIT ?) AS ready"""
TAKE = """UPDATE delivery SET state = 1, taker = ?, tries = tries + 1, due = min(ends, ?)
    WHERE /*own*/ message = ? AND recipient = ?"""
ACKNOWLEDGE = """UPDATE delivery SET state = 2, taker = ? WHERE message = ? AND project = ?
    AND state < 2 AND (recipient IN ({}) OR (taker = ? AND state = 1))"""
WAS_SENT = """SELECT 1 FROM delivery WHERE message = ? AND project = ?
    AND (taker = ? OR recipient IN ({}))"""
UNACKNOWLEDGED = "SELECT 1 FROM delivery WHERE /*own*/ message = ? AND state < 2 LIMIT 1"
FIRST_UNACKNOWLEDGED = "SELECT min(message + 0) FROM delivery WHERE /*own*/ state < 2"  # by index
DELETE_DELIVERIES = "DELETE FROM delivery WHERE /*own*/ message = ?"
_MESSAGES = """SELECT id, value, at FROM event
    WHERE project = ? AND key = ? AND kind = 4 AND id >= ? AND value IS NOT NULL"""
SESSION_MESSAGES = f"{_MESSAGES} ORDER BY id"
LAST_MESSAGES = f"{_MESSAGES} ORDER BY id DESC"
MESSAGES = "SELECT id, key, value FROM event WHERE kind = 4"
CLEAR_WORDS = "INSERT INTO message_text (message_text) VALUES ('delete-all')"
ADD_WORDS = "INSERT INTO message_text (rowid, words, session) VALUES (?, ?, ?)"
DELETE_WORDS = """INSERT INTO message_text (message_text, rowid, words, session)
    VALUES ('delete', ?, ?, ?)"""
KNOWN_WORDS = """SELECT term FROM message_word
    WHERE term >= ? AND term < ? ORDER BY term LIMIT ?"""
FIND_WORDS = """SELECT event.id, event.value, event.at FROM message_text
    JOIN event ON event.id = message_text.rowid
    WHERE message_text MATCH ? AND event.project = ? AND event.kind = 4
    ORDER BY message_text.rowid DESC LIMIT ?"""

# --- counts ----------------------------------------------------------------------------------

COUNTS = {
    "keys": "SELECT count(*) FROM item WHERE substr(key, 1, 1) <> '@' AND project = ?",
    "locks": "SELECT count(*) FROM hold WHERE state = 0 AND project = ?",
    "waiting_locks": "SELECT count(*) FROM hold WHERE state = 1 AND project = ?",
    "unread": "SELECT count(*) FROM delivery WHERE state < 2 AND project = ?",
}
COUNT_LOCKS = "SELECT count(*) FROM hold WHERE state = 0"
HELD_BY = "SELECT holder, resource FROM hold WHERE project = ? AND state = 0 ORDER BY resource"
WAITS_FOR = """SELECT recipient, count(*) FROM delivery
    WHERE project = ? AND state = 0 GROUP BY recipient"""


def among(statement: str, number: int) -> str:
    """The statement with a placeholder for each of so many values."""
    return statement.format(", ".join("?" * number))


def below(prefix: str) -> tuple[str, str]:
    """The range of the keys below a prefix that ends in `/`."""
    return prefix, f"{prefix[:-1]}0"


def names_of(connection: sqlite3.Connection, statement: str) -> list[str]:
    """The only column of a statement without values."""
    return [name for (name,) in connection.execute(statement).fetchall()]


def checksum(key: str, value: bytes) -> int:
    """CRC-32 of key and value, kept beside them to find corruption."""
    return crc32(value, crc32(key.encode()))


def noted(connection: sqlite3.Connection, project: str, key: str, now: int = 0) -> str | None:
    """An item of the server's own that lasts beyond `now`; None if its checksum is wrong."""
    row = connection.execute(ITEM, (project, key)).fetchone()
    is_sound = row and checksum(key, str(row[0]).encode()) == row[2]
    return row[0] if is_sound and (row[1] is None or row[1] > now) else None


def notes(connection: sqlite3.Connection, project: str, prefix: str) -> Iterator[tuple[str, str]]:
    """All items of the server's own below a prefix: the rest of each key, and the value."""
    for key, value, crc in connection.execute(ITEMS, (project, *below(prefix))):
        if checksum(key, str(value).encode()) == crc:
            yield key[len(prefix) :], value


def where(statement: str, column: str, keys: Keys, after: str = "") -> tuple[str, Sequence[str]]:
    """The statement with the condition for keys after `after` that are selected; its values."""
    if keys.keys is not None:
        wanted = [each for each in keys.keys if each > after] or [""]  # which is no key
        condition, values = f"{column} IN ({', '.join('?' * len(wanted))})", wanted
    else:
        low, start, end = keys.bounds(after)
        condition, values = f"{column} {low} ? AND {column} < ?", [start, end]
    if keys.pattern is not None:
        condition, values = f"{condition} AND {column} GLOB ?", [*values, keys.pattern]
    if keys.own is not None:
        low, high = below(PRIVATE)
        theirs = f"({column} < '{low}' OR {column} >= '{high}' OR {column} GLOB ? || '*')"
        condition, values = f"{condition} AND {theirs}", [*values, keys.own]
    return statement.format(condition), values
