"""The project and the agent of an MCP session.

Clients before 2026 may be asked for their roots: once, on the stream of a request, and again when
they say that these changed. A client that names its project by header, path or the bridge's folder
is not asked.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from weakref import WeakKeyDictionary

from mcp.server.connection import Connection
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import ListRootsRequest, ListRootsResult
from msgspec.structs import replace
from pydantic import ValidationError

from ...coordinate.caller import Caller
from ...errors import NoSuchProject
from ..callers import STRANGE, Principal, caller
from ..faces import named
from ..gate import HEADER
from ..sharedstate import speaking
from ..shares import owner_of
from ..state import State
from .exchange import ONE_BODY

if TYPE_CHECKING:
    from ...faces.face import Product

SECONDS = 1.0  # the timeout of the request for roots
WITHOUT = ("initialize", "ping", "tools/list", "logging/setLevel")
CHANGED = "notifications/roots/list_changed"
TOOL_USE = "claudecode/toolUseId"
MOST_NAME = 80
Ctx = ServerRequestContext[Any, Any]
_meant: contextvars.ContextVar[State | None] = contextvars.ContextVar("meant", default=None)


class OfProject:
    """A base for handlers: `_state` is the project of the session's roots, else of its URL."""

    def __init__(self, state: State) -> None:
        self._addressed = state

    @property
    def _state(self) -> State:
        return _meant.get() or self._addressed


class Roots:
    """A middleware that finds each session's project by its first root."""

    def __init__(self, state: State) -> None:
        self._projects = state.projects
        self._folders: WeakKeyDictionary[Connection, str] = WeakKeyDictionary()

    async def __call__(self, ctx: Any, call_next: CallNext) -> HandlerResult:
        asking, connection = caller.get(), ctx.session._connection  # `session` is per request
        if ctx.method == CHANGED:
            self._folders.pop(connection, None)
        if ctx.request_id is None or ctx.method in WITHOUT or not self._may_be_asked(ctx, asking):
            return await call_next(ctx)
        if connection not in self._folders:
            self._folders[connection] = await _first_root(ctx)
        token = _meant.set(await self._meant(asking, self._folders[connection]))
        try:
            return await call_next(ctx)
        finally:
            _meant.reset(token)

    def _may_be_asked(self, ctx: Any, asking: Principal) -> bool:
        """Whether the client has roots, is a program of this user, and names no project."""
        capabilities = ctx.session.client_capabilities
        has_roots = capabilities is not None and capabilities.roots is not None
        return has_roots and asking.own and not asking.tree and not asking.project

    async def _meant(self, asking: Principal, folder: str) -> State | None:
        if not folder:
            return None
        with contextlib.suppress(NoSuchProject):
            return await self._projects.of(replace(asking, tree=folder))
        return None


async def _first_root(ctx: Any) -> str:
    """The first root that is an existing folder; "" for none, or without an answer."""
    state = ctx.request.scope.get("state", {}) if ctx.request is not None else {}
    if not ctx.session.can_send_request or state.get(ONE_BODY):
        return ""
    beside = ServerMessageMetadata(related_request_id=ctx.request_id)
    try:
        answer = await ctx.session.send_request(
            ListRootsRequest(), ListRootsResult, SECONDS, metadata=beside
        )
    except (MCPError, ValidationError):
        return ""
    parts = (urlsplit(str(root.uri)) for root in answer.roots)
    folders = (unquote(part.path) for part in parts if part.scheme == "file")
    return next((folder for folder in folders if os.path.isdir(folder)), "")


def identify(state: State, face: Product | None = None) -> ServerMiddleware[Any]:
    """A middleware that sets the agent of a call: by a hook that reported this tool use, else by
    its key and agent name, else by the client's name."""

    async def identified(ctx: Ctx, call_next: CallNext) -> HandlerResult:
        params = ctx.session.client_params
        client = STRANGE.sub("-", params.client_info.name)[:MOST_NAME] if params else ""
        with named(face, session_of(ctx), client):
            token = speaking.set(_hooked(state, ctx, caller.get()))
            try:
                return await call_next(ctx)
            finally:
                speaking.reset(token)

    return identified


def session_of(ctx: Ctx) -> str:
    """The id of the request's session; "" without one."""
    return ctx.request.headers.get(HEADER.decode(), "") if ctx.request is not None else ""


def _hooked(state: State, ctx: Ctx, asks: Principal) -> Caller | None:
    meta = (ctx.params or {}).get("_meta") or {}
    use = meta.get(TOOL_USE) if isinstance(meta, dict) else None
    who = state.claims.agent_of(use, asks) if isinstance(use, str) else None
    known = {"scope": asks.right, "kind": asks.kind, "verified": asks.keyed}
    known |= {"writes": asks.writes, "sees_one": bool(asks.projects), "owner": owner_of(asks)}
    return replace(who, **known) if who else None
