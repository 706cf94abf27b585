"""Shared values: written all or nothing, read by key, prefix or pattern, now or as they were."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Raw

from ..errors import Conflict, InvalidParams, StoreUnavailable
from ..sharing import Op, ReadShared, RestoreShared, SavedValue
from . import statements as sql
from .clock import Clock, iso
from .journal import Change, checksum, last_revision
from .select import Keys
from .statements import PUT, where

NULL = "null"
Row = dict[str, Any]
Present = tuple[int, str] | None  # the event's id and who wrote


def write_ops(change: Change, ops: Sequence[Op], texts: Sequence[str]) -> Row:
    """`texts` are the values. Raises Conflict and InvalidParams, before anything is written."""
    present = _present(change, ops)
    for op in ops:
        _check_revision(op, present[op.key])
    for op, text in zip(ops, texts, strict=True):
        _apply(change, op.key, text, op.ttl_s, present[op.key])
    return {"rev": change.rev, "items": [{"key": op.key, "rev": change.rev} for op in ops]}


def _present(change: Change, ops: Iterable[Op]) -> dict[str, Present]:
    """Raises InvalidParams for a key that is written twice at once."""
    found: dict[str, Present] = {}
    for op in ops:
        if op.key in found:
            raise InvalidParams({"ops": f"writes {op.key} twice"})
        asked = (change.project, op.key, change.now)
        found[op.key] = change.connection.execute(sql.PRESENT, asked).fetchone()
    return found


def _check_revision(op: Op, present: Present) -> None:
    rev, by = (present[0] >> 10, present[1]) if present else (0, "")
    if op.if_rev is not None and op.if_rev != rev:
        said = f"is at revision {rev}, written by {by}" if present else "is not there"
        sentence = f"{op.key} {said}; the write expected revision {op.if_rev}."
        raise Conflict(sentence, key=op.key, rev=rev, by=by)


def _apply(change: Change, key: str, text: str, ttl_s: int | None, present: Present) -> None:
    before = present[0] if present else None
    if text != NULL:
        change.put(key, text, None if ttl_s is None else change.lease(ttl_s), before)
    elif before is not None:
        change.delete(key, before)


def restore(change: Change, params: RestoreShared, texts: dict[str, str]) -> Row:
    """`texts` are values by key. Returns the last revision, and how many were put and deleted."""
    if foreign := [key for key in texts if not key.startswith(params.prefix)]:
        raise InvalidParams({"items": f"{foreign[0]} is not below the prefix"})
    present = _below(change, params.prefix)
    gone = {key: known[0] for key, known in present.items() if key not in texts}
    for key, number in gone.items():
        change.delete(key, number)
    for each in params.items:
        _apply(change, each.key, texts[each.key], each.expires_in, present.get(each.key))
    return {"rev": change.rev, "put": len(texts), "deleted": len(gone)}


def _below(change: Change, prefix: str) -> dict[str, tuple[int, str]]:
    query, values = where(sql.PRESENT_AMONG, "key", Keys(prefix=prefix))
    rows = change.connection.execute(query, (change.project, *values))
    return {key: (number, by) for key, number, by in rows}


def end_values(change: Change, keys: Iterable[tuple[str, int]], cause: str) -> None:
    """Delete values, given with the ids of their events, for a reason of the server's own."""
    for key, number in keys:
        change.delete(key, number, cause)


def delete_below(change: Change, prefix: str, cause: str) -> None:
    """Delete all values below a prefix, with the cause that the log gives."""
    present = _below(change, prefix)
    end_values(change, ((key, known[0]) for key, known in present.items()), cause)


class Reader:
    """Reads what is committed, on a connection of its own; `clock` tells what has expired."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self.connection, self.clock = connection, clock

    def present(
        self, project: str, keys: Keys, after: str, limit: int
    ) -> tuple[list[Row], bool, int]:
        """The values in the order of their keys, whether there are more than `limit`, and the
        revision at which all of them were read."""
        query, values = where(sql.READ_ITEMS, "key", keys, after)
        asked = (project, self.clock.now(), *values, limit + 1)
        if not (rows := self.connection.execute(query, asked).fetchall()):
            rev = last_revision(self.connection, project)  # first: a cursor must miss nothing
            rows = self.connection.execute(query, asked).fetchall()
        rev = (rows[0][7] or 0) >> 10 if rows else rev
        return [self._shown(row) for row in rows[:limit]], len(rows) > limit, rev

    def history(self, project: str, keys: Keys, params: ReadShared) -> tuple[list[Row], bool]:
        """All writes that the log still has, newest first; a deletion has the value null."""
        query, values = where(sql.HISTORY, "event.key", keys, params.after)
        before = (params.at_rev + 1) << 10 if params.at_rev is not None else (1 << 63) - 1
        asked = (project, *values, before, params.limit + 1)
        rows = self.connection.execute(query, asked).fetchall()
        return [_past(row) for row in rows[: params.limit]], len(rows) > params.limit

    def snapshot(self, project: str, prefix: str) -> tuple[list[SavedValue], int]:
        """Everything below the prefix, and the revision."""
        rows, _, rev = self.present(project, Keys(prefix=prefix), "", 1 << 40)
        return [SavedValue(row["key"], row["value"], row.get("expires_in")) for row in rows], rev

    def noted(self, project: str, key: str) -> Raw | None:
        """An item of the server's own."""
        row = self.connection.execute(sql.ITEM, (project, key)).fetchone()
        return _raw(row[0]) if row else None

    def past(self, project: str, keys: Keys, params: ReadShared) -> tuple[list[Row], bool]:
        """The values as they stood after the revision `at_rev`, expired ones of then included."""
        assert params.at_rev is not None
        query, values = where(sql.PAST, "key", keys, params.after)
        asked = (project, project, *values, (params.at_rev + 1) << 10, params.limit + 1)
        rows = self.connection.execute(query, asked).fetchall()
        return [_past(row) for row in rows[: params.limit]], len(rows) > params.limit

    def _shown(self, row: tuple[Any, ...]) -> Row:
        key, value, number, by, at, ends, crc, _ = row
        _check(key, value, crc)
        shown = {"key": key, "value": _raw(value), "rev": number >> 10, "by": by, "at": iso(at)}
        if ends is not None:
            shown["expires_in"] = max(1, -(-(ends - self.clock.now()) // 1000))
        return shown


def _past(row: tuple[Any, ...]) -> Row:
    key, value, number, by, at, _, crc, kind = row
    if kind == PUT:
        _check(key, value, crc)
    return {
        "key": key,
        "value": _raw(value if kind == PUT else NULL),
        "rev": number >> 10,
        "by": by,
        "at": iso(at),
    }


def _raw(text: str) -> Raw:
    return Raw(text.encode())


def _check(key: str, value: str | None, crc: int) -> None:
    """Raises StoreUnavailable where a bit has changed on the disk."""
    if value is None or checksum(key, value) != crc:
        cure = "Stop the server and run `orchestr8-index restore`, or write the key again."
        raise StoreUnavailable(f"The value of {key} is damaged.", cure)
