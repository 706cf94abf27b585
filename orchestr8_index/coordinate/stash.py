"""The owners of the entries in git's stash, which all worktrees of a repository share.

The entries are noted before a session stashes; one that is new afterwards is that session's.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from .journal import Change
from .repository import stash_entries
from .statements import noted, notes

ENTRY_S, BEGUN_S = 30 * 86_400, 86_400
_ENTRY, _BEGUN = "@stash/", "@stashing/"


class Stashing(Struct, frozen=True):
    """A session is about to stash in `tree`, where the stash has the entries `before`."""

    tree: str
    before: list[str]


_read = msgspec.json.Decoder(Stashing).decode


def begin(change: Change, session: str, tree: str) -> None:
    """Note the entries before the session stashes in `tree`."""
    settle(change, session)
    note = Stashing(tree, stash_entries(tree))
    change.note(f"{_BEGUN}{session}", note, change.lease(BEGUN_S))


def is_begun(connection: sqlite3.Connection, project: str, session: str) -> bool:
    """Whether `settle` has something to do."""
    return noted(connection, project, f"{_BEGUN}{session}") is not None


def settle(change: Change, session: str) -> None:
    """Note the session as the owner of the entries that are new since `begin`."""
    begun = change.noted(f"{_BEGUN}{session}")
    if begun is None:
        return
    change.forget(f"{_BEGUN}{session}")
    stashing = _read(begun)
    for made in set(stash_entries(stashing.tree)).difference(stashing.before):
        if change.noted(f"{_ENTRY}{made}") is None:
            change.note(f"{_ENTRY}{made}", session, change.lease(ENTRY_S))


def owners(connection: sqlite3.Connection, project: str, tree: str) -> list[str]:
    """The session of each entry, newest first; "" where it is unknown."""
    return [noted(connection, project, _ENTRY + entry) or "" for entry in stash_entries(tree)]


def sessions(connection: sqlite3.Connection, project: str, tree: str) -> set[str]:
    """The sessions whose files of a tree may lie in the stash."""
    found = notes(connection, project, _BEGUN)
    begun = {session for session, note in found if _read(note).tree == tree}
    return begun.union(owners(connection, project, tree))


def is_foreign(session: str, owned: Sequence[str], entry: Sequence[str]) -> bool:
    """Whether `git stash ENTRY` takes an entry of another session; `owned` as `owners` has them."""
    verb, *more = entry
    number = re.fullmatch(r"(?:(?:refs/)?stash@\{)?(\d+)\}?", (more or ["0"])[-1])
    if number and verb in ("pop", "apply", "drop"):
        owned = owned[int(number[1]) :][:1]
    elif verb == "branch" and len(more) == 1:
        owned = owned[:1]
    return any(each != session for each in owned)


def own_entry(session: str, owned: Sequence[str]) -> str:
    """The session's newest entry, as git names it; "" without one."""
    return f"stash@{{{owned.index(session)}}}" if session in owned else ""
