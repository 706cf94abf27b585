"""Whose session is that? MCP goes on with the right of the key that began it: no other may."""

from __future__ import annotations

from collections import OrderedDict

from ..errors import ForeignSession

HEADER = b"mcp-session-id"
MOST_SESSIONS = 10_000


class Sessions:
    """`strict`: a session that nobody is known to have begun is nobody's."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._owners: OrderedDict[bytes, str] = OrderedDict()

    def begun(self, session: bytes, name: str) -> None:
        self._owners.setdefault(session, name)
        if len(self._owners) > MOST_SESSIONS:
            self._owners.popitem(last=False)

    def close(self, name: str) -> None:
        """Nobody's from here on, not even of a later key of the same name."""
        for session in [each for each, owner in self._owners.items() if owner == name]:
            self._owners[session] = ""

    def check(self, session: bytes | None, name: str) -> None:
        """Raises ForeignSession."""
        if session is not None and self._owners.get(session, "" if self._strict else name) != name:
            raise ForeignSession("There is no such session for this key.")
