"""What the guard of one server goes by: names, limits, keys, rates and sessions."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from ..config import Door, Limits
from .audit import Audit
from .body import LargeBodies
from .callers import Principal
from .events import KeyChanged
from .keys import LoadedKeys, hash_of_bytes
from .memory import MemoryLimit
from .rate import Buckets, BucketsOfAll
from .sessions import Sessions
from .shares import Shares

OWN_NAME = "command line"


@dataclass(slots=True)
class Gate:
    """`failed(code)` counts an error; `local_hash` is of the key of the user's command line;
    `unlogged` are the answers that had no line of their own in the log yet; `of_all` is a team's
    rate, where Redis counts it."""

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
    large: LargeBodies = field(default_factory=LargeBodies)

    @property
    def needs_keys(self) -> bool:
        return self.door.needs_keys

    def holder(self, token: bytes) -> Principal | None:
        """The holder of a key, or the command line of the user who runs this server."""
        if self.local_hash and hmac.compare_digest(hash_of_bytes(token), self.local_hash):
            return Principal(OWN_NAME, share=1.0)
        return self.keys.caller_of(token)

    def set_rate(self, rate: float) -> None:
        self.buckets.rate = rate
        if self.of_all is not None:
            self.of_all.set_rate(rate)

    def charge(self, who: str, method: str) -> None:
        """A call that was let in, over all servers. Raises TooManyRequests."""
        if self.of_all is not None:
            self.of_all.charge(who, method)

    def key_changed(self, event: KeyChanged) -> None:
        self.audit.note(event.name, event.change, "ok")
        if event.change == "key revoked":
            self.sessions.close(event.name)
