"""What the guard checks requests against: host names, limits, keys, rate limits and sessions."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Callable, Collection, Container, Iterator
from dataclasses import dataclass
from typing import Protocol

from ..config import Door, Limits
from ..errors import ForeignSession
from ..memo import Newest
from .audit import Audit
from .callers import Principal
from .events import KeyChanged
from .keys import LoadedKeys, hash_of_bytes
from .memory import MemoryLimit
from .shares import Buckets, BucketsOfAll, Shares

OWN_NAME = "command line"
HEADER = b"mcp-session-id"
MOST_SESSIONS = 10_000


@dataclass(slots=True)
class Gate:
    """`failed(code)` counts an error; `local_hash` is of the key of the user's command line;
    `unlogged` counts answers without a log line; `of_all` is a team's rate limit; `guesses` limits
    wrong keys."""

    limits: Limits
    door: Door
    names: frozenset[str]
    keys: LoadedKeys
    audit: Audit
    memory: MemoryLimit
    failed: Callable[[int], None]
    buckets: Buckets
    guesses: Buckets
    sessions: Sessions
    shares: Shares
    local_hash: str = ""
    unlogged: int = 0
    of_all: BucketsOfAll | None = None

    def holder(self, token: bytes) -> Principal | None:
        """The caller that a key belongs to, or this user's command line; None for a wrong key."""
        if self.local_hash and hmac.compare_digest(hash_of_bytes(token), self.local_hash):
            return Principal(OWN_NAME, share=1.0)
        return self.keys.caller_of(token)

    def set_rate(self, rate: float) -> None:
        self.buckets.rate = rate
        if self.of_all is not None:
            self.of_all.set_rate(rate)

    def charge(self, who: str, method: str) -> None:
        """Count a call against the team's rate limit. Raises TooManyRequests."""
        if self.of_all is not None:
            self.of_all.charge(who, method)

    def key_changed(self, event: KeyChanged) -> None:
        self.audit.note(event.name, event.change, "ok")
        if event.change == "key revoked":
            self.sessions.close(event.name)


class Opened(Protocol):
    """The open sessions of one project and face."""

    @property
    def open(self) -> Collection[str]: ...
    async def end(self, ident: str) -> None: ...


class Sessions:
    """MCP sessions and event streams by the caller that opened them: no other may use one, and
    they end when its key is revoked.

    `strict`: a session that this server did not see begin is refused to everybody.
    """

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._owners: Newest[bytes, str] = Newest(MOST_SESSIONS)
        self.faces: list[Opened] = []
        self._streams: dict[str, set[asyncio.Event]] = {}

    def begin(self, session: bytes, name: str) -> None:
        self._owners.setdefault(session, name)

    def check(self, session: bytes | None, name: str) -> None:
        """Raises ForeignSession for a session of another caller."""
        if session is None:
            return
        if self._owners.get(session, "" if self._strict else name) != name:
            raise ForeignSession("There is no such session for this key.")
        if session in self._owners:
            self._owners.move_to_end(session)

    def makes_way(self, is_open: Container[str], most: int, most_of_one: int, name: str) -> str:
        """The session to end before this caller opens another; "" for none. That is the least
        recently used one of its own if it has `most_of_one`, else, if all are `most`, of the caller
        with the most sessions."""
        by_owner = dict[str, list[str]]()
        for session, owner in self._owners.items():
            if (ident := session.decode("latin-1")) in is_open:
                by_owner.setdefault(owner, []).append(ident)
        if len(by_owner.get(name, ())) >= most_of_one:
            return by_owner[name][0]
        is_full = sum(map(len, by_owner.values())) >= most
        return max(by_owner.values(), key=len)[0] if is_full else ""

    @contextlib.contextmanager
    def stream(self, name: str) -> Iterator[asyncio.Event]:
        """Register a stream; gives the event that is set when the caller's key is revoked."""
        revoked, streams = asyncio.Event(), self._streams.setdefault(name, set())
        streams.add(revoked)
        try:
            yield revoked
        finally:
            streams.remove(revoked)
            if not streams:
                del self._streams[name]

    def close(self, name: str) -> None:
        """End the streams of a key; its sessions go to no later key of that name."""
        for session in [each for each, owner in self._owners.items() if owner == name]:
            self._owners[session] = ""
        for revoked in self._streams.get(name, ()):
            revoked.set()
