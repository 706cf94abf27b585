"""Two append-only hash chains: of changes to the ledger, and of the audit.

Each link is a digest of the one before it and of a change's digest: so `verify` finds rows that
were removed, added or rewritten behind the server's back. `chain` has reports, amendments,
forgotten decisions (nothing but their digest is left) and stored plans; the audit's rows carry
their own links, as the oldest of them are pruned. There is no secret key: rewriting a whole chain,
to its last link, is not found.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from typing import Any

REPORT, AMEND, FORGET, PLAN = "report", "amend", "forget", "plan"
AUDIT, PRUNED = "audit", "audit pruned"  # seals: the newest row, and the last one pruned
MOST_SENTENCES = 20
_PLAN = "id, project, goal, agent_sequence, dependencies, parallel_groups, stored_by"
_AUDIT = "timestamp, who, what, outcome, times"


def digest_of(*parts: Any) -> str:
    """128 bits of a SHA-256, in hex, of values as the database has them, of any type."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def append(connection: sqlite3.Connection, what: str, subject: int | str, digest: str) -> None:
    """Append a link, in the transaction of the change that it records."""
    newest = "SELECT id, link FROM chain WHERE id < 1 << 62 ORDER BY id DESC LIMIT 1"
    last = connection.execute(newest).fetchone()
    number, before = (last[0] + 1, last[1]) if last else (1, "")
    link = digest_of(before, number, what, subject, digest)
    connection.execute(
        "INSERT INTO chain (id, what, subject, digest, link) VALUES (?, ?, ?, ?, ?)",
        (number, what, subject, digest, link),
    )


def append_plan(connection: sqlite3.Connection, number: int, project: str) -> None:
    """Append a link of the plan as its row is now."""
    sql = f"SELECT {_PLAN} FROM orchestration_patterns WHERE id = ? AND project = ?"
    row = connection.execute(sql, (number, project)).fetchone()
    append(connection, PLAN, _plan_name(*row[:2]), digest_of(*row))


def _plan_name(number: Any, project: Any) -> str:
    return f"{number} of {project}" if project else f"{number}"


def seal_audit(connection: sqlite3.Connection) -> None:
    """Give the audit's new rows their links."""
    sealed, link = _sealed(connection, AUDIT) or (0, "")
    number = sealed
    sql = f"SELECT id, {_AUDIT} FROM audit WHERE id > ? ORDER BY id"
    for number, *row in connection.execute(sql, (sealed,)).fetchall():
        link = digest_of(link, number, *row)
        connection.execute("UPDATE audit SET link = ? WHERE id = ?", (link, number))
    _seal(connection, AUDIT, number, link)


def prune_audit(connection: sqlite3.Connection, most: int) -> None:
    """Delete all but the newest `most` rows; keep the last link of the others."""
    sql = "SELECT id, link FROM audit WHERE id <= (SELECT max(id) FROM audit) - ? ORDER BY id DESC"
    if last := connection.execute(f"{sql} LIMIT 1", (most,)).fetchone():
        _seal(connection, PRUNED, *last)
        connection.execute("DELETE FROM audit WHERE id <= ?", (last[0],))


def begin(connection: sqlite3.Connection) -> None:
    """Start the chains of an older database, with the rows that it has."""
    if _sealed(connection, AUDIT) is not None:
        return
    rows = connection.execute("SELECT id, digest FROM decision_history ORDER BY id").fetchall()
    for number, digest in rows:
        append(connection, REPORT, number, digest)
    stored = "SELECT id, project FROM orchestration_patterns WHERE stored = 1 ORDER BY id"
    for number, project in connection.execute(stored).fetchall():
        append_plan(connection, number, project)
    first = connection.execute("SELECT min(id) FROM audit").fetchone()[0]
    _seal(connection, PRUNED, (first or 1) - 1, "")
    seal_audit(connection)


def breaks(connection: sqlite3.Connection) -> Iterator[str]:
    """Sentences on the first break of each chain, and on rows that differ from the chain."""
    decisions: dict[Any, Any] = {}
    plans: dict[Any, Any] = {}
    if broken := _walk(connection, decisions, plans):
        yield broken
        return
    sql = "SELECT id, digest FROM decision_history ORDER BY id"
    yield from _compared("decision", dict(connection.execute(sql)), decisions)
    rows = connection.execute(f"SELECT {_PLAN} FROM orchestration_patterns WHERE stored <> 0")
    yield from _compared(
        "stored pattern", {_plan_name(*row[:2]): digest_of(*row) for row in rows}, plans
    )
    yield from _audit_breaks(connection)


def _walk(connection: sqlite3.Connection, decisions: dict[Any, Any], plans: dict[Any, Any]) -> str:
    """Follow the chain, noting the last digest of each subject; returns where it breaks, or ""."""
    before, reached = "", 0
    for number, what, subject, digest, link in connection.execute(
        "SELECT id, what, subject, digest, link FROM chain ORDER BY id"
    ):
        reached += 1
        if number != reached or link != digest_of(before, number, what, subject, digest):
            return f"the ledger's hash chain breaks at its link {reached} ({what} {subject})"
        before = link
        if what == FORGET:
            decisions.pop(subject, None)
        else:
            (plans if what == PLAN else decisions)[subject] = digest
    ended = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'chain'").fetchone()
    if reached != (ended[0] if ended else 0):
        return f"the ledger's hash chain ends at its link {reached}, of {ended and ended[0]}"
    return ""


def _compared(what: str, rows: dict[Any, Any], chained: dict[Any, Any]) -> Iterator[str]:
    lost = [number for number in chained if number not in rows]
    sentences = [f"{what} {number} was removed, and not by a forget" for number in lost]
    for number, digest in rows.items():
        if number not in chained:
            sentences.append(f"{what} {number} was never reported here")
        elif chained[number] != digest:
            sentences.append(f"{what} {number} is not as it was reported")
    yield from sentences[:MOST_SENTENCES]
    if len(sentences) > MOST_SENTENCES:
        yield f"and {len(sentences) - MOST_SENTENCES:,} more of that kind"


def _audit_breaks(connection: sqlite3.Connection) -> Iterator[str]:
    newest, pruned = _sealed(connection, AUDIT), _sealed(connection, PRUNED)
    if newest is None or pruned is None:
        yield "the audit has lost its seal"
        return
    reached, link = pruned
    for number, *row, stored_link in connection.execute(
        f"SELECT id, {_AUDIT}, link FROM audit ORDER BY id"
    ):
        link = digest_of(link, number, *row)
        if number != reached + 1 or stored_link != link:
            yield f"the audit breaks at its row {reached + 1}"
            return
        reached = number
    if (reached, link) != newest:
        yield f"the audit ends at its row {reached}, of {newest[0]}"


def _sealed(connection: sqlite3.Connection, name: str) -> tuple[int, str] | None:
    row = connection.execute("SELECT number, link FROM seal WHERE name = ?", (name,)).fetchone()
    return (row[0], row[1]) if row and isinstance(row[0], int) else None


def _seal(connection: sqlite3.Connection, name: str, number: int, link: str) -> None:
    sql = "INSERT OR REPLACE INTO seal (name, number, link) VALUES (?, ?, ?)"
    connection.execute(sql, (name, number, link))
