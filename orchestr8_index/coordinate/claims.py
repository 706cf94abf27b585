"""Claims: a file that an agent edits is locked for it automatically, by its host's hooks.

A claim is a row of the table of locks. `ident` of its holder is `SESSION/AGENT`, or `SESSION/` for
the session itself. What an agent changed stays noted as its edit until git shows the file clean.
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
from .caller import Caller, session_of
from .clock import iso
from .edits import (
    editors_beside,
    edits_of_file,
    edits_of_others,
    edits_of_session,
    forget_edit,
    in_tree,
    note_edit,
    save_edit,
)
from .holds import Hold, end, grant, held_over, holds_on, new_holds, read_holds
from .journal import Change
from .messages import post
from .repository import tree_of, worktrees
from .statements import CLAIM, below

Policy = Literal["deny", "warn", "off"]
TTL_S = 900  # more than a host's longest tool call
RENEW_MS = 60_000
MOST_NOTICES, MOST_BESIDE = 10_000, 1 << 30
_CURE = "Work on something else; before you wait, commit what you have and send them a message."


class Verdict(Struct, frozen=True):
    """`reason` is for the model that is denied, `context` for one that goes on; "" is silence."""

    reason: str = ""
    context: str = ""


class Notified:
    """The notices that agents were given: each is given once."""

    def __init__(self) -> None:
        self._notices: Newest[tuple[str, ...], None] = Newest(MOST_NOTICES)

    def first(self, *notice: str) -> bool:
        is_new = notice not in self._notices
        if is_new:
            self._notices[notice] = None
        return is_new


def claim(
    change: Change,
    resource: str,
    purpose: str,
    policy: Policy,
    notified: Notified,
    stashed: Collection[str] = (),
) -> Verdict:
    """Before an edit: claim the file, or say who holds it. `stashed` are the sessions whose edits
    of it may lie in git's stash."""
    who = change.caller
    for edit in edits_of_others(change.connection, who, resource):
        session = session_of(edit.ident)
        if edit.written and session in stashed and _claims_of(change, session):
            what = f"{resource} lies in the stash of {edit.name}, and could not come back after"
            return Verdict(f"{what} an edit. {_CURE}")
    rows = held_over(change, resource)
    theirs = [row for row in rows if row.ident != who.who and not _may_take_over(who, row)]
    if theirs:
        return _held_by_others(change, theirs[0], policy, notified)
    for row in rows:
        if row.ident != who.who:
            now = (who.who, who.name, change.lease(TTL_S), change.project, row.rev, row.resource)
            change.connection.execute(sql.HAND_OVER, now)
    if rows:
        renew(change)
    else:
        grant(change, new_holds(change, [resource], purpose[:200], CLAIM, TTL_S))
    note_edit(change, resource)
    return _elsewhere(change, resource, notified)


def _may_take_over(who: Caller, row: Hold) -> bool:
    """A subagent takes over what its own session claimed."""
    return row.request == CLAIM and row.ident == f"{who.session}/"


def _claims_of(change: Change, session: str) -> list[Hold]:
    """Those of the session and of its agents."""
    asked = change.project, *below(f"{session}/")
    rows = read_holds(change.connection, sql.HOLDS_OF_SESSION, *asked)
    return [row for row in rows if row.request == CLAIM]


def _held_by_others(change: Change, row: Hold, policy: Policy, notified: Notified) -> Verdict:
    who, words = change.caller, row.purpose.replace('"', "'")
    what = f', for "{words}" (their words)' if words else ""
    ago, left = (ms // 60_000 for ms in (change.at - row.since, row.ends - change.now))
    begun = f"since {iso(row.since)[11:16]} UTC ({max(0, ago)} min ago)"
    held = f"{row.resource} is being edited by {row.holder}{what}, {begun}"
    if policy == "deny":
        silent = f"{change.clock.moment(row.ends)[11:16]} UTC (in {max(0, left)} min)"
        until = f"until they commit it or stop, or until {silent} if they fall silent"
        return Verdict(f"{held}, {until}. {_CURE}")
    note_edit(change, row.resource)
    if not notified.first("beside", who.who, row.ident, row.resource):
        return Verdict()
    post(change, [row.holder], "", f"{who.name} edits {row.resource} too, which you have claimed.")
    cure = "Both edits go on: see that theirs is still there, and agree who does what from now on."
    return Verdict(context=f"{held}. {cure}")


def _elsewhere(change: Change, resource: str, notified: Notified) -> Verdict:
    """A notice, once, where another session edits the same file in another worktree."""
    own, who = tree_of(os.path.dirname(resource)), change.caller.who
    inside = os.path.relpath(resource, own)
    for tree in worktrees(own):
        for row in held_over(change, os.path.join(tree, inside)) if tree != own else ():
            foreign = session_of(row.ident) != session_of(who)
            if foreign and notified.first("elsewhere", who, row.ident, row.resource):
                note = f"{row.holder} edits the same file in another worktree: {row.resource}."
                return Verdict(context=f"{note} Expect a merge.")
    return Verdict()


def renew(change: Change) -> None:
    """Extend the agent's claims that were not renewed in the last minute."""
    asked = (change.lease(TTL_S), change.project, change.caller.who, _stale_at(change.now))
    change.connection.execute(sql.RENEW_CLAIMS, asked)


def _stale_at(now: int) -> int:
    """Claims that end before this were renewed a minute ago or longer."""
    return now + TTL_S * 1000 - RENEW_MS


def needs_renewal(connection: sqlite3.Connection, caller: Caller, now: int) -> bool:
    """Whether a claim of the agent was renewed a minute ago or longer."""
    asked = (caller.project, caller.who, _stale_at(now))
    return connection.execute(sql.CLAIM_ENDING, asked).fetchone() is not None


def is_claimed(connection: sqlite3.Connection, caller: Caller, path: str, now: int) -> bool:
    """Whether the agent has a claim on the file that need not be renewed yet."""
    rows = holds_on(connection, caller.project, path)
    return any(row.ident == caller.who and row.ends >= _stale_at(now) for row in rows)


def leave(change: Change, with_agents: bool = False) -> int:
    """End the agent's claims or, `with_agents`, those of its whole session; returns how many."""
    who, session = change.caller.who, change.caller.session
    rows = [row for row in _claims_of(change, session) if with_agents or row.ident == who]
    end(change, rows, "released")
    for path, edits in edits_of_session(change.connection, change.project, session).items():
        for edit in edits:
            if not edit.written and (with_agents or edit.ident == who):
                # whether it was written is unknown until git shows the file clean
                save_edit(change, path, replace(edit, written=True))
    return len(rows)


def forget_clean(
    change: Change, clean: Iterable[str], committed: str = "", stashed: Collection[str] = ()
) -> None:
    """Forget the edits of files that git shows clean, unless the agent still claims the file, was
    about to write it a moment ago, or its session has `stashed`.

    `committed` is the agent that has just committed: its session's edits are forgotten in any case,
    and its claims on the files that it wrote end.
    """
    own = session_of(committed)
    for path in clean:
        edits = edits_of_file(change.connection, change.project, path)
        rows = holds_on(change.connection, change.project, path)
        busy = {row.ident for row in rows}
        for edit in edits:
            session = session_of(edit.ident)
            soon = not edit.written and change.at - edit.at < TTL_S * 1000
            kept = soon or edit.ident in busy or session in stashed
            if (committed and session == own) or not kept:
                forget_edit(change, path, edit)
        if any(edit.ident == committed and edit.written for edit in edits):
            _release(change, rows, {committed})


def _release(change: Change, rows: Iterable[Hold], of: Collection[str]) -> None:
    done = [row for row in rows if row.ident in of and row.request == CLAIM]
    end(change, done, "released")


def leave_clean(change: Change, path: str, stashed: Collection[str]) -> None:
    """Forget the edits and claims of other sessions on a file that git shows clean, unless they
    have `stashed`."""
    edits = edits_of_others(change.connection, change.caller, path)
    edits = [each for each in edits if each.written and session_of(each.ident) not in stashed]
    for edit in edits:
        forget_edit(change, path, edit)
    rows = holds_on(change.connection, change.project, path)
    _release(change, rows, {edit.ident for edit in edits})


def beside(
    connection: sqlite3.Connection,
    caller: Caller,
    tree: str = "",
    places: Sequence[str] = (),
    taking: bool = False,
    most: int = MOST_BESIDE,
) -> dict[str, str]:
    """What other sessions claimed or edited in `places` of a tree, or in all of the caller's tree:
    the agent's name by path; at most `most`.

    A session and its own agents count as one: they commit together. A file that several edited
    belongs to the agent that claims it; without a claim each of them may commit it, but for a
    command that discards files (`taking`) it counts as the others'.
    """
    tree, own = tree or caller.tree, caller.session
    claimed, changed = dict[str, str](), dict[str, str]()
    for place in places or (tree,):
        bare = place.rstrip("/")
        bounds = bare, f"{bare}0", bare, f"{bare}/"  # the place and what lies below it
        asked = caller.project, *bounds, *below(f"{own}/"), most
        claimed |= dict(connection.execute(sql.CLAIMS_BESIDE, asked).fetchall())
        left = max(0, most - len(claimed))
        changed |= editors_beside(connection, caller.project, own, place, left)
    if changed and not taking:
        for path in own_files(connection, caller, tree, places, written=True):
            changed.pop(path, None)
    is_own = in_tree(tree)
    return {path: name for path, name in (changed | claimed).items() if is_own(path)}


def own_files(
    connection: sqlite3.Connection,
    caller: Caller,
    tree: str = "",
    places: Sequence[str] = (),
    written: bool = False,
) -> list[str]:
    """What the caller's session has edited there or is about to; only the former if `written`."""
    tree, own = tree or caller.tree, caller.session
    is_own = in_tree(tree)
    return [
        path
        for place in places or (tree,)
        for path, edits in edits_of_session(connection, caller.project, own, place).items()
        if is_own(path) and (not written or any(edit.written for edit in edits))
    ]
