"""The table of locks: holders, tokens, the queue of waiters, and the detection of deadlocks."""

from __future__ import annotations

import hmac
import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple, replace

from ..errors import StaleToken
from ..records import JsonObject
from ..sharing import Fence
from . import statements as sql
from .clock import Clock, iso
from .journal import NUMBERS, Change, keep_answer
from .messages import post
from .resources import is_path, resolve, same_and_above
from .statements import GRANT, HELD, NOTIFY, RELEASE, WAITING, among, below

_CURE = "Acquire the lock again, read anew what it protects, and write with the new token."


class Hold(Struct, frozen=True):
    """One resource of a set, a row of the table. `rev` is the revision of the grant or, while it
    waits, of the call."""

    rev: int
    resource: str
    state: int
    shared: int
    holder: str
    ident: str
    purpose: str
    secret: str
    ttl: int
    ends: int
    since: int
    request: str

    @property
    def token(self) -> str:
        return f"{self.rev}.{self.secret}"

    def covers(self, resource: str) -> bool:
        return self.resource == resource or (
            self.resource.endswith("/") and resource.startswith(self.resource)
        )

    def shown(self, clock: Clock) -> dict[str, Any]:
        return {
            "resource": self.resource,
            "name": self.holder,
            "purpose": self.purpose,
            "since": iso(self.since),
            "until": clock.moment(self.ends),
        }


def new_holds(
    change: Change,
    resources: Iterable[str],
    purpose: str,
    request: str,
    ttl_s: int,
    *,
    state: int = HELD,
    shared: bool = False,
    stays_s: float | None = None,
) -> list[Hold]:
    """One set of the caller's; `stays_s` is how long the rows last, where that is not the lease."""
    ends = change.lease(ttl_s if stays_s is None else stays_s)
    who = change.caller.name, change.caller.who, purpose, secrets.token_urlsafe(16)
    rest = *who, ttl_s * 1000, ends, change.at, request
    return [Hold(change.rev, resource, state, int(shared), *rest) for resource in resources]


def read_holds(connection: sqlite3.Connection, statement: str, *values: object) -> list[Hold]:
    """The rows that a statement selects; the first of `values` is the project."""
    return [Hold(*row) for row in connection.execute(statement, values)]


def holds_on(connection: sqlite3.Connection, project: str, resource: str) -> list[Hold]:
    """The holds of exactly this resource."""
    rows = read_holds(connection, among(sql.HOLDS_ON, 1), project, resource)
    return [row for row in rows if row.state == HELD]


def overlapping(connection: sqlite3.Connection, project: str, resource: str) -> list[Hold]:
    """All holds and waiters of a resource, of what it contains, and of what contains it."""
    same = same_and_above(resource)
    found = read_holds(connection, among(sql.HOLDS_ON, len(same)), project, *same)
    if is_path(resource) and resource.endswith("/"):
        found += read_holds(connection, sql.HOLDS_BELOW, project, *below(resource))
    return found


def held_over(change: Change, resource: str) -> list[Hold]:
    """The overlapping rows that are held."""
    rows = overlapping(change.connection, change.project, resource)
    return [row for row in rows if row.state == HELD]


def blockers(
    change: Change, resources: Iterable[str], shared: bool, before: int | None = None
) -> list[Hold]:
    """The rows that prevent a grant: held, or waiting since before the revision `before`."""
    found: dict[tuple[int, str], Hold] = {}
    for resource in resources:
        for hold in overlapping(change.connection, change.project, resource):
            later = hold.state == WAITING and before is not None and hold.rev >= before
            if hold.state != NOTIFY and not later and not (shared and hold.shared):
                found[hold.rev, hold.resource] = hold
    return list(found.values())


def insert(change: Change, rows: Iterable[Hold]) -> None:
    """Write holds, one row for each resource."""
    change.connection.executemany(sql.ADD_HOLD, [(change.project, *astuple(row)) for row in rows])


def _delete(change: Change, rows: Iterable[Hold]) -> None:
    keys = [(change.project, row.rev, row.resource) for row in rows]
    change.connection.executemany(sql.DELETE_HOLD, keys)


# --- tokens ----------------------------------------------------------------------------------


def _number_of(token: str) -> int:
    """The revision in a token; 0, which none has, for anything else."""
    number = token.partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 17 else 0


def held_by(change: Change, token: str) -> list[Hold]:
    """The set that the token holds. Raises StaleToken if it holds nothing."""
    if not (rows := _held_by(change, token)):
        raise _stale(change, token)
    return rows


def _held_by(change: Change, token: str) -> list[Hold]:
    rows = read_holds(change.connection, sql.HOLDS_OF_SET, change.project, _number_of(token))
    given = token.partition(".")[2].encode()
    return [
        row
        for row in rows
        if row.state == HELD
        and row.ends > change.now
        and hmac.compare_digest(row.secret.encode(), given)
    ]


def check_fences(change: Change, fences: Sequence[Fence]) -> None:
    """Raises StaleToken unless every token holds its resource, or a folder above it, now."""
    for fence in fences:
        resource = resolve(fence.resource, change.caller.tree)
        if not any(hold.covers(resource) for hold in _held_by(change, fence.token)):
            raise _stale(change, fence.token, resource)


def _stale(change: Change, token: str, resource: str = "") -> StaleToken:
    """The error names the present holder. Without `resource`: of what the token once held."""
    if not resource:
        first = _number_of(token) << 10
        asked = (first, first + NUMBERS - 1, change.project)
        row = change.connection.execute(sql.GRANTED, asked).fetchone()
        resource = row[0] if row else ""
    now = held_over(change, resource) if resource else []
    holder, until = (now[0].holder, change.clock.moment(now[0].ends)) if now else (None, None)
    whose = f"{holder} holds it until {until}" if now else "nobody holds it now"
    sentence = f"The token does not hold {resource or 'anything'} any more: {whose}."
    return StaleToken(sentence, _CURE, resource=resource, holder=holder, until=until, next=_CURE)


# --- grant and release -----------------------------------------------------------------------


def grant(change: Change, rows: Sequence[Hold]) -> JsonObject:
    """Write the holds and their events, and answer with their token."""
    insert(change, rows)
    for row in rows:
        _log_event(change, GRANT, row)
    return answer(change, rows[0])


def answer(change: Change, row: Hold, renewed: bool = False) -> JsonObject:
    """The result of a call that got or renewed a lock."""
    return {"token": row.token, "until": change.clock.moment(row.ends), "renewed": renewed}


def _log_event(change: Change, kind: int, row: Hold, cause: str = "") -> None:
    mode = "shared" if row.shared else "exclusive"
    value = {"rev": row.rev, "mode": mode, "holder": row.holder, "purpose": row.purpose}
    change.event(kind, row.resource, value, cause)


def end(change: Change, rows: Sequence[Hold], cause: str) -> None:
    """Remove held or waiting rows, then grant to the waiters that nothing blocks, oldest first."""
    _delete(change, rows)
    waiting: dict[int, set[str]] = defaultdict(set)
    for row in rows:
        if row.state == HELD:
            _log_event(change, RELEASE, row, cause)
        for hold in overlapping(change.connection, change.project, row.resource):
            if hold.state != HELD:
                waiting[hold.rev].add(hold.resource)
    taken: set[str] = set()  # held or waited for by an older set: no younger one can have it
    for rev in sorted(waiting):
        if taken.isdisjoint(waiting[rev]):
            taken |= _grant_or_notify(change, rev)


def _grant_or_notify(change: Change, rev: int) -> set[str]:
    """If nothing blocks the waiting set, grant it, or send the notice that it is free. Returns the
    resources that no younger set may have."""
    found = read_holds(change.connection, sql.HOLDS_OF_SET, change.project, rev)
    rows = [row for row in found if row.state != HELD]
    if not rows or rows[0].ends <= change.now:
        return set()
    resources, first = {row.resource for row in rows}, rows[0]
    if not blockers(change, resources, bool(first.shared), rev):
        _delete(change, rows)
        _grant_waiting(change, rows) if first.state == WAITING else _notify(change, rows)
    return resources if first.state == WAITING and not first.shared else set()


def _grant_waiting(change: Change, rows: Sequence[Hold]) -> None:
    first, rev = rows[0], change.next_revision()
    ends = change.lease(first.ttl / 1000)
    granted = [replace(row, rev=rev, state=HELD, ends=ends, since=change.at) for row in rows]
    keep_answer(change, "lock", first.ident, first.request, grant(change, granted))
    change.topics.append(f"@grant/{first.rev}")


def _notify(change: Change, rows: Sequence[Hold]) -> None:
    names = ", ".join(row.resource for row in rows)
    body = f"{names} is free now. Acquire it if you still need it: others may come first."
    post(change, [rows[0].holder], f"{names[:180]} is free", body)


def find_cycle(change: Change, blocking: Sequence[Hold]) -> list[str]:
    """The names of agents that would wait for each other, from the caller to the caller."""
    own, seen = change.caller, set[str]()
    trails = [(hold, [own.name]) for hold in blocking if hold.ident != own.who]
    for hold, trail in trails:
        trail = [*trail, hold.holder]
        if hold.ident == own.who:
            return trail
        if hold.ident not in seen:
            seen.add(hold.ident)
            trails += [(each, trail) for each in _waits_for(change, hold.ident)]
    return []


def _waits_for(change: Change, ident: str) -> list[Hold]:
    rows = read_holds(change.connection, sql.HOLDS_OF, change.project, ident)
    return [
        hold
        for row in rows
        if row.state == WAITING
        for hold in blockers(change, [row.resource], bool(row.shared), row.rev)
        if hold.ident != ident
    ]
