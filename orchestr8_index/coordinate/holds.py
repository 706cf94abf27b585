"""The rows of locks: who holds what, what a token proves, who gets it next in the order of asking,
and the cycles that nobody may wait in."""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import astuple, replace

from ..errors import StaleToken
from ..sharing import Fence
from . import statements as sql
from .caller import Caller
from .clock import Clock, iso
from .journal import NUMBERS, Change, keep_answer_of
from .messages import post
from .resources import is_path, resolve, same_and_above
from .statements import GRANT, HELD, NOTIFY, RELEASE, WAITING, among, below

Answer = dict[str, Any]
_CURE = "Acquire the lock again, read anew what it protects, and write with the new token."


class Hold(Struct, frozen=True):
    """One resource of a set, a row of the table. `rev` orders: of the grant, or of the call that
    waits."""

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


def holds(
    connection: sqlite3.Connection, statement: str, project: str, *values: object
) -> list[Hold]:
    """What one of the statements on locks finds."""
    return [Hold(*row) for row in connection.execute(statement, (project, *values))]


def holds_on(connection: sqlite3.Connection, project: str, resource: str) -> list[Hold]:
    """Who holds exactly this."""
    rows = holds(connection, among(sql.HOLDS_ON, 1), project, resource)
    return [row for row in rows if row.state == HELD]


def overlapping(connection: sqlite3.Connection, project: str, resource: str) -> list[Hold]:
    """All holds and waiters on a resource, on what is in it, and on what it is in."""
    same = same_and_above(resource)
    found = holds(connection, among(sql.HOLDS_ON, len(same)), project, *same)
    if is_path(resource) and resource.endswith("/"):
        found += holds(connection, sql.HOLDS_BELOW, project, *below(resource))
    return found


def blockers(
    change: Change, resources: Iterable[str], shared: bool, before: int | None = None
) -> list[Hold]:
    """What stands in the way: held, or waited for since before the revision `before`."""
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


def delete(change: Change, rows: Iterable[Hold]) -> None:
    """Remove holds by revision and resource."""
    keys = [(change.project, row.rev, row.resource) for row in rows]
    change.connection.executemany(sql.DELETE_HOLD, keys)


def held_by(change: Change, token: str) -> list[Hold]:
    """The set that the token holds, empty for one that holds nothing (any more)."""
    number, _, secret = token.partition(".")
    if not (number.isascii() and number.isdigit() and len(number) < 17):
        return []
    rows = holds(change.connection, sql.HOLDS_OF_SET, change.project, int(number))
    given = secret.encode()
    return [
        row
        for row in rows
        if row.state == HELD
        and row.ends > change.now
        and hmac.compare_digest(row.secret.encode(), given)
    ]


def check_fences(change: Change, caller: Caller, fences: Sequence[Fence]) -> None:
    """Raises StaleToken unless every token holds its resource, or a folder above it, now."""
    for fence in fences:
        resource = resolve(fence.resource, caller.tree)
        if not any(hold.covers(resource) for hold in held_by(change, fence.token)):
            raise stale(change, fence.token, resource)


def stale(change: Change, token: str, resource: str = "") -> StaleToken:
    """Names who holds it now; without a resource, the one that the token once held."""
    resource = resource or _granted(change, token)
    now = [
        hold
        for hold in (overlapping(change.connection, change.project, resource) if resource else [])
        if hold.state == HELD
    ]
    holder, until = (now[0].holder, change.moment(now[0].ends)) if now else (None, None)
    whose = f"{holder} holds it until {until}" if now else "nobody holds it now"
    sentence = f"The token does not hold {resource or 'anything'} any more: {whose}."
    return StaleToken(sentence, _CURE, resource=resource, holder=holder, until=until, next=_CURE)


def _granted(change: Change, token: str) -> str:
    number = token.partition(".")[0]
    if not (number.isascii() and number.isdigit() and len(number) < 17):
        return ""
    first = int(number) << 10
    asked = (first, first + NUMBERS - 1, change.project)
    row = change.connection.execute(sql.GRANTED, asked).fetchone()
    return row[0] if row else ""


def grant(change: Change, rows: Sequence[Hold]) -> Answer:
    """Write the holds, tell of each, and answer with their token."""
    insert(change, rows)
    for row in rows:
        _tell(change, GRANT, row)
    return answer(change, rows[0])


def answer(change: Change, row: Hold, renewed: bool = False) -> Answer:
    """What the holder of a lock is told."""
    return {"token": row.token, "until": change.moment(row.ends), "renewed": renewed}


def _tell(change: Change, kind: int, row: Hold, cause: str = "") -> None:
    mode = "shared" if row.shared else "exclusive"
    value = {"rev": row.rev, "mode": mode, "holder": row.holder, "purpose": row.purpose}
    change.event(kind, row.resource, msgspec.json.encode(value).decode(), cause)


def end(change: Change, rows: Sequence[Hold], cause: str) -> None:
    """Remove held or waiting rows, then grant to those who can go on now."""
    delete(change, rows)
    for row in rows:
        if row.state == HELD:
            _tell(change, RELEASE, row, cause)
    advance(change, [row.resource for row in rows])


def advance(change: Change, freed: Iterable[str]) -> None:
    """Grant in the order of asking; what an older one waits for is not given to a younger."""
    waiting: dict[int, list[Hold]] = {}
    for resource in freed:
        for hold in overlapping(change.connection, change.project, resource):
            if hold.state != HELD:
                waiting.setdefault(hold.rev, []).append(hold)
    taken: set[str] = set()
    for rev in sorted(waiting):
        if not any(hold.resource in taken for hold in waiting[rev]):
            _try(change, rev, taken)


def _try(change: Change, rev: int, taken: set[str]) -> None:
    found = holds(change.connection, sql.HOLDS_OF_SET, change.project, rev)
    rows = [row for row in found if row.state != HELD]
    if not rows or rows[0].ends <= change.now:
        return
    if not blockers(change, [row.resource for row in rows], bool(rows[0].shared), rev):
        delete(change, rows)
        _grant_waiting(change, rows) if rows[0].state == WAITING else _notify(change, rows)
    if rows[0].state == WAITING and not rows[0].shared:
        taken.update(row.resource for row in rows)


def _grant_waiting(change: Change, rows: Sequence[Hold]) -> None:
    rev, ends = change.next_revision(), change.lease(rows[0].ttl / 1000)
    granted = [replace(row, rev=rev, state=HELD, ends=ends, since=change.at) for row in rows]
    given = grant(change, granted)
    keep_answer_of(change, "lock", rows[0].ident, rows[0].request, given)
    change.topics.append(f"@grant/{rows[0].rev}")


def _notify(change: Change, rows: Sequence[Hold]) -> None:
    names = ", ".join(row.resource for row in rows)
    body = f"{names} is free now. Acquire it if you still need it: others may come first."
    post(change, [rows[0].holder], f"{names[:180]} is free", body)


def find_cycle(change: Change, caller: Caller, blocking: Sequence[Hold]) -> list[str]:
    """The agents that would wait for each other, beginning and ending with the caller."""
    seen: set[str] = set()

    def walk(hold: Hold, trail: list[str]) -> list[str]:
        trail = [*trail, hold.holder]
        if hold.ident == caller.who:
            return trail
        if hold.ident in seen:
            return []
        seen.add(hold.ident)
        found = (walk(next_one, trail) for next_one in _waits_for(change, hold.ident))
        return next((cycle for cycle in found if cycle), [])

    others = (hold for hold in blocking if hold.ident != caller.who)
    cycles = (walk(hold, [caller.name]) for hold in others)
    return next((cycle for cycle in cycles if cycle), [])


def _waits_for(change: Change, ident: str) -> list[Hold]:
    rows = holds(change.connection, sql.HOLDS_OF, change.project, ident)
    return [
        hold
        for row in rows
        if row.state == WAITING
        for hold in blockers(change, [row.resource], bool(row.shared), row.rev)
        if hold.ident != ident
    ]
