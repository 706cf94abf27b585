"""The tables in PostgreSQL, their migrations, the statements that differ from SQLite's, and the
check that this version can use a database.

An id is a revision and a number within it, as in coordinate.db; but each project counts its own
revisions, in the row of `project` that every commit locks first. So the commits of one project are
serialised over all servers, in the order of the revisions, and a reader that goes on from a
revision misses none. Leases end by the database's clock, in Unix ms.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from ..coordinate import statements as sqlite
from ..errors import StoreTooNew, StoreUnavailable

LEAST_VERSION = 130_000
LOCK = 0x6F387465616D  # "o8team": one server at a time changes the tables
LONGEST_WORD = 100  # that is indexed; PostgreSQL's index takes none of 2,700 bytes
_TEXT = 'TEXT COLLATE "C" NOT NULL'
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        f"""CREATE TABLE project (
            name {_TEXT} PRIMARY KEY, rev BIGINT NOT NULL DEFAULT 0,
            oldest BIGINT NOT NULL DEFAULT 0) WITH (fillfactor = 50)""",
        f"""CREATE TABLE server (
            id {_TEXT} PRIMARY KEY, version TEXT NOT NULL, started BIGINT NOT NULL,
            seen BIGINT NOT NULL, facts TEXT NOT NULL)""",
        f"""CREATE TABLE item (
            project {_TEXT}, key {_TEXT}, value {_TEXT}, id BIGINT NOT NULL, by {_TEXT},
            at BIGINT, ends BIGINT, crc BIGINT NOT NULL, PRIMARY KEY (project, key))""",
        "CREATE INDEX item_ends ON item (project, ends) WHERE ends IS NOT NULL",
        f"""CREATE TABLE event (
            id BIGINT NOT NULL, project {_TEXT}, kind SMALLINT NOT NULL, key {_TEXT},
            value TEXT COLLATE "C", by {_TEXT}, at BIGINT NOT NULL, cause TEXT COLLATE "C",
            crc BIGINT NOT NULL, PRIMARY KEY (project, id))""",
        "CREATE INDEX event_key ON event (project, key, id) WHERE value IS NOT NULL",
        f"""CREATE TABLE hold (
            project {_TEXT}, rev BIGINT NOT NULL, resource {_TEXT}, state SMALLINT NOT NULL,
            shared SMALLINT NOT NULL, holder {_TEXT}, ident {_TEXT}, purpose {_TEXT},
            secret {_TEXT}, ttl BIGINT NOT NULL, ends BIGINT NOT NULL, since BIGINT NOT NULL,
            request {_TEXT}, PRIMARY KEY (project, rev, resource))""",
        "CREATE INDEX hold_resource ON hold (project, resource)",
        "CREATE INDEX hold_ident ON hold (project, ident)",
        "CREATE INDEX hold_ends ON hold (project, ends)",
        f"""CREATE TABLE delivery (
            project {_TEXT}, message BIGINT NOT NULL, recipient {_TEXT}, state SMALLINT NOT NULL,
            priority SMALLINT NOT NULL, tries BIGINT NOT NULL, taker {_TEXT}, due BIGINT NOT NULL,
            ends BIGINT NOT NULL, PRIMARY KEY (project, message, recipient))""",
        """CREATE INDEX delivery_inbox ON delivery (project, recipient, priority DESC, message)
            WHERE state = 0""",
        "CREATE INDEX delivery_due ON delivery (project, due) WHERE state < 2",
        f"""CREATE TABLE message_text (
            project {_TEXT}, id BIGINT NOT NULL, session {_TEXT}, words TEXT[] NOT NULL,
            PRIMARY KEY (project, id))""",
        "CREATE INDEX message_text_words ON message_text USING gin (words)",
        "CREATE INDEX message_text_session ON message_text (project, session, id)",
        f"""CREATE TABLE learnt (
            project {_TEXT}, id BIGINT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (project, id))""",
        f"CREATE TABLE message_word (project {_TEXT}, term {_TEXT}, PRIMARY KEY (project, term))",
    ),
    (
        f"""CREATE TABLE audit (
            id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, server {_TEXT}, timestamp {_TEXT},
            who {_TEXT}, what {_TEXT}, outcome {_TEXT}, times BIGINT NOT NULL)""",
    ),
    (
        f"""CREATE TABLE usage (
            day {_TEXT}, who {_TEXT}, what {_TEXT}, outcome {_TEXT}, times BIGINT NOT NULL,
            PRIMARY KEY (day, who, what, outcome))""",
    ),
    (
        f"""CREATE TABLE snapshot (
            project {_TEXT} PRIMARY KEY, stamp TEXT NOT NULL, server TEXT NOT NULL,
            at BIGINT NOT NULL)""",
        f"""CREATE TABLE snapshot_file (
            project {_TEXT}, name {_TEXT}, body BYTEA NOT NULL, PRIMARY KEY (project, name))""",
        "ALTER TABLE snapshot_file ALTER COLUMN body SET STORAGE EXTERNAL",
    ),
)

LAYOUT = """CREATE TABLE IF NOT EXISTS layout
    (version INT PRIMARY KEY, timeline TEXT NOT NULL DEFAULT '',
    origin TEXT NOT NULL DEFAULT md5(random()::text || clock_timestamp()::text))"""
ORIGIN = "SELECT origin FROM layout WHERE version = 1"
ADD_LEARNT = "INSERT INTO learnt VALUES (?, ?, ?)"
LEARNT = "SELECT id, body FROM learnt WHERE project = ? AND id > ? ORDER BY id LIMIT ?"
CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
NEXT_DUE = """least((SELECT min(ends) FROM item WHERE project = $1 AND ends IS NOT NULL),
    (SELECT min(ends) FROM hold WHERE project = $1),
    (SELECT min(due) FROM delivery WHERE project = $1 AND state < 2))"""
TAKE = f"""INSERT INTO project AS own (name, rev) VALUES ($1, $2::bigint)
    ON CONFLICT (name) DO UPDATE SET rev = own.rev + $2::bigint
    RETURNING rev, {CLOCK}, {NEXT_DUE}"""
DUE_PROJECTS = f"""SELECT name FROM project WHERE
    EXISTS (SELECT 1 FROM item WHERE project = name AND ends <= {CLOCK})
    OR EXISTS (SELECT 1 FROM hold WHERE project = name AND ends <= {CLOCK})
    OR EXISTS (SELECT 1 FROM delivery WHERE project = name AND state < 2 AND due <= {CLOCK})"""
BEAT = f"""INSERT INTO server VALUES ($1, $2, {CLOCK}, {CLOCK}, $3)
    ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, facts = excluded.facts"""
BURY = f"DELETE FROM server WHERE seen < {CLOCK} - 86400000"
SERVERS = f"SELECT id, version, started, {CLOCK} - seen, facts FROM server ORDER BY id"
PRESENT = f"SELECT count(*) FROM server WHERE seen > {CLOCK} - $1::bigint"
NEWEST = "SELECT rev FROM project WHERE name = ?"
REVISIONS = "SELECT name, rev FROM project"
FIGURES = """SELECT (SELECT count(*) FROM hold WHERE state = 0),
    (SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class WHERE relkind = 'r'
    AND relnamespace = current_schema()::regnamespace)"""
TIMELINE = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
FAIL_OVER = """WITH over AS
    (UPDATE layout SET timeline = $2 WHERE version = 1 AND timeline <> $2 RETURNING version)
    UPDATE project SET rev = rev + $1::bigint WHERE EXISTS (SELECT 1 FROM over)"""

ADD_EVENTS = "INSERT INTO event SELECT * FROM json_populate_recordset(NULL::event, $1)"
PUT_ITEMS = """WITH new AS (SELECT * FROM json_populate_recordset(NULL::item, $1)),
    superseded AS (UPDATE event SET value =
        (SELECT value FROM item WHERE item.project = event.project AND item.key = event.key)
        WHERE project = $2 AND value IS NULL AND id = ANY (ARRAY(SELECT
        (SELECT id FROM item WHERE project = $2 AND key = new.key) FROM new)))
    INSERT INTO item SELECT * FROM new
    ON CONFLICT (project, key) DO UPDATE SET value = excluded.value, id = excluded.id,
    by = excluded.by, at = excluded.at, ends = excluded.ends, crc = excluded.crc"""
"""Without a join: its cached plan would be that of small tables."""

STATEMENTS: dict[str, str] = {
    sqlite.OLDEST: "SELECT oldest::text FROM project WHERE name = @project",
    sqlite.KEEP_OLDEST: "UPDATE project SET oldest = ($1::text)::bigint WHERE name = @project",
    sqlite.LOGS: "SELECT name FROM project",
    sqlite.PROJECTS: "SELECT name FROM project",
    sqlite.ADD_WORDS: """WITH known AS (INSERT INTO message_word
            SELECT @project, unnest($2::text[]) ON CONFLICT DO NOTHING)
            INSERT INTO message_text SELECT @project, $1::bigint, $3, $2::text[]""",
    sqlite.DELETE_WORDS: """DELETE FROM message_text
            WHERE project = @project AND id = $1 AND $2::text[] IS NOT NULL AND $3 <> ''""",
    sqlite.KNOWN_WORDS: """SELECT DISTINCT term FROM message_word
            WHERE term >= $1 AND term < $2 ORDER BY term LIMIT $3""",
    sqlite.FIND_WORDS: """SELECT event.id, event.value, event.at FROM message_text
            JOIN event USING (project, id) WHERE message_text.session = $1
            AND message_text.words && $2::text[] AND project = $3 AND event.kind = 4
            ORDER BY event.id DESC LIMIT $4""",
}
"""PostgreSQL's statements by those of SQLite; `@project` is the connection's project."""


def _words_of(text: str) -> list[str]:
    """The terms of a text as SQLite's full-text index has them: lower case, without accents."""
    plain = unicodedata.normalize("NFD", text.lower())
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return sorted({word[:LONGEST_WORD] for word in re.findall(r"[^\W_]+", bare)})


def _texts(values: Sequence[Any]) -> Sequence[Any]:
    number, text, session = values
    return number, _words_of(text), session


def _asked(values: Sequence[Any]) -> Sequence[Any]:
    """Takes apart a query of SQLite's full-text index: `session : NAME AND words : (…)`."""
    match, project, most = values
    session, _, words = match.removeprefix("session : ").partition(" AND words : ")
    return session, _words_of(words.replace(" OR ", " ")), project, most


VALUES: dict[str, Callable[[Sequence[Any]], Sequence[Any]]] = {
    sqlite.ADD_WORDS: _texts,
    sqlite.DELETE_WORDS: _texts,
    sqlite.FIND_WORDS: _asked,
}
"""By the statement, the function that converts its values."""


# --- checks and migrations ----------------------------------------------------------------------


def check_engine(connection: psycopg.Connection[Any]) -> None:
    """Raises StoreUnavailable if it is too old, not in UTF-8, or read-only."""
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
    """How many migrations the tables have had; 0 where there are none."""
    query = "SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'layout'"
    if connection.execute(query, (schema,)).fetchone() is None:  # psycopg may cache a missing name
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
            "Upgrade this server: `pip install --upgrade 'orchestr8-index[team]'`.",
        )
    return found


def migrate(connection: psycopg.Connection[Any], schema: str) -> int:
    """Run the missing migrations in one transaction, one server at a time; returns how many."""
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
