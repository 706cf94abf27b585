"""Uncommitted edits: the files that each agent changed, until git shows them clean, a day at most.

Each is a note of the server's own, `@workPATH/./SESSION/AGENT`.
"""

from __future__ import annotations

import functools
import os
import sqlite3
from collections.abc import Callable

import msgspec
from msgspec import Struct

from . import statements as sql
from .caller import Caller, session_of
from .journal import Change
from .statements import below, noted, notes

EDIT_S = 86_400
_PREFIX, _BY = "@work", "/./"  # the second stands in no resolved path, so it ends the path


class Edit(Struct, frozen=True):
    """One agent's of one file: `written`, or about to be."""

    name: str
    ident: str
    at: int
    written: bool = False


_decode = msgspec.json.Decoder(Edit).decode


def _key(path: str, ident: str) -> str:
    return f"{_PREFIX}{path}{_BY}{ident}"


def is_edited(connection: sqlite3.Connection, caller: Caller, path: str) -> bool:
    """Whether the agent is known to have written the file."""
    found = noted(connection, caller.project, _key(path, caller.who))
    return found is not None and _decode(found).written


def note_edit(change: Change, path: str, written: bool = False) -> None:
    """The agent is about to edit the file or, with `written`, has edited it."""
    who = change.caller
    if written or not is_edited(change.connection, who, path):
        save_edit(change, path, Edit(who.name, who.who, change.at, written))


def save_edit(change: Change, path: str, edit: Edit) -> None:
    """Keep it for a day at most, in the place of an earlier one."""
    change.note(_key(path, edit.ident), edit, change.lease(EDIT_S))


def forget_edit(change: Change, path: str, edit: Edit) -> None:
    """It is committed, undone or given up."""
    change.forget(_key(path, edit.ident))


def edits_of_file(connection: sqlite3.Connection, project: str, path: str) -> list[Edit]:
    """Those of all agents."""
    return [_decode(value) for _, value in notes(connection, project, _key(path, ""))]


def edits_of_others(connection: sqlite3.Connection, caller: Caller, path: str) -> list[Edit]:
    """Those of a file by agents of other sessions."""
    found = edits_of_file(connection, caller.project, path)
    return [edit for edit in found if session_of(edit.ident) != caller.session]


def edits_of_session(
    connection: sqlite3.Connection, project: str, session: str, place: str = "/"
) -> dict[str, list[Edit]]:
    """Those of a session and its agents in a folder or file, by path."""
    found: dict[str, list[Edit]] = {}
    asked = project, *_within(place), f"{_BY}{session}/"
    for path, edit in map(_path_and_edit, connection.execute(sql.ITEMS_WITH, asked)):
        found.setdefault(path, []).append(edit)
    return found


def editors_beside(
    connection: sqlite3.Connection, project: str, session: str, place: str, most: int
) -> dict[str, str]:
    """Who in another session edited a file there: a name by path."""
    asked = project, *_within(place), f"{_BY}{session}/", most
    rows = map(_path_and_edit, connection.execute(sql.ITEMS_WITHOUT, asked))
    return {path: edit.name for path, edit in rows}


def _within(place: str) -> tuple[str, str]:
    return below(f"{_PREFIX}{place.rstrip('/')}/")


def _path_and_edit(row: tuple[str, str]) -> tuple[str, Edit]:
    return row[0][len(_PREFIX) :].partition(_BY)[0], _decode(row[1])


def in_tree(tree: str) -> Callable[[str], bool]:
    """Whether a path belongs to the tree itself, not to a worktree or submodule below it."""

    @functools.cache
    def owned(folder: str) -> bool:
        if len(folder) <= len(tree):
            return folder == tree
        return not os.path.lexists(f"{folder}/.git") and owned(os.path.dirname(folder))

    return lambda path: owned(path.rstrip("/").rpartition("/")[0] or "/")
