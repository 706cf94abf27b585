"""Moves a project's shared state from a data directory into PostgreSQL, or back.

Each move is one transaction. Existing state is never overwritten: a second move changes nothing,
and a different state is an error. Afterwards both sides are compared, row by row.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import msgspec

from ..coordinate import statements as sql
from ..coordinate.caller import read_message
from ..coordinate.core import Coordination
from ..coordinate.journal import oldest, set_note, set_oldest
from ..coordinate.search import index_message
from ..errors import OperationError
from ..store.database import transaction
from .circuit import Circuit
from .connection import TeamConnection, connected
from .dialect import without_zeros
from .learning import LearntEntry
from .registry import servers
from .schema import ADD_LEARNT, CLOCK, LEARNT, TAKE, check_version, migrate

AT_ONCE, SECONDS = 500, 30.0
_ADD = {
    "item": sql.PUT_ITEM,
    "event": sql.ADD_EVENT,
    "hold": sql.ADD_HOLD,
    "delivery": sql.ADD_DELIVERY,
}
_PROJECT = {"item": 0, "event": 1, "hold": 0, "delivery": 0}  # the column with its name
_LEASES = {"item": (6,), "event": (), "hold": (10,), "delivery": (7, 8)}  # of the lease clock
Digests = dict[str, tuple[int, str]]
"""By table, the number of its rows and a digest of their contents."""


class Side:
    """One of the two stores: its connection, its name of the project, and its lease clock."""

    def __init__(self, connection: Any, project: str, now: int) -> None:
        self.connection, self.project, self.now = connection, project, now

    def rows(self, table: str) -> Iterator[Sequence[Any]]:
        """Read in batches, in the order of the first key."""
        first = {"item": "key", "event": "id", "hold": "rev", "delivery": "message"}[table]
        after: Any = "" if table == "item" else -1
        order = ", ".join(name for name in sql.KEYS[table].split(", ") if name != "project")
        whole = f"SELECT {first} FROM {table} WHERE project = ? AND {first} > ? ORDER BY {first}"
        query = f"SELECT * FROM {table} WHERE project = ? AND {first} > ? AND {first} <= ?"
        while found := self._fetched(f"{whole} LIMIT {AT_ONCE}", after):
            yield from self._fetched(f"{query} ORDER BY {order}", after, found[-1][0])
            after = found[-1][0]

    def _fetched(self, query: str, *given: Any) -> list[Any]:
        return list(self.connection.execute(query, (self.project, *given)))

    def digests(self) -> Digests:
        found: Digests = {}
        for table in sql.KEYS:
            count, digest = 0, sha256()
            for row in self.rows(table):
                count += 1
                left_out = {_PROJECT[table], *_LEASES[table]}
                kept = [without_zeros(value) for n, value in enumerate(row) if n not in left_out]
                digest.update(msgspec.json.encode(kept))
            found[table] = count, digest.hexdigest()
        return found


def _copy(source: Side, target: Side, name: str) -> Digests:
    """Copy within a transaction of the target. Raises OperationError if that has another state."""
    given, there = source.digests(), target.digests()
    if given != there and any(count for count, _ in there.values()):
        cure = f"Keep one of the two: nothing was changed. `shared clear` empties {name}."
        raise OperationError(f"{name} has another state of this project already.", cure)
    if given == there:
        return given
    later = target.now - source.now
    for table in sql.KEYS:
        for count, row in enumerate(source.rows(table), 1):
            moved = list(row)
            moved[_PROJECT[table]] = target.project
            for column in _LEASES[table]:
                moved[column] = None if row[column] is None else row[column] + later
            target.connection.execute(_ADD[table], moved)
            if table == "event" and row[2] == sql.MESSAGE:
                index_message(target.connection, row[0], row[3], read_message(row[4]))
            if count % AT_ONCE == 0:
                target.connection.execute("SELECT 1")  # so that not all of it waits to be sent
    if (found := target.digests()) != given:
        raise OperationError("What was carried is not what was there.", "Nothing was changed.")
    return found


def to_team(url: str, schema: str, data_dir: Path, names: tuple[str, str]) -> Digests:
    """`names` are the project's, here and in PostgreSQL. Returns the digests of both sides."""
    with _both(url, schema, data_dir, names) as (here, there, state):
        with transaction(there.connection):
            there.connection.execute(TAKE, (there.project, 0)).fetchone()
            moved = _copy(here, there, "PostgreSQL")
            first = oldest(here.connection, here.project)
            set_oldest(there.connection, max(first, oldest(there.connection, there.project)))
            last = state.journal.revisions.reserved
            raised = "UPDATE project SET rev = greatest(rev, ?) WHERE name = ?"
            there.connection.execute(raised, (last, there.project))
        return moved


def append_learnt(url: str, schema: str, project: str, entries: Sequence[LearntEntry]) -> int:
    """Append the entries that the project's log lacks; returns how many."""
    with _team(url, schema, project) as writing, transaction(cast(Any, writing)):
        bodies = dict.fromkeys(msgspec.json.encode(entry).decode() for entry in entries)
        writing.execute(TAKE, (project, 0)).fetchone()
        for _, body in writing.execute(LEARNT, (project, -1, 1 << 40)).fetchall():
            bodies.pop(body, None)
        last = writing.execute(TAKE, (project, len(bodies))).fetchone()[0]
        for number, body in enumerate(bodies, last - len(bodies) + 1):
            writing.execute(ADD_LEARNT, (project, number, body))
        return len(bodies)


def read_learnt(url: str, schema: str, project: str) -> list[LearntEntry]:
    """The entries of a project's log, in its order."""
    with _team(url, schema, project) as reading:
        rows = reading.execute(LEARNT, (project, -1, 1 << 40)).fetchall()
        return [msgspec.json.decode(body, type=LearntEntry) for _, body in rows]


def from_team(url: str, schema: str, data_dir: Path, names: tuple[str, str]) -> Digests:
    """The way back. Raises OperationError while a server uses the database."""
    with _both(url, schema, data_dir, names) as (here, there, state):
        if serving := [each["server"] for each in servers(there.connection) if each["here"]]:
            cure = "Stop every server of the team first: `orchestr8-index servers` lists them."
            raise OperationError(f"{', '.join(serving)} still serves from PostgreSQL.", cure)
        moved: list[Digests] = []

        def work(writing: Any) -> None:
            moved.append(_copy(there, Side(writing, here.project, here.now), "The data directory"))
            rev = there.connection.execute(TAKE, (there.project, 0)).fetchone()[0]
            state.journal.revisions.open(max(rev, state.journal.revisions.reserved))
            set_note(writing, "", "@block", str(state.journal.revisions.reserved))
            first = oldest(there.connection, there.project)
            set_oldest(writing, max(first, oldest(writing, here.project)))

        with transaction(there.connection):
            state.store.prepare(work)
        return moved[0]


@contextlib.contextmanager
def _team(url: str, schema: str, project: str) -> Iterator[TeamConnection]:
    with connected(url, schema, "moves") as looking:
        check_version(looking, schema)
        migrate(looking, schema)
    connection = TeamConnection(url, schema, Circuit(), SECONDS, "moves")
    connection.project = project
    with contextlib.closing(connection):
        yield connection


@contextlib.contextmanager
def _both(
    url: str, schema: str, data_dir: Path, names: tuple[str, str]
) -> Iterator[tuple[Side, Side, Coordination]]:
    """The data directory, opened as by a server that starts, and PostgreSQL."""
    state = Coordination(data_dir)
    with _team(url, schema, names[1]) as team:
        state.open()
        with contextlib.closing(state.store):
            now = int(team.execute(f"SELECT {CLOCK}").fetchone()[0])
            here = Side(state.store.reader, names[0], state.clock.now())
            yield here, Side(team, names[1], now), state
