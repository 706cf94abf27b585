"""Presence: when each agent called last, written down at most once a minute."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec
from msgspec import Struct

from ..memo import Newest
from . import statements as sql
from .caller import Caller
from .clock import Clock, iso
from .journal import Change
from .statements import notes

EVERY_MS = 60_000
STAYS_S = 7 * 86_400
MOST = 10_000
_PREFIX = "@agent/"


class Agent(Struct, frozen=True, omit_defaults=True):
    """Times are Unix ms."""

    first: int
    last: int
    role: str = ""
    tree: str = ""
    tool: str = ""


_read = msgspec.json.Decoder(Agent).decode


class Presence:
    """When each of the last MOST agents was written down, by lease time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: Newest[tuple[str, str], int] = Newest(MOST)

    def is_due(self, caller: Caller) -> bool:
        last = self._last.get((caller.project, caller.name))
        return last is None or self._clock.now() - last >= EVERY_MS

    def note(self, change: Change, tool: str) -> None:
        caller = change.caller
        if self.is_due(caller):
            key = f"{_PREFIX}{caller.name}"
            before = change.noted(key)
            first = _read(before).first if before else change.at
            agent = Agent(first, change.at, caller.role, caller.tree, caller.tool or tool)
            change.note(key, agent, change.lease(STAYS_S))
            self._last[caller.project, caller.name] = change.now


def agent_names(change: Change, role: str = "") -> list[str]:
    """The agents that called in the last week, or those of a role."""
    found = notes(change.connection, change.project, _PREFIX)
    return [name for name, value in found if not role or _read(value).role == role]


def agents(connection: sqlite3.Connection, project: str) -> list[dict[str, Any]]:
    """The same as rows, the latest first, each with its locks and its unread messages."""
    found = [(name, _read(value)) for name, value in notes(connection, project, _PREFIX)]
    held: dict[str, list[str]] = {}
    for name, resource in connection.execute(sql.HELD_BY, (project,)):
        held.setdefault(name, []).append(resource)
    waits = dict(connection.execute(sql.WAITS_FOR, (project,)).fetchall())
    return [
        {
            "name": name,
            "role": agent.role,
            "first": iso(agent.first),
            "last": iso(agent.last),
            "tool": agent.tool,
            "tree": agent.tree,
            "holds": held.get(name, []),
            "unread": waits.get(name, 0),
        }
        for name, agent in sorted(found, key=lambda each: -each[1].last)
    ]
