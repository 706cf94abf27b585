"""URIs of resources, `orchestr8://agents/plugin/name`, and the pages of their lists.

Plugins and names are percent-encoded, `/` too, so that a name is exactly one segment.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote

import msgspec
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from ...catalog.index import Index
from ...records import KINDS, PLURAL, Entry, Kind
from ...validate import UNDECODABLE

SCHEME = "orchestr8://"
INDEX, PATTERNS = f"{SCHEME}index", f"{SCHEME}patterns"
KIND_OF: dict[str, Kind] = {PLURAL[kind]: kind for kind in KINDS}
PAGE = 100


def template(kind: Kind) -> str:
    """The URI template of the entries of a kind."""
    return f"{SCHEME}{PLURAL[kind]}/{{plugin}}/{{name}}"


def kind_of_template(uri: str) -> Kind | None:
    """The kind of entries that a URI template is for, or None."""
    return next((kind for kind in KINDS if template(kind) == uri), None)


def address(kind: Kind, plugin: str, name: str) -> str:
    """The URI of an entry."""
    return f"{SCHEME}{PLURAL[kind]}/{encoded(plugin)}/{encoded(name)}"


def encoded(name: str) -> str:
    """A name as one segment of a URI, percent-encoded."""
    return quote(name, safe="")


def entry_at(uri: str) -> tuple[Kind, str, str] | None:
    """(kind, plugin, name) of an entry's URI; None for any other."""
    parts = uri.removeprefix(SCHEME).split("/")
    if not uri.startswith(SCHEME) or len(parts) != 3 or parts[0] not in KIND_OF:
        return None
    return KIND_OF[parts[0]], unquote(parts[1]), unquote(parts[2])


class Page(NamedTuple):
    entries: list[Entry]
    cursor: str | None


class After(msgspec.Struct, array_like=True):
    """A cursor: the last entry of a page. By its name, a new generation repeats and skips none."""

    kind: Kind
    qualified: str


def page(index: Index, kinds: Sequence[Kind], cursor: str | None, size: int = PAGE) -> Page:
    """A page of entries, ordered by `kinds`, then by name. Raises MCPError for a bad cursor."""
    after = _read(cursor, kinds) if cursor is not None else None
    entries: list[Entry] = []
    for kind in kinds[kinds.index(after.kind) :] if after else kinds:
        segment, first = index.segments[kind], 0
        if after and after.kind == kind:
            places = range(segment.size)
            first = bisect_right(places, after.qualified, key=lambda n: segment.entry(n).qualified)
        last = min(segment.size, first + size + 1 - len(entries))
        entries += [segment.entry(place) for place in range(first, last)]
    if len(entries) <= size:
        return Page(entries, None)
    last_entry = entries[size - 1]
    after = After(last_entry.kind, last_entry.qualified)
    return Page(entries[:size], base64.urlsafe_b64encode(msgspec.json.encode(after)).decode())


def _read(cursor: str, kinds: Sequence[Kind]) -> After:
    try:
        after = msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=After)
    except (binascii.Error, *UNDECODABLE):
        after = None
    if after is None or after.kind not in kinds:
        raise MCPError(INVALID_PARAMS, "The cursor is none of this server's. List from the start.")
    return after
