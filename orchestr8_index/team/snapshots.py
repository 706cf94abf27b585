"""A project's index as bytes in PostgreSQL: one server of the team publishes it, for servers that
have no trees of their own.

Nothing is published unless such a server is there: it says in its facts which project it wants.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from .connection import connected
from .registry import GONE_MS
from .schema import CLOCK
from .start import SCHEMA

WANTS = "wants_index_of"  # the fact of a server without trees
DUTY = 0x6F38_0000_0000  # to which the CRC-32 of the project's name is added
SECONDS = 30.0  # for a file of a snapshot
_WANTED = f"""SELECT 1 FROM server WHERE facts::json ->> ?::text = ?
    AND seen > {CLOCK} - {GONE_MS} LIMIT 1"""
_STAMP = "SELECT stamp FROM snapshot WHERE project = ?"
_CLEAR = "DELETE FROM snapshot WHERE project = $1"
_PUT = f"INSERT INTO snapshot VALUES ($1, $2, $3, {CLOCK})"
_CLEAR_FILES = "DELETE FROM snapshot_file WHERE project = $1"
_PUT_FILE = "INSERT INTO snapshot_file VALUES ($1, $2, $3)"
_GET = "SELECT stamp, server, at FROM snapshot WHERE project = $1"
_GET_FILES = "SELECT name, body FROM snapshot_file WHERE project = $1"


class Published(NamedTuple):
    """`stamp` identifies the index; `at` is Unix ms by the database's clock; `files` are by name,
    none where they were not requested."""

    stamp: str
    server: str
    at: int
    files: dict[str, bytes]


def duty_of(project: str) -> int:
    """The number of the advisory lock that the publishing server of a project holds."""
    return DUTY + zlib.crc32(project.encode())


def is_wanted(connection: Any, project: str) -> bool:
    """Whether a server without trees that serves the project is there."""
    return connection.execute(_WANTED, (WANTS, project)).fetchone() is not None


def stamp_of(connection: Any, project: str) -> str:
    """The stamp of the published index; "" if there is none."""
    row = connection.execute(_STAMP, (project,)).fetchone()
    return str(row[0]) if row else ""


def publish(url: str, project: str, server: str, stamp: str, files: Mapping[str, bytes]) -> None:
    """Replace the published index in one transaction, on a connection of its own. Raises
    StoreUnavailable."""
    with connected(url, SCHEMA, "publishes", SECONDS) as writing:
        with writing.transaction():
            writing.execute(_CLEAR.encode(), (project,))
            writing.execute(_CLEAR_FILES.encode(), (project,))
            for name, body in files.items():
                writing.execute(_PUT_FILE.encode(), (project, name, body))
            writing.execute(_PUT.encode(), (project, stamp, server))


def fetch(url: str, project: str, unless: str = "") -> Published | None:
    """The published index, if any; without files if its stamp is `unless`. Opens a connection of
    its own. Raises StoreUnavailable."""
    with connected(url, SCHEMA, "fetches", SECONDS) as reading, reading.transaction():
        reading.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        found = reading.execute(_GET.encode(), (project,)).fetchone()
        if found is None:
            return None
        stamp, server, at = found
        rows = () if stamp == unless else reading.execute(_GET_FILES.encode(), (project,))
        return Published(stamp, server, at, {name: bytes(body) for name, body in rows})
