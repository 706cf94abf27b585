"""Who may ask, and how much at once? Pure ASGI, in front of every route.

A web page can make a browser send requests to localhost; the browser then names a foreign Host (DNS
rebinding) or a foreign Origin, and both are refused. Every request gets a correlation id.
"""

from __future__ import annotations

import contextvars
import logging
import re
import secrets
import time
from urllib.parse import urlsplit

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
CORRELATION = b"x-correlation-id"
_SAFE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
correlation_id: contextvars.ContextVar[str] = contextvars.ContextVar("correlation_id", default="")
log = logging.getLogger("orchestr8.http")


class Guard:
    """Refuses foreign hosts and origins, names every request, and writes one log line for it."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] = LOCAL_NAMES) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.strip() for name, value in scope["headers"]}
        ident = _ident(headers.get(CORRELATION, b""))
        token = correlation_id.set(ident.decode())
        watched = _Watched(scope, send, ident)
        try:
            if refused := self._refused(headers):
                await send_json(watched, *refused)
            else:
                await self._app(scope, receive, watched)
        finally:
            watched.log()
            correlation_id.reset(token)

    def _refused(self, headers: dict[bytes, bytes]) -> tuple[int, dict[str, str]] | None:
        host = headers.get(b"host", b"").decode("latin-1")
        if hostname(f"//{host}") not in self._hosts:
            return 421, {"error": "This server answers to localhost and 127.0.0.1 only."}
        origin = headers.get(b"origin")
        if origin is not None and hostname(origin.decode("latin-1")) not in self._hosts:
            return 403, {"error": "Requests from web pages of other origins are refused."}
        return None


class _Watched:
    """`send`, with the correlation id added and the outcome remembered for the log."""

    def __init__(self, scope: Scope, send: Send, ident: bytes) -> None:
        self._scope, self._send, self._ident = scope, send, ident
        self._started, self._status = time.perf_counter(), 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = [*message.get("headers", ()), (CORRELATION, self._ident)]
        await self._send(message)

    def log(self) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        spent = round((time.perf_counter() - self._started) * 1000, 3)
        said = {"method": self._scope["method"], "path": self._scope["path"][:100]}
        told = self._scope.get("state", {}).get("rpc_methods", "")
        log.info("request", extra={**said, "status": self._status, "ms": spent, "rpc": told})


def hostname(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""


def _ident(given: bytes) -> bytes:
    return given if _SAFE_ID.fullmatch(given) else secrets.token_hex(8).encode()


async def send_json(send: Send, status: int, body: object, *headers: tuple[bytes, bytes]) -> None:
    await send_bytes(send, status, msgspec.json.encode(body), b"application/json", *headers)


async def send_bytes(
    send: Send, status: int, body: bytes, kind: bytes, *headers: tuple[bytes, bytes]
) -> None:
    fixed = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if status == 204:
        fixed = []
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})
