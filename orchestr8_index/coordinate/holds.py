"""The rows of locks: who holds what, who waits for it, and what a token proves."""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple

from ..errors import StaleToken
from ..sharing import Fence
from . import statements as sql
from .caller import Caller
from .clock import Clock, iso
from .journal import Change
from .resources import is_path, resolve, same_and_above
from .revisions import NUMBERS
from .statements import HELD, NOTIFY, WAITING, among, below

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


def holding(connection: sqlite3.Connection, project: str, resource: str) -> list[Hold]:
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
