"""Which agents are there: seen when they call, written down at most once a minute."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from typing import Any

import msgspec
from msgspec import Struct

from .caller import Caller
from .clock import Clock, iso
from .journal import Change

EVERY_MS = 60_000
STAYS_S = 7 * 86_400
MOST = 10_000
_BEFORE, _END = "@agent/", "@agent0"


class Agent(Struct, frozen=True, omit_defaults=True):
    """Times are Unix ms."""

    first: int
    last: int
    role: str = ""
    tree: str = ""
    tool: str = ""


class Seen:
    """When each agent was written down, by lease time; the oldest are forgotten beyond MOST."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: OrderedDict[tuple[str, str], int] = OrderedDict()

    def is_due(self, caller: Caller) -> bool:
        last = self._last.get((caller.project, caller.name))
        return last is None or self._clock.now() - last >= EVERY_MS

    def note(self, change: Change, caller: Caller, tool: str = "") -> None:
        if not self.is_due(caller):
            return
        key = f"{_BEFORE}{caller.name}"
        before = change.noted(key)
        first = msgspec.json.decode(before, type=Agent).first if before else change.at
        agent = Agent(first, change.at, caller.role, caller.tree, tool)
        change.note(key, msgspec.json.encode(agent).decode(), change.lease(STAYS_S))
        self._last[caller.project, caller.name] = change.now
        self._last.move_to_end((caller.project, caller.name))
        if len(self._last) > MOST:
            self._last.popitem(last=False)


def agents(connection: sqlite3.Connection, project: str) -> list[dict[str, Any]]:
    """Who was seen in the last week, the latest first, with what each holds and what waits."""
    query = "SELECT key, value FROM item WHERE project = ? AND key >= ? AND key < ?"
    rows = connection.execute(query, (project, _BEFORE, _END)).fetchall()
    found = [(key[len(_BEFORE) :], msgspec.json.decode(value, type=Agent)) for key, value in rows]
    held = _counts(
        connection, "SELECT holder, resource FROM hold WHERE project = ? AND state = 0", project
    )
    mail = "SELECT recipient, message FROM delivery WHERE project = ? AND state = 0"
    waits = _counts(connection, mail, project)
    return [
        {
            "name": name,
            "role": agent.role,
            "first": iso(agent.first),
            "last": iso(agent.last),
            "tool": agent.tool,
            "tree": agent.tree,
            "holds": sorted(held.get(name, [])),
            "unread": len(waits.get(name, [])),
        }
        for name, agent in sorted(found, key=lambda each: -each[1].last)
    ]


def _counts(connection: sqlite3.Connection, query: str, project: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, thing in connection.execute(query, (project,)):
        found.setdefault(name, []).append(thing)
    return found
