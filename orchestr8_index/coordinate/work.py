"""Uncommitted work: files that an agent changed, until git shows them clean, a day at most."""

from __future__ import annotations

import functools
import os
import sqlite3
from collections.abc import Callable

import msgspec
from msgspec import Struct

from . import statements as sql
from .caller import Caller
from .journal import Change
from .resources import resolve
from .statements import below, noted, notes

WORK_S = 86_400
_WORK, _BY = "@work", "/./"  # no resolved path has the second, which parts it from an agent


class Work(Struct, frozen=True):
    """A file that an agent changed and git does not have yet; not `written`: it is about to."""

    name: str
    ident: str
    at: int
    written: bool = False


_decode = msgspec.json.Decoder(Work).decode


def session_of(ident: str) -> str:
    """The session of a SESSION/AGENT."""
    return ident.partition("/")[0]


def is_noted(connection: sqlite3.Connection, caller: Caller, path: str) -> bool:
    """Whether the file is known to be changed by the agent."""
    key = f"{_WORK}{resolve(path, caller.tree)}{_BY}{caller.who}"
    found = noted(connection, caller.project, key)
    return found is not None and _decode(found).written


def note_work(change: Change, resource: str, written: bool = False) -> None:
    """The agent changes the file, or with `written` has changed it."""
    who = change.caller
    if written or not is_noted(change.connection, who, resource):
        keep_work(change, resource, Work(who.name, who.who, change.at, written))


def keep_work(change: Change, path: str, work: Work) -> None:
    """Write it down, for a day at most."""
    change.note(f"{_WORK}{path}{_BY}{work.ident}", work, change.lease(WORK_S))


def works_on(connection: sqlite3.Connection, project: str, path: str) -> list[Work]:
    """Everybody's on one file."""
    return [_decode(value) for _, value in notes(connection, project, f"{_WORK}{path}{_BY}")]


def works_of(
    connection: sqlite3.Connection, project: str, session: str, place: str = "/"
) -> dict[str, list[Work]]:
    """What a session and its agents changed in a folder or file, by path."""
    found: dict[str, list[Work]] = {}
    asked = project, *_within(place), f"{_BY}{session}/"
    for path, work in map(_read, connection.execute(sql.ITEMS_WITH, asked)):
        found.setdefault(path, []).append(work)
    return found


def works_beside(
    connection: sqlite3.Connection, project: str, session: str, place: str, most: int
) -> dict[str, str]:
    """What other sessions changed there: a name by path."""
    asked = project, *_within(place), f"{_BY}{session}/", most
    rows = map(_read, connection.execute(sql.ITEMS_WITHOUT, asked))
    return {path: work.name for path, work in rows}


def works_of_others(connection: sqlite3.Connection, caller: Caller, resource: str) -> list[Work]:
    """What agents of other sessions have changed, or are about to, in a file."""
    own, found = session_of(caller.who), works_on(connection, caller.project, resource)
    return [work for work in found if session_of(work.ident) != own]


def _within(place: str) -> tuple[str, str]:
    return below(f"{_WORK}{place.rstrip('/')}/")


def _read(row: tuple[str, str]) -> tuple[str, Work]:
    return row[0][len(_WORK) :].partition(_BY)[0], _decode(row[1])


def forget(change: Change, path: str, work: Work) -> None:
    """The work is done."""
    change.forget(f"{_WORK}{path}{_BY}{work.ident}")


def belonging(tree: str) -> Callable[[str], bool]:
    """Whether a path is the tree's own, not that of a worktree or submodule below it."""

    @functools.cache
    def owned(folder: str) -> bool:
        if len(folder) <= len(tree):
            return folder == tree
        return not os.path.lexists(f"{folder}/.git") and owned(os.path.dirname(folder))

    return lambda path: owned(path.rstrip("/").rpartition("/")[0] or "/")
