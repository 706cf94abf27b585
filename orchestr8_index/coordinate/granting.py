"""Who gets a lock next: granting in the order of asking, and the cycles that nobody may wait in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from . import statements as sql
from .caller import Caller
from .holds import Hold, blockers, delete, holds, insert, overlapping
from .journal import Change, keep_answer_of
from .messages import post
from .statements import GRANT, HELD, RELEASE, WAITING

Answer = dict[str, Any]


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
    told = {"rev": row.rev, "mode": mode, "holder": row.holder, "purpose": row.purpose}
    change.event(kind, row.resource, msgspec.json.encode(told).decode(), cause)


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
