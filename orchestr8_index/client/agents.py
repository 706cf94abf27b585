"""The clients' methods for agents that work on one thing: shared values, messages, sessions.

Only the server can do these; without it each raises ServerAway at once. Times are seconds; `wait`
(45 at most) is how long the server may hold the answer back until there is one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from ..records import JsonObject
from ..sharing import Visibility
from .held import Held
from .methods import Awaited, Blocking, Given, Methods, client_method

Fenced = Held | Iterable[Mapping[str, str]] | None
Action = Literal["create", "join", "leave", "list", "get", "read", "set", "close"]
_SINGLE = ("ttl_s", "if_rev")


class AgentMethods(Methods):
    """The methods of the shared state. A request that is sent twice is done once."""

    @client_method
    def read_shared(
        self,
        keys: str | Iterable[str] | None = None,
        *,
        prefix: str | None = None,
        pattern: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        history: bool | None = None,
        at_rev: int | None = None,
        changed_after: int | None = None,
        wait: float | None = None,
    ) -> JsonObject:
        """`{items:[{key,value,rev,by,at}],rev}`; with `changed_after` `{events,rev}` since that."""
        return self._call("read_shared", _written(locals(), keys=_listed(keys)))

    @client_method
    def write_shared(
        self,
        ops: Mapping[str, Any] | Iterable[Mapping[str, Any]],
        *,
        ttl_s: int | None = None,
        if_rev: int | None = None,
        fence: Fenced = None,
        request_id: str | None = None,
    ) -> JsonObject:
        """Write values by key (None deletes), all or none: `{rev,items:[{key,rev}]}`.

        `ops` may be a list, too: `[{key,value,ttl_s?,if_rev?}]`. With the `fence` of a lock nothing
        is written when it is lost (StaleToken); with `if_rev` when others wrote since (Conflict).
        """
        given = _written(locals(), ops=_ops(ops, ttl_s, if_rev), request_id=request_id or _new())
        return self._call("write_shared", {k: v for k, v in given.items() if k not in _SINGLE})

    @client_method
    def send_message(
        self,
        to: str | Iterable[str],
        body: str,
        *,
        subject: str | None = None,
        session: str | None = None,
        reply_to: str | None = None,
        visibility: Visibility | None = None,
        priority: int | None = None,
        metadata: Any = None,
        expires_s: int | None = None,
        fence: Fenced = None,
        request_id: str | None = None,
    ) -> JsonObject:
        """To names, `role:R`, `session:ID`, `queue:Q`, `all`: `{id,recipients,never_seen}`."""
        given = _written(locals(), to=_listed(to), request_id=request_id or _new())
        return self._call("send_message", given)

    @client_method
    def read_inbox(
        self,
        *,
        limit: int | None = None,
        wait: float | None = None,
        ack: str | Iterable[str] | None = None,
        queue: str | None = None,
        take_s: int | None = None,
        peek: bool | None = None,
    ) -> JsonObject:
        """`{messages:[{id,from,body,tries,…}],waiting}`; what is not `ack`ed comes again."""
        return self._call("read_inbox", _written(locals(), ack=_listed(ack)))

    @client_method
    def session(
        self,
        action: Action,
        id: str | None = None,
        *,
        purpose: str | None = None,
        metadata: Any = None,
        state: Any = None,
        ttl_s: int | None = None,
        limit: int | None = None,
        after: int | None = None,
        query: str | None = None,
        fuzzy_threshold: float | None = None,
        max_tokens: int | None = None,
        offset: int | None = None,
        message: str | None = None,
        visibility: Sequence[str] | None = None,
        in_all: bool | None = None,
    ) -> JsonObject:
        """`{session}`, for list `{sessions}`, for read `{messages,rev}`; `query` searches them,
        `offset` pages them from the oldest, `message` is the id of one."""
        return self._call("session", _written(locals()))

    @client_method
    def break_lock(self, resource: str, reason: str) -> JsonObject:
        """End the locks on a resource; their holders are told, and their tokens are stale."""
        return self._call("break_lock", _written(locals()))

    @client_method
    def snapshot_shared(self, prefix: str | None = None) -> JsonObject:
        """All values below a prefix, for `restore_shared`: `{items,rev}`."""
        return self._call("snapshot_shared", _written(locals()))

    @client_method
    def restore_shared(
        self, items: Iterable[Mapping[str, Any]], prefix: str | None = None
    ) -> JsonObject:
        """Put everything below `prefix` back as in a snapshot's items; what is not there goes."""
        return self._call("restore_shared", _written(locals()))

    @client_method
    def coordination(self) -> JsonObject:
        """Who was seen and holds what: `{agents:[{name,last,tool,holds,unread,…}], counts…}`."""
        return self._call("coordination", _written(locals()))

    @client_method
    def locks(self, resources: str | Iterable[str] | None = None) -> JsonObject:
        """All locks, or those that overlap: `{locks:[{resource,holder,purpose,until,…}]}`."""
        return self._call("lock", {"action": "list", "resources": _listed(resources)})


class BlockingMethods(AgentMethods, Blocking):
    """The methods of a client that blocks."""


class AwaitedMethods(AgentMethods, Awaited):
    """The methods of a client for asyncio."""


def _written(given: Given, **instead: Any) -> Given:
    """A method's arguments as they are on the wire: `wait` in ms, a lock as its fences."""
    named = {**given, **instead}
    fence, wait = named.get("fence"), named.pop("wait", None)
    if isinstance(fence, Held):
        named["fence"] = fence.fences
    return named if wait is None else {**named, "wait_ms": int(wait * 1000)}


def _listed(given: str | Iterable[str] | None) -> Any:
    return [given] if isinstance(given, str) else given


def _ops(ops: Any, ttl_s: int | None, if_rev: int | None) -> Any:
    if not isinstance(ops, Mapping):
        return ops
    more = {
        name: value
        for name, value in zip(_SINGLE, (ttl_s, if_rev), strict=True)
        if value is not None
    }
    return [{"key": key, "value": value, **more} for key, value in ops.items()]


def _new() -> str:
    return secrets.token_urlsafe(12)
