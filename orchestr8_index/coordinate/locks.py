"""Locks: sets of resources, granted whole, in the order of asking, with a lease and a token.

A token is `REV.SECRET`: the revision of the grant orders and fences, the secret proves. Whoever
shows it holds the lock, whatever they are called.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ..errors import Busy, InvalidParams, WouldDeadlock
from ..sharing import BreakLock, LockResources
from . import statements as sql
from .caller import Caller
from .clock import Clock
from .holds import (
    Answer,
    Hold,
    answer,
    blockers,
    end,
    find_cycle,
    grant,
    held_by,
    holds,
    insert,
    overlapping,
    stale,
)
from .journal import Change
from .messages import post
from .resources import overlaps, resolve
from .statements import CLAIM, HELD, NOTIFY, WAITING

GRACE_MS = 60_000  # for which a waiter keeps its place after its call ended
NOTIFY_MS = 86_400_000
MOST_NAMED = 20


class Queued(Struct, frozen=True):
    """A call that waits: `rev` is its place; `request` is where the grant leaves its answer."""

    rev: int
    request: str


def lock(change: Change, caller: Caller, params: LockResources) -> Answer | Queued:
    """acquire, renew and release. Raises Busy, WouldDeadlock, StaleToken, InvalidParams."""
    if params.action == "acquire":
        return acquire(change, caller, params)
    if params.action == "release" and params.request_id and not params.token:
        return abandon(change, caller, params.request_id)
    if not params.token:
        raise InvalidParams({"token": f"{params.action} needs the token of the lock"})
    if params.action == "renew":
        return renew(change, params, _resolve_all(params.resources, caller))
    return release(change, caller, params)


def acquire(change: Change, caller: Caller, params: LockResources) -> Answer | Queued:
    wanted = _resolve_all(params.resources, caller)
    if params.token:
        return renew(change, params, wanted)
    if not wanted:
        raise InvalidParams({"resources": "name at least one"})
    if params.request_id and (mine := _queued(change, caller, params.request_id, params.wait_ms)):
        return mine
    found = blockers(change, wanted, params.mode == "shared")
    own = [hold for hold in found if hold.request == CLAIM and hold.ident == caller.ident]
    blocking = [hold for hold in found if hold not in own and not _behind(hold, own)]
    if not blocking:
        granted = grant(change, _rows(change, caller, params, wanted, HELD))
        end(change, own, "released")
        return granted
    return _refuse_or_wait(change, caller, params, wanted, blocking)


def _behind(hold: Hold, own: Sequence[Hold]) -> bool:
    """Whether it waits for what the caller's own claim holds."""
    return hold.state == WAITING and any(overlaps(hold.resource, each.resource) for each in own)


def _resolve_all(resources: Sequence[str], caller: Caller) -> list[str]:
    return sorted({resolve(each, caller.tree) for each in resources})


def _queued(change: Change, caller: Caller, request: str, wait_ms: int) -> Queued | None:
    """The place that an earlier call of the same request has kept."""
    rows = [row for row in _asked(change, caller, request) if row.state == WAITING]
    if rows:
        _stay(change, rows[0].rev, wait_ms)
    return Queued(rows[0].rev, request) if rows else None


def _asked(change: Change, caller: Caller, request: str) -> list[Hold]:
    """What the caller holds or waits for by that request."""
    rows = holds(change.connection, sql.HOLDS_OF, change.project, caller.who)
    return [row for row in rows if row.request == request]


def _stay(change: Change, rev: int, wait_ms: int) -> None:
    ends = change.lease((wait_ms + GRACE_MS) / 1000)
    change.connection.execute(sql.STAY, (ends, change.project, rev))


def _rows(
    change: Change, caller: Caller, params: LockResources, wanted: Iterable[str], state: int
) -> list[Hold]:
    ttl = params.ttl_s * 1000
    stays = {HELD: ttl, WAITING: params.wait_ms + GRACE_MS, NOTIFY: NOTIFY_MS}[state]
    row = Hold(
        rev=change.rev,
        resource="",
        state=state,
        shared=int(params.mode == "shared"),
        holder=caller.name,
        ident=caller.who,
        purpose=params.purpose,
        secret=secrets.token_urlsafe(16),
        ttl=ttl,
        ends=change.lease(stays / 1000),
        since=change.at,
        request=params.request_id or f"~{change.rev}",
    )
    return [replace(row, resource=resource) for resource in wanted]


def _refuse_or_wait(
    change: Change,
    caller: Caller,
    params: LockResources,
    wanted: Sequence[str],
    blocking: Sequence[Hold],
) -> Queued:
    if params.on_busy == "wait":
        if cycle := find_cycle(change, caller, blocking):
            names = " waits for ".join(cycle)
            raise WouldDeadlock(f"Waiting would never end: {names}.", cycle=cycle)
        rows = _rows(change, caller, params, wanted, WAITING)
        insert(change, rows)
        return Queued(change.rev, rows[0].request)
    if params.on_busy == "notify":
        insert(change, _rows(change, caller, params, wanted, NOTIFY))
        cure = "A message comes into your inbox when it is free; acquire it then."
        raise busy(change, blocking, cure)
    raise busy(change, blocking)


def busy(change: Change, blocking: Sequence[Hold], cure: str | None = None) -> Busy:
    held = [hold for hold in blocking if hold.state == HELD]
    ahead = len({hold.rev for hold in blocking if hold.state == WAITING})
    first = (held or list(blocking))[0]
    what = f", for {first.purpose}" if first.purpose else ""
    until = change.moment(first.ends)
    sentence = f"{first.resource} is held by {first.holder}{what}, until {until}."
    if not held:
        sentence = f"{first.holder} waits for {first.resource} and comes first."
    cure = Busy.cure if cure is None else cure
    named = [hold.shown(change.clock) for hold in held[:MOST_NAMED]]
    return Busy(sentence, cure, holders=named, place=ahead + 1, next=cure)


def renew(change: Change, params: LockResources, wanted: Sequence[str]) -> Answer:
    """Raises StaleToken; InvalidParams for a resource that the token does not hold."""
    rows = held_by(change, params.token)
    if not rows:
        raise stale(change, params.token)
    if strange := [each for each in wanted if not any(row.covers(each) for row in rows)]:
        why = f"the token does not hold {strange[0]}: acquire it with a call of its own"
        raise InvalidParams({"resources": why})
    ends = change.lease(params.ttl_s)
    of_set = (change.project, rows[0].rev, rows[0].secret)
    change.connection.execute(sql.RENEW, (ends, params.ttl_s * 1000, *of_set))
    return answer(change, replace(rows[0], ends=ends), renewed=True)


def release(change: Change, caller: Caller, params: LockResources) -> Answer:
    """Release the set of the token, or those of `resources` alone. Raises StaleToken."""
    rows = held_by(change, params.token)
    if not rows:
        raise stale(change, params.token)
    wanted = _resolve_all(params.resources, caller)
    chosen = [row for row in rows if not wanted or row.resource in wanted]
    end(change, chosen, "released")
    return {"token": params.token, "until": change.moment(change.now), "renewed": False}


def leave(change: Change, queued: Queued, keep: bool) -> Busy | None:
    """A waiting call ends. Returns why it has nothing, or None if it was granted meanwhile."""
    found = holds(change.connection, sql.HOLDS_OF_SET, change.project, queued.rev)
    rows = [row for row in found if row.state == WAITING]
    if not rows:
        return None
    shared, resources = bool(rows[0].shared), [row.resource for row in rows]
    blocking = blockers(change, resources, shared, queued.rev)
    if not keep:
        end(change, rows, "")
        return busy(change, blocking or rows)
    _stay(change, queued.rev, 0)
    cure = "Call again with the same request_id within 60 s to keep your place."
    return busy(change, blocking or rows, cure)


def abandon(change: Change, caller: Caller, request: str) -> Answer:
    """Nobody listens for the answer any more: neither wait for the set nor hold it."""
    end(change, _asked(change, caller, request), "released")
    return {"token": "", "until": change.moment(change.now), "renewed": False}


def break_lock(change: Change, caller: Caller, params: BreakLock) -> Answer:
    """End every lock that overlaps the resource; their holders are told. Waiters go on."""
    resource = resolve(params.resource, caller.tree)
    rows = [
        hold
        for hold in overlapping(change.connection, change.project, resource)
        if hold.state == HELD
    ]
    end(change, rows, f"broken: {params.reason}")
    for holder in sorted({row.holder for row in rows}):
        lost = ", ".join(row.resource for row in rows if row.holder == holder)
        body = f"{caller.name} broke your lock on {lost}: {params.reason}. Your token is stale."
        post(change, [holder], f"Your lock on {lost[:170]} was broken", body)
    return {"broken": [hold.shown(change.clock) for hold in rows], "rev": change.rev}


def list_locks(
    connection: sqlite3.Connection, clock: Clock, caller: Caller, resources: Sequence[str]
) -> Answer:
    """All that is held, or what overlaps `resources`; tokens are shown as their number alone."""
    wanted = _resolve_all(resources, caller)
    found = {
        (hold.rev, hold.resource): hold
        for each in wanted
        for hold in overlapping(connection, caller.project, each)
    }
    if not wanted:
        rows = holds(connection, sql.HOLDS, caller.project)
        found = {(hold.rev, hold.resource): hold for hold in rows}
    waiting = [hold for hold in found.values() if hold.state == WAITING]
    held = (hold for hold in found.values() if hold.state == HELD and hold.ends > clock.now())
    return {"locks": [_listed(hold, waiting, clock) for hold in held]}


def _listed(hold: Hold, waiting: Sequence[Hold], clock: Clock) -> Answer:
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
