"""How is a long list given out? In pages, by a cursor that says after which entry to go on.

The cursor names an entry, not a place: a new generation between two pages repeats and skips none.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from ...catalog.index import Index, Segment
from ...records import Entry, Kind

PAGE = 100


class Page(NamedTuple):
    entries: list[Entry]
    cursor: str | None


class After(msgspec.Struct, array_like=True):
    kind: Kind
    qualified: str


def page(index: Index, kinds: Sequence[Kind], cursor: str | None, size: int = PAGE) -> Page:
    """Entries in the order of `kinds`, then of their names. Raises MCPError for a bad cursor."""
    after = _read(cursor, kinds) if cursor is not None else None
    found: list[Entry] = []
    for kind in kinds[kinds.index(after.kind) :] if after else kinds:
        segment = index.segments[kind]
        first = 0
        if after and after.kind == kind:
            first = _place_after(segment, after.qualified)
        last = min(segment.size, first + size + 1 - len(found))
        found += [segment.entry(place) for place in range(first, last)]
    if len(found) <= size:
        return Page(found, None)
    return Page(found[:size], _write(found[size - 1]))


def _place_after(segment: Segment, qualified: str) -> int:
    return bisect_right(
        range(segment.size), qualified, key=lambda place: segment.entry(place).qualified
    )


def _write(entry: Entry) -> str:
    after = msgspec.json.encode(After(entry.kind, entry.qualified))
    return base64.urlsafe_b64encode(after).decode()


def _read(cursor: str, kinds: Sequence[Kind]) -> After:
    try:
        after = msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=After)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        after = None
    if after is None or after.kind not in kinds:
        raise MCPError(INVALID_PARAMS, "The cursor is none of this server's. List from the start.")
    return after
