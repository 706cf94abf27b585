"""Locks: sets of resources, granted all at once, in the order of the calls, with lease and token.

A token is `REV.SECRET`: the revision is the fencing token, the secret proves ownership. Whoever
shows it holds the lock, under any name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from ..errors import Busy, InvalidParams, WouldDeadlock
from ..records import JsonObject
from ..sharing import BreakLock, LockResources
from . import holds
from . import statements as sql
from .caller import Caller
from .clock import Clock
from .holds import Hold
from .journal import Change
from .messages import post
from .resources import overlaps, resolve
from .statements import CLAIM, HELD, NOTIFY, WAITING

GRACE_S = 60  # for which a waiter keeps its place after its call ended
NOTIFY_S = 86_400
MOST_NAMED = 20


class Queued(Struct, frozen=True):
    """A call that waits: `rev` is its place in the queue, and `request` the key of its answer."""

    rev: int
    request: str


def lock(change: Change, params: LockResources) -> JsonObject | Queued:
    """Acquire, renew or release. Raises Busy, WouldDeadlock, StaleToken, InvalidParams."""
    if params.action == "release" and params.request_id and not params.token:
        return abandon(change, params.request_id)
    wanted = _resolve_all(params.resources, change.caller)
    if params.action == "acquire" and not params.token:
        return _acquire(change, params, wanted)
    if not params.token:
        raise InvalidParams({"token": f"{params.action} needs the token of the lock"})
    rows = holds.held_by(change, params.token)
    if params.action == "release":
        chosen = [row for row in rows if not wanted or row.resource in wanted]
        holds.end(change, chosen, "released")
        return _released(change, params.token)
    return _renew(change, params, rows, wanted)


def _resolve_all(resources: Sequence[str], caller: Caller) -> list[str]:
    return sorted({resolve(each, caller.tree) for each in resources})


def _released(change: Change, token: str = "") -> JsonObject:
    return {"token": token, "until": change.clock.moment(change.now), "renewed": False}


def _renew(
    change: Change, params: LockResources, rows: Sequence[Hold], wanted: Sequence[str]
) -> JsonObject:
    if strange := [each for each in wanted if not any(row.covers(each) for row in rows)]:
        why = f"the token does not hold {strange[0]}: acquire it with a call of its own"
        raise InvalidParams({"resources": why})
    ends = change.lease(params.ttl_s)
    of_set = (change.project, rows[0].rev, rows[0].secret)
    change.connection.execute(sql.RENEW, (ends, params.ttl_s * 1000, *of_set))
    return holds.answer(change, replace(rows[0], ends=ends), renewed=True)


def _acquire(change: Change, params: LockResources, wanted: Sequence[str]) -> JsonObject | Queued:
    if not wanted:
        raise InvalidParams({"resources": "name at least one"})
    if waiting := [row for row in _requested(change, params.request_id) if row.state == WAITING]:
        _keep_place(change, waiting[0].rev, params.wait_ms)  # an earlier call kept its place
        return Queued(waiting[0].rev, params.request_id)
    found = holds.blockers(change, wanted, params.mode == "shared")
    own = [row for row in found if row.request == CLAIM and row.ident == change.caller.ident]
    if blocking := [row for row in found if row not in own and not _waits_behind(row, own)]:
        return _refuse_or_wait(change, params, wanted, blocking)
    granted = holds.grant(change, _rows(change, params, wanted))
    holds.end(change, own, "released")
    return granted


def _waits_behind(hold: Hold, own: Sequence[Hold]) -> bool:
    """Whether it waits for a resource that the caller's own claim holds."""
    return hold.state == WAITING and any(overlaps(hold.resource, each.resource) for each in own)


def _requested(change: Change, request: str) -> list[Hold]:
    """The rows of the caller's that belong to that request, held or waiting."""
    if not request:
        return []
    rows = holds.read_holds(change.connection, sql.HOLDS_OF, change.project, change.caller.who)
    return [row for row in rows if row.request == request]


def _keep_place(change: Change, rev: int, wait_ms: int) -> None:
    ends = change.lease(wait_ms / 1000 + GRACE_S)
    change.connection.execute(sql.STAY, (ends, change.project, rev))


def _rows(
    change: Change, params: LockResources, wanted: Sequence[str], state: int = HELD
) -> list[Hold]:
    stays = {HELD: params.ttl_s, WAITING: params.wait_ms / 1000 + GRACE_S, NOTIFY: NOTIFY_S}
    request = params.request_id or f"~{change.rev}"
    return holds.new_holds(
        change,
        wanted,
        params.purpose,
        request,
        params.ttl_s,
        state=state,
        shared=params.mode == "shared",
        stays_s=stays[state],
    )


def _refuse_or_wait(
    change: Change, params: LockResources, wanted: Sequence[str], blocking: Sequence[Hold]
) -> Queued:
    if params.on_busy == "wait":
        if cycle := holds.find_cycle(change, blocking):
            names = " waits for ".join(cycle)
            raise WouldDeadlock(f"Waiting would never end: {names}.", cycle=cycle)
        rows = _rows(change, params, wanted, WAITING)
        holds.insert(change, rows)
        return Queued(change.rev, rows[0].request)
    cure = Busy.cure
    if params.on_busy == "notify":
        holds.insert(change, _rows(change, params, wanted, NOTIFY))
        cure = "A message comes into your inbox when it is free; acquire it then."
    raise _busy(change, blocking, cure)


def _busy(change: Change, blocking: Sequence[Hold], cure: str = Busy.cure) -> Busy:
    held = [hold for hold in blocking if hold.state == HELD]
    ahead = len({hold.rev for hold in blocking if hold.state == WAITING})
    first = (held or list(blocking))[0]
    what = f", for {first.purpose}" if first.purpose else ""
    until = change.clock.moment(first.ends)
    sentence = f"{first.resource} is held by {first.holder}{what}, until {until}."
    if not held:
        sentence = f"{first.holder} waits for {first.resource} and comes first."
    named = [hold.shown(change.clock) for hold in held[:MOST_NAMED]]
    return Busy(sentence, cure, holders=named, place=ahead + 1, next=cure)


def leave(change: Change, queued: Queued, keep: bool) -> Busy | None:
    """End the wait of a call. Returns its error, or None if it was granted meanwhile."""
    found = holds.read_holds(change.connection, sql.HOLDS_OF_SET, change.project, queued.rev)
    rows = [row for row in found if row.state == WAITING]
    if not rows:
        return None
    resources = [row.resource for row in rows]
    blocking = holds.blockers(change, resources, bool(rows[0].shared), queued.rev) or rows
    if not keep:
        holds.end(change, rows, "")
        return _busy(change, blocking)
    _keep_place(change, queued.rev, 0)
    cure = "Call again with the same request_id within 60 s to keep your place."
    return _busy(change, blocking, cure)


def abandon(change: Change, request: str) -> JsonObject:
    """The client is gone: end the wait of its request, and release what was granted to it."""
    holds.end(change, _requested(change, request), "released")
    return _released(change)


def break_lock(change: Change, params: BreakLock) -> JsonObject:
    """End every lock that overlaps the resource and message its holders. Waiters stay."""
    rows = holds.held_over(change, resolve(params.resource, change.caller.tree))
    holds.end(change, rows, f"broken: {params.reason}")
    for holder in sorted({row.holder for row in rows}):
        lost, by = ", ".join(row.resource for row in rows if row.holder == holder), change.caller
        body = f"{by.name} broke your lock on {lost}: {params.reason}. Your token is stale."
        post(change, [holder], f"Your lock on {lost[:170]} was broken", body)
    return {"broken": [hold.shown(change.clock) for hold in rows], "rev": change.rev}


def list_locks(
    connection: sqlite3.Connection, clock: Clock, caller: Caller, resources: Sequence[str]
) -> JsonObject:
    """All locks, or those that overlap `resources`; of a token only the revision is shown."""
    found = holds.read_holds(connection, sql.HOLDS, caller.project)
    if wanted := _resolve_all(resources, caller):
        found = [
            each for one in wanted for each in holds.overlapping(connection, caller.project, one)
        ]
    rows = {(hold.rev, hold.resource): hold for hold in found}.values()
    waiting = [hold for hold in rows if hold.state == WAITING]
    held = (hold for hold in rows if hold.state == HELD and hold.ends > clock.now())
    return {"locks": [_listed(hold, waiting, clock) for hold in held]}


def _listed(hold: Hold, waiting: Sequence[Hold], clock: Clock) -> JsonObject:
    shown = hold.shown(clock)
    names = [each.holder for each in waiting if overlaps(each.resource, hold.resource)]
    return {
        "resource": hold.resource,
        "mode": "shared" if hold.shared else "exclusive",
        "holder": shown["name"],
        "purpose": hold.purpose,
        "since": shown["since"],
        "until": shown["until"],
        "rev": hold.rev,
        "waiting": names,
    }
