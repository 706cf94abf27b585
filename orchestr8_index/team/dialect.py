"""SQLite's statements as PostgreSQL reads them.

Most differ by their marks alone. What else differs stands here: a phrase for a phrase, or a whole
statement where the tables do (in `schema`, beside them).
"""

from __future__ import annotations

import functools
import itertools
import re
from typing import NamedTuple

from .schema import STATEMENTS

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
    """`is_of_project`: its last value is the project of the connection's commit. `is_scan`: nobody
    knows how many of its rows are wanted. `is_blind`: a change whose result nobody looks at."""

    text: str
    is_of_project: bool
    is_scan: bool
    is_blind: bool


_SCAN = re.compile(r"SELECT .*\bFROM event\b.* ORDER BY (event\.)?id( DESC)?", re.DOTALL)
_BLIND = re.compile(r"(INSERT|UPDATE|DELETE FROM (?!item)|WITH known|SELECT pg_notify|SET LOCAL)\b")


@functools.lru_cache(1024)
def translate(sql: str) -> Statement:
    """A statement for PostgreSQL, whose places are numbered: `$1`."""
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
