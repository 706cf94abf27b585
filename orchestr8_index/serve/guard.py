"""The guard in front of every route, in pure ASGI: who may ask, and how much at once.

Names first, then sizes, keys, the caller's rate, and whether the server can take more. Every
request has a correlation id, one line in the log, and, if it fails, an error of the family.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from typing import Any
from urllib.parse import unquote

from msgspec.structs import replace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import (
    HeadTooLarge,
    InternalError,
    InvalidRequest,
    Overloaded,
    RequestError,
    TooManyRequests,
    Unauthorized,
)
from .body import Bounded, Gone, check_announced
from .callers import CORRELATION, Caller, caller, correlation_id, new_ident
from .gate import OWN_NAME, Gate
from .host_names import OF_BROWSERS, check_host, check_page
from .keys import RELOAD_SECONDS
from .send import send_error
from .sessions import HEADER as SESSION

ONCE = frozenset(
    (
        *(b"host", b"origin", b"authorization", b"content-length", b"content-encoding"),
        *(b"content-type", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"),
    )
)
OPEN = frozenset({"/health/live"})  # answered without a key
AGENT, TREE, PROJECT = b"x-agent", b"x-tree", b"x-project"
ADDRESSED = "project"  # where the address of a request has named one
FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})
CALM = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})  # never shed
RIGHTS_OF = {"/reindex": "admin"}
_SAFE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_AGENT = re.compile(r"[A-Za-z0-9._@/-]{0,100}")
_TOKEN = re.compile(rb"bearer +([\x21-\x7e]{1,512})", re.IGNORECASE)
log = logging.getLogger("orchestr8.http")


class Guard:
    """Lets a request through to the application, or answers it with the reason why not."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self.app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        ident = _ident(headers.get(CORRELATION, b"").strip())
        token = correlation_id.set(ident.decode())
        response = _Response(scope, send, ident, self._gate)
        try:
            self._check_load(scope)
            await self._pass(scope, receive, response, headers)
        except RequestError as error:
            await self._refuse(scope, response, error)
        except Gone:
            pass
        except asyncio.CancelledError:  # an event stream, ended by a stop of the server
            if "stream" not in scope.get("state", {}):
                raise
        except Exception:  # the one place where a defect of a route becomes an answer
            log.exception("the request failed", extra={"path": scope["path"][:100]})
            await self._refuse(
                scope, response, InternalError("The server met an error of its own.")
            )
        finally:
            response.end()
            correlation_id.reset(token)

    async def _pass(
        self, scope: Scope, receive: Receive, send: _Response, headers: dict[bytes, bytes]
    ) -> None:
        gate, path = self._gate, scope["path"]
        self._check_head(scope, headers)
        asking = self._caller(scope, headers)
        send.name = asking.name
        if path not in CALM:
            gate.buckets.charge(asking.name)
            gate.memory.check()
        gate.sessions.check(_value(headers, SESSION), asking.name)
        asking.must_have(RIGHTS_OF.get(path, "read"))  # type: ignore[arg-type]
        token = caller.set(asking)
        try:
            whole = Bounded(
                receive, gate.limits.max_body, lambda: self._again(scope, headers, send)
            )
            await self.app(scope, whole, send)
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
        check_announced(headers, self._gate.limits.max_body)

    def _caller(self, scope: Scope, headers: dict[bytes, bytes]) -> Caller:
        """Raises Unauthorized, or TooManyRequests for a peer that goes on guessing."""
        gate, peer = self._gate, (scope.get("client") or ("local",))[0]
        sent = headers.get(b"authorization")
        token = _TOKEN.fullmatch(sent.strip()) if sent else None
        holder = gate.holder(token[1]) if token else None
        if holder is not None:
            own = is_own(scope, headers) and holder.name == OWN_NAME
            return _described(replace(holder, keyed=True, own=own), scope, headers)
        if scope["path"] in OPEN or not (gate.needs_keys or (token and gate.keys.any)):
            return _described(Caller(peer, own=is_own(scope, headers)), scope, headers)
        gate.guesses.charge(peer)
        raise Unauthorized("That key is not known." if token else "A key is needed here.")

    def _again(self, scope: Scope, headers: dict[bytes, bytes], send: _Response) -> None:
        """A key may have been revoked while its body came. Raises Unauthorized."""
        if time.perf_counter() - send.started > RELOAD_SECONDS:
            self._caller(scope, headers)

    def _check_load(self, scope: Scope) -> None:
        """Raises Overloaded, before anything else is looked at: refusing must cost little."""
        state = scope.get("state", {})
        if state.get("overloaded") and scope["path"] not in CALM:
            state["lines"].refused += 1
            raise Overloaded("More is asked than can be answered.")

    async def _refuse(self, scope: Scope, response: _Response, error: RequestError) -> None:
        self._gate.failed(error.code)
        if not isinstance(error, TooManyRequests | Overloaded):
            who = response.name or (scope.get("client") or ("local",))[0]
            what = f"{scope['method']} {scope['path']}" if scope["path"] in RIGHTS_OF else "request"
            self._gate.audit.note(who, what, f"{error.status} {type(error).__name__}")
        if response.status:
            raise error  # half an answer is out: the connection ends
        await send_error(response, error)


class _Response:
    """`send`, with the correlation id added and the outcome remembered for the log."""

    def __init__(self, scope: Scope, send: Send, ident: bytes, gate: Gate) -> None:
        self._scope, self._send, self._ident, self._gate = scope, send, ident, gate
        self.started, self.status = time.perf_counter(), 0
        self.name = ""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.get("headers", ())
            message["headers"] = [*headers, (CORRELATION, self._ident)]
            for name, value in headers:
                if value.startswith(b"text/event-stream"):
                    self._let_stream()
                elif name == SESSION:
                    self._gate.sessions.begin(value, self.name)
        await self._send(message)

    def _let_stream(self) -> None:
        """An event stream stays for hours: it is no running request, and a stop ends it."""
        state = self._scope.setdefault("state", {})
        if "stream" not in state and "lines" in state:
            state["lines"].streams += 1
        state["stream"] = asyncio.current_task()

    def end(self) -> None:
        state = self._scope.get("state", {})
        if "stream" in state and "lines" in state:
            state["lines"].streams -= 1
        if state.get("overloaded") and self.status == Overloaded.status:
            return  # one line a second counts them all
        is_probe = self._scope["path"] in CALM and self.status in (200, 503)
        level = logging.DEBUG if is_probe else logging.INFO  # machines ask every second
        if not log.isEnabledFor(level):
            return
        spent = round((time.perf_counter() - self.started) * 1000, 3)
        fields: dict[str, Any] = {"method": self._scope["method"], "ms": spent}
        fields |= {"path": self._scope["path"][:100], "status": self.status}
        log.log(level, "request", extra={**fields, "rpc": state.get("rpc_methods", "")})


def _described(asking: Caller, scope: Scope, headers: dict[bytes, bytes]) -> Caller:
    """With the name, the folder and the project that the caller gives. Raises InvalidRequest."""
    agent, *paths = [headers.get(name, b"").strip() for name in (AGENT, TREE, PROJECT)]
    named = scope.get("state", {}).get(ADDRESSED, "")
    if not agent and not any(paths) and not named:
        return asking
    try:
        tree, project = [unquote(path.decode(), errors="strict") for path in paths]
        named = replace(asking, agent=agent.decode(), tree=tree, project=named or project)
    except UnicodeDecodeError:
        cure = "Percent-encode them."
        raise InvalidRequest("X-Agent, X-Tree and X-Project are UTF-8.", cure) from None
    if not _AGENT.fullmatch(named.agent) or (tree and not os.path.isabs(tree)):
        cure = "X-Agent: up to 100 letters, digits and . _ @ / -; X-Tree: an absolute path."
        raise InvalidRequest("X-Agent or X-Tree cannot be used.", cure)
    return named


def is_own(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether a program of this machine asks, and neither a browser nor somebody behind a proxy."""
    peer = (scope.get("client") or ("",))[0]
    relayed = (OF_BROWSERS | FORWARDED) & headers.keys()
    return peer in ("127.0.0.1", "::1") and not relayed


def _value(headers: dict[bytes, bytes], name: bytes) -> bytes | None:
    value = headers.get(name)
    return None if value is None else value.strip()


def _ident(given: bytes) -> bytes:
    return given if _SAFE_ID.fullmatch(given) else new_ident().encode()
