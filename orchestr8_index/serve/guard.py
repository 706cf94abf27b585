"""The guard in front of every route, in pure ASGI: authentication, rate limits and admission.

It checks the server's load, the headers (host name, origin, announced size), the key, the caller's
rate limit and the memory. It gives each request a correlation id and a log line, and turns each
exception into an error response.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from msgspec.structs import replace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..environment import PROGRAM
from ..errors import (
    HeadTooLarge,
    InternalError,
    InvalidRequest,
    Overloaded,
    RequestError,
    TooManyRequests,
    Unauthorized,
)
from .body import LARGE, MAX_LARGE, BoundedReceive, ClientGone, check_announced, send_error
from .callers import CORRELATION, Principal, caller, correlation_id, new_ident
from .gate import HEADER as SESSION
from .gate import OWN_NAME, Gate
from .host_names import OF_BROWSERS, check_host, check_page
from .keys import RELOAD_SECONDS
from .shares import FREE_BYTES, NEAREST, Account, account, peer_of

ONCE = frozenset(
    b"host origin authorization content-length content-encoding content-type sec-fetch-site "
    b"sec-fetch-mode sec-fetch-dest".split()
)
OPEN = frozenset({"/health/live"})  # answered without a key
OURS = PROGRAM.encode()
AGENT, TREE, PROJECT = b"x-agent", b"x-tree", b"x-project"
ADDRESSED = "project"  # the key of the scope's state for a project that the path names
FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})
CALM = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})  # never shed
MOST_PATH = 4096
RIGHTS_OF = {"/reindex": "admin"}
_SAFE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_AGENT = re.compile(r"[A-Za-z0-9._@/-]{0,100}")
_TOKEN = re.compile(rb"bearer +([\x21-\x7e]{1,512})", re.IGNORECASE)
ONE_BY_ONE = frozenset({SESSION, CORRELATION})  # headers that differ from request to request
MOST_KNOWN = 256
NEARLY_FULL = 0.9  # the part of the running requests that ordinary callers may take
CheckedHead = tuple[Any, ...]
log = logging.getLogger("orchestr8.http")


class Guard:
    """Passes a request on to the application, or answers it with an error."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self.app, self._gate = app, gate
        self._known: dict[CheckedHead, Principal] = {}
        self._keys = -1  # the revision of the keys for which `_known` holds

    def remembered(self, scope: Mapping[str, Any]) -> Principal | None:
        """The caller of a `POST /` if this peer was admitted with equal headers before and the keys
        are unchanged since; None when the request needs the full check."""
        state = scope["state"]
        self._gate.keys.reload()
        if self._keys != self._gate.keys.revision:
            return None
        asking = self._known.get(state.get("sent") or state.setdefault("sent", _head_of(scope)))
        if asking is None or state["head_too_large"]:
            return None
        return asking if state["running"] < self._gate.limits.max_running * NEARLY_FULL else None

    def _remember(self, scope: Scope, headers: dict[bytes, bytes], asking: Principal) -> None:
        if self._keys != self._gate.keys.revision or len(self._known) >= MOST_KNOWN:
            self._known.clear()
            self._keys = self._gate.keys.revision
        is_call = scope["path"] == "/" and scope["method"] == "POST"
        is_plain = ADDRESSED not in scope.get("state", {}) and ONE_BY_ONE.isdisjoint(headers)
        if is_call and is_plain:
            self._known[_head_of(scope)] = asking

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        ident = headers.get(CORRELATION, b"").strip()
        if not _SAFE_ID.fullmatch(ident):
            ident = new_ident().encode()
        token = correlation_id.set(ident.decode())
        own = Account(self._gate.shares, Principal(""))
        response = _GuardedSend(scope, send, ident, self._gate, own)
        holding = account.set(own)
        try:
            self._check_load(scope, headers)
            await self._pass(scope, receive, response, headers)
        except asyncio.CancelledError:  # an event stream, ended by a stop of the server
            if "stream" not in scope.get("state", {}):
                raise
        except Exception as error:  # the one place where a route's exception becomes a response
            await self._failed(scope, response, alone(error))
        finally:
            response.end()
            own.close()
            account.reset(holding)
            correlation_id.reset(token)

    async def _pass(
        self, scope: Scope, receive: Receive, send: _GuardedSend, headers: dict[bytes, bytes]
    ) -> None:
        gate, path = self._gate, scope["path"]
        self._check_head(scope, headers)
        asking = self._caller(scope, headers)
        send.own.who = asking
        if path not in CALM:
            send.own.run()
            gate.buckets.charge(asking.name)
            gate.memory.check()
        gate.sessions.check(_value(headers, SESSION), asking.name)
        asking.must_have(RIGHTS_OF.get(path, "read"))  # type: ignore[arg-type]
        self._remember(scope, headers, asking)
        token = caller.set(asking)
        try:
            most, complete = gate.limits.max_body, lambda: self._recheck(scope, headers, send)
            bounded = BoundedReceive(receive, most, send.own, complete, path in LARGE)
            await self.app(scope, bounded, send)
        finally:
            if path in RIGHTS_OF:
                gate.audit.done(f"{scope['method']} {path}", str(send.status), False)
            caller.reset(token)

    def _check_head(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        if len(headers) < len(scope["headers"]):
            named = [name for name, _ in scope["headers"] if name in ONCE]
            if len(named) > len(set(named)):
                raise InvalidRequest("A header that counts once was sent twice.", "Send it once.")
        if scope.get("state", {}).get("head_too_large"):
            raise HeadTooLarge("The headers are too many or too long.")
        check_host(_value(headers, b"host"), self._gate.names)
        check_page(scope, headers, self._gate.names, self._gate.door)
        most = self._gate.limits.max_body
        check_announced(headers, max(most, MAX_LARGE) if scope["path"] in LARGE else most)

    def _caller(self, scope: Scope, headers: dict[bytes, bytes]) -> Principal:
        """The caller, by its key or its peer address. Raises Unauthorized, or TooManyRequests for
        a peer that sends too many wrong keys."""
        gate, peer = self._gate, _peer(scope) or NEAREST
        header = headers.get(b"authorization")
        token = _TOKEN.fullmatch(header.strip()) if header else None
        holder = gate.holder(token[1]) if token else None
        if holder is not None:
            own = is_own(scope, headers) and holder.name == OWN_NAME
            return _described(replace(holder, keyed=True, own=own), scope, headers)
        if _is_open(scope) and gate.door.needs_keys:  # without a key it may not name a project
            return Principal(peer, share=_share(scope, headers))
        if _is_open(scope) or not (gate.door.needs_keys or (token and gate.keys.any)):
            described = Principal(peer, own=is_own(scope, headers), share=_share(scope, headers))
            return _described(described, scope, headers)
        gate.guesses.charge(peer)
        raise Unauthorized("That key is not known." if token else "A key is needed here.")

    def _recheck(self, scope: Scope, headers: dict[bytes, bytes], send: _GuardedSend) -> None:
        """Check the key again after a slow body. Raises Unauthorized if it was revoked."""
        if time.perf_counter() - send.started > RELOAD_SECONDS:
            self._caller(scope, headers)

    def _check_load(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Raises Overloaded when too many requests run; the first check, so refusing is cheap."""
        state, most = scope.get("state", {}), self._gate.limits.max_running
        running = state.get("running", 0)
        if not running or scope["path"] in CALM:
            return
        if running >= math.ceil(most * _share(scope, headers)):
            state["lines"].refused += 1
            state["overloaded"] = True
            raise Overloaded("Too many requests are running.")

    async def _failed(self, scope: Scope, response: _GuardedSend, error: Exception) -> None:
        if isinstance(error, ClientGone):
            return
        if not isinstance(error, RequestError):
            extra = {"path": scope["path"][:100]}
            log.error("the request failed", exc_info=error, extra=extra)
            error = InternalError("The server met an error of its own.")
        self._gate.failed(error.code)
        if not isinstance(error, TooManyRequests | Overloaded):
            who = response.own.who.name or (scope.get("client") or ("local",))[0]
            what = f"{scope['method']} {scope['path']}" if scope["path"] in RIGHTS_OF else "request"
            self._gate.audit.note(who, what, f"{error.status} {type(error).__name__}")
        if response.status:
            raise error  # part of a response was sent: the connection ends
        await send_error(response, error)


class _GuardedSend:
    """A `send` that adds the correlation id, charges the response to the request's account, and
    notes the status for the log."""

    def __init__(self, scope: Scope, send: Send, ident: bytes, gate: Gate, own: Account) -> None:
        self._scope, self._send, self._ident, self._gate = scope, send, ident, gate
        self.started, self.status, self.own = time.perf_counter(), 0, own

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message.get("headers", ())
            message["headers"] = [*headers, (CORRELATION, self._ident)]
            for name, value in headers:
                if value.startswith(b"text/event-stream"):
                    self._let_stream()
                elif name == SESSION:
                    self._gate.sessions.begin(value, self.own.who.name)
                elif name == b"content-length":
                    self.own.hold_answer(int(value))
            self.status = message["status"]
        elif "stream" in self._scope.get("state", {}):
            await self._send_part(message)
            return
        await self._send(message)

    async def _send_part(self, message: Message) -> None:
        """Send a part of a stream, charged until the client has read it. Raises Overloaded."""
        size = len(message.get("body", b""))
        if size <= FREE_BYTES:
            await self._send(message)
            return
        self.own.hold(size)
        try:
            await self._send(message)
        finally:
            self.own.let_go(size)

    def _let_stream(self) -> None:
        """Count the request as an event stream instead of a running request; a stop cancels it."""
        state = self._scope.setdefault("state", {})
        self.own.stream()
        if "stream" not in state and "lines" in state:
            state["lines"].streams += 1
        state["stream"] = asyncio.current_task()

    def end(self) -> None:
        state = self._scope.get("state", {})
        if "stream" in state and "lines" in state:
            state["lines"].streams -= 1
        if state.get("overloaded") and self.status == Overloaded.status:
            return  # `Lines.sweep` logs their number
        if state.get("quiet"):
            return
        is_probe = self._scope["path"] in CALM and self.status in (200, 503)
        level = logging.DEBUG if is_probe else logging.INFO  # probes come every second
        if not log.isEnabledFor(level):
            return
        spent = round((time.perf_counter() - self.started) * 1000, 3)
        fields: dict[str, Any] = {"method": self._scope["method"], "ms": spent}
        fields |= {"path": self._scope["path"][:100], "status": self.status}
        log.log(level, "request", extra={**fields, "rpc": state.get("rpc_methods", "")})


def alone(error: Exception) -> Exception:
    """The first exception of a group (as task groups raise them) of RequestErrors and ClientGone
    only; else the error as it is."""
    if not isinstance(error, ExceptionGroup) or error.split((RequestError, ClientGone))[1]:
        return error
    first: Exception = error.subgroup(RequestError) or error
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return first


def _is_open(scope: Scope) -> bool:
    """Whether the route needs no key: liveness, and the page, which has no data and asks for it."""
    path, reads = scope["path"], scope["method"] in ("GET", "HEAD")
    return path in OPEN or (reads and (path == "/" or path.startswith("/page/")))


def _peer(scope: Scope) -> str:
    """The name by which a caller without a key is counted; "" for loopback."""
    return peer_of((scope.get("client") or ("local",))[0])


def _share(scope: Scope, headers: dict[bytes, bytes]) -> float:
    """The part of the limits up to which it is admitted; more for hooks and the command line."""
    if _peer(scope):
        return 0.9
    is_ours = headers.get(b"user-agent", b"").startswith(OURS)
    return 1.0 if is_ours else 0.95 if scope["path"].startswith("/hooks/") else 0.9


def _described(asking: Principal, scope: Scope, headers: dict[bytes, bytes]) -> Principal:
    """The caller with agent, tree and project of its headers and path. Raises InvalidRequest."""
    agent, *paths = [headers.get(name, b"").strip() for name in (AGENT, TREE, PROJECT)]
    in_path = scope.get("state", {}).get(ADDRESSED, "")
    if not agent and not any(paths) and not in_path:
        return asking
    try:
        tree, project = [unquote(path.decode(), errors="strict") for path in paths]
        named = replace(asking, agent=agent.decode(), tree=tree, project=in_path or project)
    except UnicodeDecodeError:
        cure = "Percent-encode them."
        raise InvalidRequest("X-Agent, X-Tree and X-Project are UTF-8.", cure) from None
    is_path = not tree or (len(tree) <= MOST_PATH and os.path.isabs(tree))
    if not _AGENT.fullmatch(named.agent) or not is_path or len(project) > MOST_PATH:
        cure = "X-Agent: up to 100 letters, digits and . _ @ / -; X-Tree: an absolute path."
        raise InvalidRequest("X-Agent or X-Tree cannot be used.", cure)
    return named


def is_own(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether the request comes from a local program, neither from a browser nor by a proxy."""
    peer = (scope.get("client") or ("",))[0]
    relayed = (OF_BROWSERS | FORWARDED) & headers.keys()
    return peer in ("127.0.0.1", "::1") and not relayed


def _head_of(scope: Mapping[str, Any]) -> CheckedHead:
    """All of a request's head that the checks depend on; two equal ones have equal results.

    The number of headers includes a second Content-Length, whose value is left out.
    """
    peer, headers = (scope.get("client") or ("local",))[0], scope["headers"]
    checked = tuple([each for each in headers if each[0] != b"content-length"])
    return peer, scope.get("server"), scope.get("scheme"), len(headers), checked


def _value(headers: dict[bytes, bytes], name: bytes) -> bytes | None:
    value = headers.get(name)
    return None if value is None else value.strip()
