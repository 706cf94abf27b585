"""Translates SQLite's statements to PostgreSQL's, and buffers those of a transaction.

Most differ only in their placeholders. Other differences are replaced phrase by phrase here, or as
whole statements in `schema` where the tables differ. BEGIN and changes without a result are
buffered, and sent with the next query or the commit, in one round trip.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from ..coordinate import statements as sqlite
from .schema import ADD_EVENTS, PUT_ITEMS, STATEMENTS

_PHRASES = (
    (r"\bGLOB \?", r"LIKE translate(replace(replace(replace(?, '\', '\\'), '%', '\%'), '_', '\_'),"
     " '*?', '%_')"),
    (
        r"WHERE event\.id IN \( SELECT id FROM event WHERE id >= \?",
        "WHERE event.project = $2 AND event.id IN ( SELECT id FROM event WHERE id >= ?",
    ),
    (r"/\*own\*/", "project = @project AND"),
    (r"\bCAST\((\w+) AS BLOB\)", r"convert_to(\1, 'UTF8')"),
    (r"\bifnull\(", "coalesce("),
    (r"\binstr\(", "strpos("),
    (r"json_extract\((\w+), '\$\.(\w+)'\)", r"(\1::json ->> '\2')"),
    (r"\bmax\((\w+), ", r"greatest(\1, "),
    (r"\bmin\((\w+), ", r"least(\1, "),
    (r"\+event\.", "event."),
    (r"\bAND 1(?= |$)", "AND true"),
    (r"\bWHERE 1(?= |$)", "WHERE true"),
    (r"^BEGIN DEFERRED$", "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
    (r"^BEGIN \w+$", "BEGIN"),
)  # fmt: skip


class Statement(NamedTuple):
    """`is_of_project`: its last value is the connection's project. `is_scan`: the caller may stop
    before its last row. `is_blind`: a change without a result."""

    text: str
    is_of_project: bool
    is_scan: bool
    is_blind: bool


_SCAN = re.compile(r"SELECT .*\bFROM event\b.* ORDER BY (event\.)?id( DESC)?", re.DOTALL)
_BLIND = re.compile(r"(INSERT|UPDATE|DELETE FROM (?!item)|WITH known|SELECT pg_notify|SET LOCAL)\b")


@functools.lru_cache(1024)
def translate(sql: str) -> Statement:
    """The statement for PostgreSQL, with the placeholders `$1`, `$2`…"""
    text = STATEMENTS.get(sql)
    if text is None:
        text = " ".join(sql.split())
        for pattern, instead in _PHRASES:
            text = re.sub(pattern, instead, text)
    count = itertools.count(1)
    text = re.sub(r"\?(?!')", lambda _: f"${next(count)}", text)
    is_scan = _SCAN.fullmatch(text) is not None
    is_blind = _BLIND.match(text) is not None and "RETURNING" not in text
    if "@project" not in text:
        return Statement(text, False, is_scan, is_blind)
    last = max(map(int, re.findall(r"\$(\d+)", text)), default=0) + 1
    return Statement(text.replace("@project", f"${last}"), True, is_scan, is_blind)


BoundStatement = tuple[str, Sequence[Any]]
_EVENT = ("id", "project", "kind", "key", "value", "by", "at", "cause", "crc")
_ITEM = ("project", "key", "value", "id", "by", "at", "ends", "crc")
_ITEMS = (sqlite.ADD_ITEM, sqlite.PUT_ITEM)


class BufferedResult:
    """The cursor of a change that is buffered. ADD_ITEM is sent as an upsert, so it has one row."""

    rowcount = 1

    def fetchone(self) -> None:
        return None


BUFFERED = BufferedResult()


class Unsent:
    """The buffered statements of a transaction. All rows of one table become one statement.

    Events come first, then items: of a key that is written twice one row remains, and the event of
    the first write gets its value. The rest follows in its order."""

    def __init__(self) -> None:
        self._begin = ""
        self._events: dict[int, dict[str, Any]] = {}
        self._items: dict[tuple[str, str], dict[str, Any]] = {}
        self._rest: list[BoundStatement] = []

    def __bool__(self) -> bool:
        return bool(self._begin or self._events or self._items or self._rest)

    def begin(self, text: str) -> BufferedResult:
        self._begin = text
        return BUFFERED

    def add(self, sql: str, text: str, given: Sequence[Any]) -> BufferedResult:
        if sql == sqlite.ADD_EVENT:
            self._events[given[0]] = dict(zip(_EVENT, given, strict=True))
        elif sql in _ITEMS:
            self._put(dict(zip(_ITEM, given, strict=True)))
        else:
            self._rest.append((text, given))
        return BUFFERED

    def _put(self, row: dict[str, Any]) -> None:
        key = (row["project"], row["key"])
        before = self._items.get(key)
        if before and (event := self._events.get(before["id"])) and event["value"] is None:
            event["value"] = before["value"]
        self._items[key] = row

    def take(self) -> list[BoundStatement]:
        """All of it, in the order in which it is to be sent."""
        sent: list[BoundStatement] = [(self._begin, ())] if self._begin else []
        if self._events:
            sent.append((ADD_EVENTS, (_rows(self._events.values()),)))
        if self._items:
            (project, _), *_ = self._items
            sent.append((PUT_ITEMS, (_rows(self._items.values()), project)))
        sent += self._rest
        self.__init__()  # type: ignore[misc]
        return sent


def _rows(rows: Iterable[dict[str, Any]]) -> str:
    """As JSON."""
    text = msgspec.json.encode(rows := list(rows)).decode()
    if "\\u0000" not in text:
        return text
    return msgspec.json.encode([{n: without_zeros(v) for n, v in r.items()} for r in rows]).decode()


def without_zeros(value: Any) -> Any:
    """PostgreSQL allows no zero byte in a text."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value
