"""MCP sessions and event streams by the name of the key that began them.

A session goes on with the right of its key: no other may use it, and both end with the key.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Container, Iterator
from typing import Protocol

from ..errors import ForeignSession
from ..memo import Newest

HEADER = b"mcp-session-id"
MOST_SESSIONS = 10_000


class Opened(Protocol):
    """What keeps sessions of one project."""

    @property
    def open(self) -> Collection[str]: ...
    async def end(self, ident: str) -> None: ...


class Sessions:
    """`strict`: a session that this server did not see begin may be used by nobody."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._owners: Newest[bytes, str] = Newest(MOST_SESSIONS)
        self.faces: list[Opened] = []
        self._streams: dict[str, set[asyncio.Event]] = {}

    def begin(self, session: bytes, name: str) -> None:
        self._owners.setdefault(session, name)

    def check(self, session: bytes | None, name: str) -> None:
        """Raises ForeignSession."""
        if session is None:
            return
        if self._owners.get(session, "" if self._strict else name) != name:
            raise ForeignSession("There is no such session for this key.")
        if session in self._owners:
            self._owners.move_to_end(session)

    def makes_way(self, is_open: Container[str], most: int, most_of_one: int, name: str) -> str:
        """The session to end before this caller may begin another: of its own, if it has as many as
        one may have, else of who has the most, if there is no room; the one not used for the
        longest time. "" for none."""
        mine = dict[str, list[str]]()
        for session, owner in self._owners.items():
            if (ident := session.decode("latin-1")) in is_open:
                mine.setdefault(owner, []).append(ident)
        if len(mine.get(name, ())) >= most_of_one:
            return mine[name][0]
        is_full = sum(map(len, mine.values())) >= most
        return max(mine.values(), key=len)[0] if is_full else ""

    @contextlib.contextmanager
    def stream(self, name: str) -> Iterator[asyncio.Event]:
        """Within: the event that is set when this caller may not hear more."""
        revoked, streams = asyncio.Event(), self._streams.setdefault(name, set())
        streams.add(revoked)
        try:
            yield revoked
        finally:
            streams.remove(revoked)
            if not streams:
                del self._streams[name]

    def close(self, name: str) -> None:
        """End the streams of that key; its sessions are nobody's, not even of a later key of the
        same name."""
        for session in [each for each, owner in self._owners.items() if owner == name]:
            self._owners[session] = ""
        for revoked in self._streams.get(name, ()):
            revoked.set()
