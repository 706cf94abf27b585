"""What does the guard go by? Names, limits, keys and counts of one server, in one place."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from ..config import Limits, Settings
from .audit import Audit
from .callers import Caller
from .congestion import Congestion
from .host_names import names_of
from .keys import KeyChange, Keys, hash_of_bytes
from .mcp_sessions import Sessions
from .memory_limit import Memory
from .rate import Buckets
from .streams import Streams

GUESSES = 5  # unknown keys a second from one peer


@dataclass(slots=True)
class Gate:
    """`failed(code)` counts an error; `running` are the requests inside, without event streams."""

    limits: Limits
    names: frozenset[str]
    needs_keys: bool
    keys: Keys
    audit: Audit
    memory: Memory
    failed: Callable[[int], None]
    buckets: Buckets
    guesses: Buckets
    congestion: Congestion
    sessions: Sessions
    streams: Streams
    local_hash: str = ""
    running: int = 0

    def known(self, token: bytes) -> Caller | None:
        """The holder of a key, or the command line of the user who runs this server."""
        if self.local_hash and hmac.compare_digest(hash_of_bytes(token), self.local_hash):
            return Caller("command line")
        return self.keys.caller_of(token)


def make_gate(settings: Settings, memory: Memory, failed: Callable[[int], None]) -> Gate:
    audit = Audit(reads=settings.door.needs_keys)
    sessions, streams = Sessions(strict=settings.door.needs_keys), Streams()

    def changed(name: str, what: KeyChange) -> None:
        audit.note(name, what, "ok")
        if what == "key revoked":
            streams.end(name)
            sessions.close(name)

    return Gate(
        limits=settings.limits,
        names=names_of(settings.door),
        needs_keys=settings.door.needs_keys,
        keys=Keys(settings.data_dir, changed),
        audit=audit,
        memory=memory,
        failed=failed,
        buckets=Buckets(settings.limits.rate),
        guesses=Buckets(GUESSES),
        congestion=Congestion(settings.limits.max_wait_ms),
        sessions=sessions,
        streams=streams,
        local_hash=hash_of_bytes(settings.local_key.encode()) if settings.local_key else "",
    )
