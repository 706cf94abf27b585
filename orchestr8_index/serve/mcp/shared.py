"""The resources of the shared state in MCP."""

from __future__ import annotations

import sqlite3
from typing import Any
from urllib.parse import unquote

import mcp_types as types
import msgspec

from ...coordinate import locks, messages, sessions
from ...coordinate.caller import Caller
from ...coordinate.core import Coordination
from ...coordinate.select import Keys
from ...coordinate.values import present
from ...fit import fit_json
from ...sharing import ReadInbox, SessionCall
from ..state import State
from .resources import JSON, Resources
from .schemas import without_null
from .sessions import Ctx

SHOWN = 50  # messages that a resource shows
LOCKS, INBOX = "locks://", "inbox://me"
TEMPLATES = {
    "shared://{key}": "A value that agents share.",
    "session://{id}": "A session: its members, its state, and the last messages.",
}
_SCHEMES = ("locks", "inbox", "shared", "session")


def is_shared(uri: str) -> bool:
    return uri.partition("://")[0] in _SCHEMES


def read_address(
    connection: sqlite3.Connection, shared: Coordination, who: Caller, uri: str, limit: int = SHOWN
) -> Any:
    """The resource at a URI for this caller, None without one. Raises RequestError."""
    scheme, _, rest = unquote(uri).partition("://")
    who.require("read")
    if uri == LOCKS:
        return locks.list_locks(connection, shared.clock, who, [])
    if uri == INBOX:
        return {"messages": messages.peek(connection, who, ReadInbox(limit=limit))}
    if scheme == "shared":
        keys = who.may_read(Keys(keys=(rest,)))
        rows, _, _ = present(connection, shared.clock, who.project, keys, "", 1)
        return rows[0] if rows and not rest.startswith("@") else None
    if scheme == "session":
        session = sessions.get_session(connection, who.project, rest)
        query = SessionCall(action="read", id=rest, limit=limit)
        return {**session, **sessions.read_session(connection, who, query), "rev": None}
    return None


class SharedResources(Resources):
    """The resources of the shared state, and those of `beside` if the face has both."""

    fixed = ((LOCKS, "locks", "Who holds what."), (INBOX, "inbox", "What waits for you."))
    patterns = tuple(
        types.ResourceTemplate(uri_template=uri, name=uri[:7], description=what, mime_type=JSON)
        for uri, what in TEMPLATES.items()
    )

    def __init__(self, state: State, beside: Resources | None) -> None:
        super().__init__(state)
        self._beside = beside

    async def listed(
        self, ctx: Ctx, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        own = await super().listed(ctx, params)
        if self._beside is None:
            return own
        page = await self._beside.listed(ctx, params)
        return page.model_copy(update={"resources": [*own.resources, *page.resources]})

    async def templates(
        self, ctx: Ctx, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        others = self._beside.patterns if self._beside else ()
        return types.ListResourceTemplatesResult(resource_templates=[*self.patterns, *others])

    async def read(
        self, ctx: Ctx, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        if self._beside is not None and not is_shared(params.uri):
            return await self._beside.read(ctx, params)
        return await super().read(ctx, params)

    async def text_at(self, uri: str) -> tuple[str | None, str]:
        held = await self._held(uri, SHOWN) if is_shared(uri) else None
        if held is None:
            return None, JSON
        return fit_json(msgspec.json.encode(without_null(held))).decode(), JSON

    async def _held(self, uri: str, limit: int) -> Any:
        state, settings = self._addressed.shared, self._addressed.settings
        shared, who = await state.opened(settings), state.asking(settings)
        return await shared.read(read_address, shared, who, uri, limit)

    async def complete(self, ctx: Ctx, params: types.CompleteRequestParams) -> types.CompleteResult:
        if self._beside is not None:
            return await self._beside.complete(ctx, params)
        return await super().complete(ctx, params)

    def follows(self, uri: str) -> bool:
        return is_shared(uri)

    async def version_of(self, uri: str) -> str:
        if not is_shared(uri):
            return await self._beside.version_of(uri) if self._beside else ""
        held = await self._held(uri, SHOWN if uri == INBOX else 1)
        if held is not None and "session" in held:
            held["session"].pop("last")  # changes with private messages of others, too
        return msgspec.json.encode(held).decode() if held is not None else ""
