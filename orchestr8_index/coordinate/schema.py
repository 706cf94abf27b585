"""The tables of coordinate.db.

An `id` is a revision and a number within it: `revision << 10 | number`. Lease times (`ends`,
`due`) are milliseconds for which servers have run on this file; `at` and `since` are Unix
milliseconds, for people only.
"""

from __future__ import annotations

from ..store.lease import TABLE as LEASE

NAME = "coordinate.db"
HELD, WAITING, NOTIFY = 0, 1, 2  # hold.state
READY, TAKEN, DONE = 0, 1, 2  # delivery.state
PUT, DELETE, GRANT, RELEASE, MESSAGE, SESSION = range(6)  # event.kind
CLAIM = "@claim"  # hold.request of what a host's hook claimed
KINDS = ("put", "delete", "grant", "release", "message", "session")

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
        """CREATE TABLE IF NOT EXISTS hold (
            project TEXT NOT NULL, rev INTEGER NOT NULL, resource TEXT NOT NULL,
            state INTEGER NOT NULL, shared INTEGER NOT NULL, holder TEXT NOT NULL,
            ident TEXT NOT NULL, purpose TEXT NOT NULL, secret TEXT NOT NULL, ttl INTEGER NOT NULL,
            ends INTEGER NOT NULL, since INTEGER NOT NULL, request TEXT NOT NULL,
            PRIMARY KEY (project, rev, resource)) WITHOUT ROWID""",
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
)
