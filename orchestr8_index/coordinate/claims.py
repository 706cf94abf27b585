"""Claims: files that an agent edits are its own, though it never asked for a lock.

A host's hooks call these for every tool use. A claim is a lock of the table, owned by who the hook
says it is; `ident` of such a caller is `SESSION/AGENT`, with no agent for the session itself. What
an agent changed is its uncommitted work until git shows the file clean.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ..memo import Newest
from . import statements as sql
from .caller import Caller
from .clock import iso
from .holds import Hold, end, grant, holds, holds_on, overlapping
from .journal import Change
from .messages import post
from .repository import tree_of, worktrees
from .resources import resolve
from .statements import CLAIM, HELD, below
from .work import (
    belonging,
    forget,
    keep_work,
    note_work,
    session_of,
    works_beside,
    works_of,
    works_of_others,
    works_on,
)

Policy = Literal["deny", "warn", "off"]
TTL_S = 900  # more than a host's longest tool call
RENEW_MS = 60_000
MOST_TOLD = 10_000
MOST_BESIDE = 1 << 30
_CURE = "Work on something else; before you wait, commit what you have and send them a message."


class Verdict(Struct, frozen=True):
    """`reason` is for the model that was denied, `context` for one that goes on; "" is silence."""

    denied: bool = False
    reason: str = ""
    context: str = ""


class Told:
    """Who was told what: each thing once."""

    def __init__(self) -> None:
        self._told: Newest[tuple[str, ...], None] = Newest(MOST_TOLD)

    def first(self, *what: str) -> bool:
        if what in self._told:
            return False
        self._told[what] = None
        return True


def claim(
    change: Change,
    caller: Caller,
    path: str,
    purpose: str,
    policy: Policy,
    told: Told,
    stashed: Collection[str] = (),
) -> Verdict:
    """Before an edit: claim the file, or say who has it. `stashed` are sessions that may have
    their work on it in the stash of git."""
    resource = resolve(path, caller.tree)
    for work in works_of_others(change.connection, caller, resource):
        session = session_of(work.ident)
        if work.written and session in stashed and _lives(change, session):
            what = f"{resource} lies in the stash of {work.name}, and could not come back after"
            return Verdict(True, f"{what} an edit. {_CURE}")
    rows = [
        row for row in overlapping(change.connection, change.project, resource) if not row.state
    ]
    others = [row for row in rows if row.ident != caller.who and not _takes_over(caller, row)]
    if others:
        return _held_by_others(change, caller, others[0], policy, told)
    for row in rows:
        if row.ident != caller.who:
            _hand_over(change, caller, row)
    if rows:
        renew(change, caller)
    else:
        grant(change, [_row(change, caller, resource, purpose)])
    note_work(change, caller, resource)
    return _elsewhere(change, caller, resource, told)


def _lives(change: Change, session: str) -> bool:
    """Whether the session, or an agent of it, has a claim."""
    rows = holds(change.connection, sql.HOLDS_OF_SESSION, change.project, *below(f"{session}/"))
    return any(row.request == CLAIM for row in rows)


def _takes_over(caller: Caller, row: Hold) -> bool:
    """A subagent may edit what its own session claimed."""
    return row.request == CLAIM and row.ident == f"{session_of(caller.who)}/"


def _hand_over(change: Change, caller: Caller, row: Hold) -> None:
    now = (caller.who, caller.name, change.lease(TTL_S), change.project, row.rev, row.resource)
    change.connection.execute(sql.HAND_OVER, now)


def _row(change: Change, caller: Caller, resource: str, purpose: str) -> Hold:
    from secrets import token_urlsafe

    ends = change.lease(TTL_S)
    fixed = (change.rev, resource, HELD, 0, caller.name, caller.who, purpose[:200])
    return Hold(*fixed, token_urlsafe(16), TTL_S * 1000, ends, change.at, CLAIM)


def _held_by_others(
    change: Change, caller: Caller, row: Hold, policy: Policy, told: Told
) -> Verdict:
    words = row.purpose.replace('"', "'")
    what = f', for "{words}" (their words)' if words else ""
    ago, left = (ms // 60_000 for ms in (change.at - row.since, row.ends - change.now))
    begun = f"since {iso(row.since)[11:16]} UTC ({max(0, ago)} min ago)"
    held = f"{row.resource} is being edited by {row.holder}{what}, {begun}"
    if policy == "deny":
        silent = f"{change.clock.moment(row.ends)[11:16]} UTC (in {max(0, left)} min)"
        until = f"until they commit it or stop, or until {silent} if they fall silent"
        return Verdict(True, f"{held}, {until}. {_CURE}")
    note_work(change, caller, resolve(row.resource, ""))
    if not told.first("beside", caller.who, row.ident, row.resource):
        return Verdict()
    body = f"{caller.name} edits {row.resource} too, which you have claimed."
    post(change, [row.holder], "", body)
    cure = "Both edits go on: see that theirs is still there, and agree who does what from now on."
    return Verdict(context=f"{held}. {cure}")


def _elsewhere(change: Change, caller: Caller, resource: str, told: Told) -> Verdict:
    """The same file in another worktree of the repository is another file: noted, once."""
    own = tree_of(os.path.dirname(resource))
    inside = os.path.relpath(resource, own)
    for tree in worktrees(own):
        if tree == own:
            continue
        for row in overlapping(change.connection, change.project, os.path.join(tree, inside)):
            foreign = row.state == HELD and session_of(row.ident) != session_of(caller.who)
            if foreign and told.first("elsewhere", caller.who, row.ident, row.resource):
                note = f"{row.holder} edits the same file in another worktree: {row.resource}."
                return Verdict(context=f"{note} Expect a merge.")
    return Verdict()


def renew(change: Change, caller: Caller) -> None:
    """At every tool use; written at most once a minute."""
    soon = change.now + TTL_S * 1000 - RENEW_MS
    asked = (change.lease(TTL_S), change.project, caller.who, soon)
    change.connection.execute(sql.RENEW_CLAIMS, asked)


def needs_renewal(connection: sqlite3.Connection, caller: Caller, now: int) -> bool:
    """Whether a claim of the agent was renewed a minute ago or longer."""
    soon = now + TTL_S * 1000 - RENEW_MS
    asked = (caller.project, caller.who, soon)
    return connection.execute(sql.CLAIM_ENDING, asked).fetchone() is not None


def is_claimed(connection: sqlite3.Connection, caller: Caller, path: str, now: int) -> bool:
    """Whether the claim stands, is fresh and its work noted: then nothing is written for it."""
    resource = resolve(path, caller.tree)
    soon = now + TTL_S * 1000 - RENEW_MS
    rows = holds_on(connection, caller.project, resource)
    return any(row.ident == caller.who and row.ends >= soon for row in rows)


def leave(change: Change, caller: Caller, with_agents: bool = False) -> int:
    """The agent ends, or with `with_agents` the session and all its agents; how many claims."""
    session = session_of(caller.who)
    found = holds(change.connection, sql.HOLDS_OF_SESSION, change.project, *below(f"{session}/"))
    rows = [row for row in found if row.request == CLAIM]
    rows = [row for row in rows if with_agents or row.ident == caller.who]
    end(change, rows, "released")
    for path, works in works_of(change.connection, change.project, session).items():
        for work in works:
            if not work.written and (with_agents or work.ident == caller.who):
                # nobody knows, until git shows the file clean
                keep_work(change, path, replace(work, written=True))
    return len(rows)


def note_edit(change: Change, caller: Caller, path: str) -> None:
    """After an edit: note what the agent changed."""
    note_work(change, caller, resolve(path, caller.tree), written=True)


def forget_clean(
    change: Change,
    clean: Iterable[str],
    committed: str = "",
    stashed: Collection[str] = (),
) -> None:
    """Work on files that git shows clean is done, unless its agent still has the file, was about to
    write a moment ago, or its session has `stashed`.

    Who has just `committed` is sure of its session's, and leaves what it wrote itself to others.
    """
    own = session_of(committed)
    for path in clean:
        works = works_on(change.connection, change.project, path)
        rows = holds_on(change.connection, change.project, path)
        busy = {row.ident for row in rows}
        for work in works:
            session = session_of(work.ident)
            soon = not work.written and change.at - work.at < TTL_S * 1000
            kept = soon or work.ident in busy or session in stashed
            if (committed and session == own) or not kept:
                forget(change, path, work)
        if any(work.ident == committed and work.written for work in works):
            done = [row for row in rows if row.ident == committed and row.request == CLAIM]
            end(change, done, "released")


def leave_clean(change: Change, caller: Caller, path: str, stashed: Collection[str]) -> None:
    """A file that git has as others wrote it is theirs no more, unless they have `stashed`."""
    works = [
        work
        for work in works_of_others(change.connection, caller, path)
        if work.written and session_of(work.ident) not in stashed
    ]
    for work in works:
        forget(change, path, work)
    done, rows = {work.ident for work in works}, holds_on(change.connection, change.project, path)
    end(change, [row for row in rows if row.ident in done and row.request == CLAIM], "released")


def beside(
    connection: sqlite3.Connection,
    caller: Caller,
    tree: str = "",
    places: Sequence[str] = (),
    taking: bool = False,
    most: int = MOST_BESIDE,
) -> dict[str, str]:
    """What others claimed or changed in `places` of a tree, else in all of the caller's: who has
    it, by path; at most so many.

    A session and its own agents are not others to each other: they commit together. A file that
    several changed is whose claim it is; without one, each may commit it, else nobody could. For a
    command that is `taking` files away, such a file is the others'.
    """
    tree, own = tree or caller.tree, session_of(caller.who)
    claimed, changed = dict[str, str](), dict[str, str]()
    for place in places or (tree,):
        bare = place.rstrip("/")  # and what lies below it, not what only begins alike
        bounds = bare, f"{bare}0", bare, f"{bare}/"
        asked = caller.project, *bounds, *below(f"{own}/"), most
        claimed |= dict(connection.execute(sql.CLAIMS_BESIDE, asked).fetchall())
        left = max(0, most - len(claimed))
        changed |= works_beside(connection, caller.project, own, place, left)
    if changed and not taking:
        for path in own_files(connection, caller, tree, places, written=True):
            changed.pop(path, None)
    is_own = belonging(tree)
    return {path: name for path, name in (changed | claimed).items() if is_own(path)}


def own_files(
    connection: sqlite3.Connection,
    caller: Caller,
    tree: str = "",
    places: Sequence[str] = (),
    written: bool = False,
) -> list[str]:
    """What the caller's session has changed there, or, unless it must be `written`, is about to."""
    tree, own = tree or caller.tree, session_of(caller.who)
    is_own = belonging(tree)
    return [
        path
        for place in places or (tree,)
        for path, works in works_of(connection, caller.project, own, place).items()
        if is_own(path) and (not written or any(work.written for work in works))
    ]
