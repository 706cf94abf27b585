"""Shared values: written all or nothing; read by key, prefix or pattern, at any revision."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from zlib import crc32

from msgspec import Raw

from ..errors import Conflict, InvalidParams, StoreUnavailable
from ..records import JsonObject
from ..sharing import Op, ReadShared, RestoreShared, SavedValue, WriteShared
from . import statements as sql
from .clock import Clock, iso
from .holds import check_fences
from .journal import Change, last_revision
from .select import MOST_BYTES, Keys, Sized, page
from .statements import PUT, checksum, where

NULL = "null"


def write_ops(change: Change, params: WriteShared, texts: Sequence[str]) -> JsonObject:
    """`texts` are the values. Raises StaleToken, Conflict and InvalidParams, before anything is
    written."""
    check_fences(change, params.fence)
    ops = params.ops
    if len({op.key for op in ops}) < len(ops):
        (twice, _) = Counter(op.key for op in ops).most_common(1)[0]
        raise InvalidParams({"ops": f"writes {twice} twice"})
    for op in ops:
        if op.if_rev is not None:
            _check_revision(change, op)
    for op, text in zip(ops, texts, strict=True):
        _apply(change, op.key, text, op.ttl_s)
    return {"rev": change.rev, "items": [{"key": op.key, "rev": change.rev} for op in ops]}


def _check_revision(change: Change, op: Op) -> None:
    asked = (change.project, op.key, change.now)
    present = change.connection.execute(sql.PRESENT, asked).fetchone()
    rev, by = (present[0] >> 10, present[1]) if present else (0, "")
    if op.if_rev != rev:
        actual = f"is at revision {rev}, written by {by}" if present else "is not there"
        sentence = f"{op.key} {actual}; the write expected revision {op.if_rev}."
        raise Conflict(sentence, key=op.key, rev=rev, by=by)


def _apply(change: Change, key: str, text: str, ttl_s: int | None) -> None:
    if text == NULL:
        change.delete(key)
    else:
        change.put(key, text, None if ttl_s is None else change.lease(ttl_s))


def restore(change: Change, params: RestoreShared, texts: dict[str, str], keys: Keys) -> JsonObject:
    """Put `texts`, values by key, and delete every other key that `keys` selects. Returns the last
    revision, and how many were put and deleted."""
    if foreign := [key for key in texts if not key.startswith(params.prefix)]:
        raise InvalidParams({"items": f"{foreign[0]} is not below the prefix"})
    gone = [key for key in _among(change, keys) if key not in texts]
    for key in gone:
        change.delete(key)
    for each in params.items:
        _apply(change, each.key, texts[each.key], each.expires_in)
    return {"rev": change.rev, "put": len(texts), "deleted": len(gone)}


def _among(change: Change, keys: Keys) -> list[str]:
    query, values = where(sql.KEYS_AMONG, "key", keys)
    return [key for (key,) in change.connection.execute(query, (change.project, *values))]


def delete_below(change: Change, prefix: str, cause: str) -> None:
    """Delete all values below a prefix, with the cause that the log gives."""
    for key in _among(change, Keys(prefix=prefix)):
        change.delete(key, cause)


def present(
    connection: sqlite3.Connection, clock: Clock, project: str, keys: Keys, after: str, limit: int
) -> tuple[list[JsonObject], bool, int]:
    """The values in the order of their keys, whether there are more, and the revision at which
    they were read."""
    query, values = where(sql.READ_ITEMS, "key", keys, after)
    now = clock.now()
    asked = (project, now, *values, limit + 1)
    rows, more, newest = _page(connection.execute(query, asked), now, limit)
    if not rows:
        rev = last_revision(connection, project)  # first: a cursor must miss nothing
        rows, more, newest = _page(connection.execute(query, asked), now, limit)
    return rows, more, newest >> 10 if rows else rev


def _page(items: Any, now: int, limit: int) -> tuple[list[JsonObject], bool, int]:
    """As many values as have room, read one by one, as they may be long."""
    found, size, newest = list[JsonObject](), 0, 0
    for key, value, number, by, at, ends, crc, newest in items:
        size += len(value)
        if found and (len(found) == limit or size > MOST_BYTES):
            return found, True, newest or 0
        if crc32(value, crc32(key.encode())) != crc:  # not by a call: there may be many
            raise _damaged(key)
        row = {"key": key, "value": Raw(value), "rev": number >> 10, "by": by, "at": iso(at)}
        if ends is not None:
            row["expires_in"] = max(1, -(-(ends - now) // 1000))
        found.append(row)
    return found, False, newest or 0


def snapshot(
    connection: sqlite3.Connection, clock: Clock, project: str, keys: Keys
) -> dict[str, Any]:
    """All values of these keys, and the revision. Raises InvalidParams for more than can be
    restored at once."""
    rows, more, rev = present(connection, clock, project, keys, "", 1 << 40)
    if more:
        why = f"its values have more than {MOST_BYTES:,} bytes: take them by longer prefixes"
        raise InvalidParams({"prefix": why})
    items = [SavedValue(row["key"], row["value"], row.get("expires_in")) for row in rows]
    return {"rev": rev, "items": items}


def history(
    connection: sqlite3.Connection, project: str, keys: Keys, params: ReadShared
) -> tuple[list[JsonObject], bool]:
    """All writes that the log still has, newest first; a deletion has the value null.

    A revision is never split, so that there may be more than `limit`.
    """
    written = _written(connection, sql.HISTORY, project, keys, params)
    rows, more = page(written, params.limit, whole=True)
    return [_history_row(row) for row in rows], more


def as_of(
    connection: sqlite3.Connection, project: str, keys: Keys, params: ReadShared
) -> tuple[list[JsonObject], bool]:
    """The values as they were after the revision `at_rev`, including those expired by then."""
    written = _written(connection, sql.PAST, project, keys, params)
    rows, more = page((each for each in written if each[2][7] == PUT), params.limit)
    return [_history_row(row) for row in rows], more


def _written(
    connection: sqlite3.Connection, query: str, project: str, keys: Keys, params: ReadShared
) -> Iterator[Sized]:
    """The events whose ids a statement selects."""
    query, values = where(query, "key", keys, params.after)
    before = (params.at_rev + 1) << 10 if params.at_rev is not None else (1 << 63) - 1
    asked = (project, *values, before)
    for (number,) in connection.execute(query, asked * 2):
        row = connection.execute(sql.WRITE, (project, number)).fetchone()
        yield number >> 10, len(row[1] or ""), row


def _history_row(row: tuple[Any, ...]) -> JsonObject:
    key, value, number, by, at, _, crc, kind = row
    data = str(value).encode() if kind == PUT else b"null"
    if kind == PUT and checksum(key, data) != crc:
        raise _damaged(key)
    return {"key": key, "value": Raw(data), "rev": number >> 10, "by": by, "at": iso(at)}


def _damaged(key: str) -> StoreUnavailable:
    """The checksum is wrong: a bit has changed on the disk."""
    cure = "Write the key again; or stop the server and `restore` a backup of coordinate.db."
    return StoreUnavailable(f"The value of {key} is damaged.", cure)
