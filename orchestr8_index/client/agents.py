"""The clients' methods for shared state: values, messages, sessions, locks.

They need the server and raise ServerAway without one. Times are in seconds; `wait` (at most 45) is
how long the server may hold its response back until there is something to return.
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
    """The methods of the shared state. A `request_id` makes a repeated write take effect once."""

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
        """`{items:[{key,value,rev,by,at}],rev}`; with `changed_after`, `{events,rev}` after it."""
        return self._call("read_shared", _params(locals(), keys=_listed(keys)))

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

        `ops` may also be a list `[{key,value,ttl_s?,if_rev?}]`. Raises StaleToken when the lock of
        `fence` is lost, Conflict when a value's revision is not `if_rev`; then nothing is written.
        """
        params = _params(locals(), ops=_ops(ops, ttl_s, if_rev), request_id=request_id or _new())
        return self._call("write_shared", {k: v for k, v in params.items() if k not in _SINGLE})

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
        """Send to names, `role:R`, `session:ID`, `queue:Q`, `all`: `{id,recipients,never_seen}`."""
        params = _params(locals(), to=_listed(to), request_id=request_id or _new())
        return self._call("send_message", params)

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
        """`{messages:[{id,from,body,tries,…}],waiting}`; messages are redelivered until `ack`ed."""
        return self._call("read_inbox", _params(locals(), ack=_listed(ack)))

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
        """`{session}`; for list `{sessions}`; for read `{messages,rev}`, where `query` searches the
        messages, `offset` pages them from the oldest, and `message` is the id of one."""
        return self._call("session", _params(locals()))

    @client_method
    def break_lock(self, resource: str, reason: str) -> JsonObject:
        """End the locks on a resource: their holders get an event, their tokens become stale."""
        return self._call("break_lock", _params(locals()))

    @client_method
    def snapshot_shared(self, prefix: str | None = None) -> JsonObject:
        """All values below a prefix, for `restore_shared`: `{items,rev}`."""
        return self._call("snapshot_shared", _params(locals()))

    @client_method
    def restore_shared(
        self, items: Iterable[Mapping[str, Any]], prefix: str | None = None
    ) -> JsonObject:
        """Make the values below `prefix` those of a snapshot's items; others are deleted."""
        return self._call("restore_shared", _params(locals()))

    @client_method
    def coordination(self) -> JsonObject:
        """Each agent with its locks, and counts: `{agents:[{name,last,tool,holds,unread,…}],…}`."""
        return self._call("coordination", _params(locals()))

    @client_method
    def locks(self, resources: str | Iterable[str] | None = None) -> JsonObject:
        """All locks, or those that overlap `resources`: `{locks:[{resource,holder,until,…}]}`."""
        return self._call("lock", {"action": "list", "resources": _listed(resources)})


class BlockingMethods(AgentMethods, Blocking):
    """The shared-state methods of the blocking client."""


class AwaitedMethods(AgentMethods, Awaited):
    """The shared-state methods of the asyncio client."""


def _params(arguments: Given, **replaced: Any) -> Given:
    """A method's arguments as params for the wire: `wait` in ms, a Held lock as its fences."""
    params = {**arguments, **replaced}
    fence, wait = params.get("fence"), params.pop("wait", None)
    if isinstance(fence, Held):
        params["fence"] = fence.fences
    return params if wait is None else {**params, "wait_ms": int(wait * 1000)}


def _listed(value: str | Iterable[str] | None) -> Any:
    return [value] if isinstance(value, str) else value


def _ops(ops: Any, ttl_s: int | None, if_rev: int | None) -> Any:
    if not isinstance(ops, Mapping):
        return ops
    named = zip(_SINGLE, (ttl_s, if_rev), strict=True)
    more = {name: value for name, value in named if value is not None}
    return [{"key": key, "value": value, **more} for key, value in ops.items()]


def _new() -> str:
    return secrets.token_urlsafe(12)
