"""The shared state in MCP: who calls, its tools' answers, and resources that can be watched."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    EmptyResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    TextResourceContents,
)

from ...errors import RequestError
from ...fit import fit_json
from ..callers import STRANGE, Principal, caller
from ..shared import asking, opened
from ..state import State
from .resources import JSON, Resources
from .results import without_null
from .subscriptions import Subscriptions
from .tools import COPIES, Ctx, hold

if TYPE_CHECKING:
    from ...coordinate.caller import Caller
    from ...coordinate.core import Coordination

SHOWN = 50  # messages that a resource shows
LOCKS, INBOX = "locks://", "inbox://me"
TEMPLATES = {
    "shared://{key}": "A value that agents share.",
    "session://{id}": "A session: its members, its state, and the last messages.",
}
_SCHEMES = ("locks", "inbox", "shared", "session")


async def identify(ctx: Ctx, call_next: CallNext) -> HandlerResult:
    """Who calls: by its key and what it calls itself, else by the name of the client."""
    asks = caller.get()
    client = ctx.session.client_params
    if client is not None:
        name = STRANGE.sub("-", client.client_info.name)[:100]
        asks = msgspec.structs.replace(asks, agent=asks.agent or name, client=name)
    token = caller.set(asks)
    try:
        return await call_next(ctx)
    finally:
        caller.reset(token)


# --- resources ---------------------------------------------------------------------------------


def is_shared(uri: str) -> bool:
    return uri.partition("://")[0] in _SCHEMES


def read_address(
    connection: sqlite3.Connection, shared: Coordination, who: Caller, uri: str, limit: int = SHOWN
) -> Any:
    """What an address holds for this caller, None for nothing. Raises RequestError."""
    from ...coordinate import locks, messages, sessions
    from ...coordinate.select import Keys
    from ...coordinate.values import present
    from ...sharing import ReadInbox, SessionCall

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
        told = sessions.get_session(connection, who.project, rest)
        asked = SessionCall(action="read", id=rest, limit=limit)
        return {**told, **sessions.read_session(connection, who, asked), "rev": None}
    return None


class SharedResources:
    """The addresses of the shared state, beside those of an index where the face has both."""

    def __init__(self, state: State, beside: Resources | None) -> None:
        self._state, self._beside = state, beside

    async def listed(self, ctx: Ctx, params: PaginatedRequestParams | None) -> ListResourcesResult:
        own = [
            Resource(uri=LOCKS, name="locks", description="Who holds what.", mime_type=JSON),
            Resource(uri=INBOX, name="inbox", description="What waits for you.", mime_type=JSON),
        ]
        if self._beside is None:
            return ListResourcesResult(resources=own)
        told = await self._beside.listed(ctx, params)
        first = [] if params and params.cursor else own
        return told.model_copy(update={"resources": [*first, *told.resources]})

    async def templates(
        self, ctx: Ctx, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        own = [
            ResourceTemplate(uri_template=uri, name=uri[:7], description=what, mime_type=JSON)
            for uri, what in TEMPLATES.items()
        ]
        others = await self._beside.templates(ctx, params) if self._beside else None
        rest = others.resource_templates if others else []
        return ListResourceTemplatesResult(resource_templates=[*own, *rest])

    async def read(self, ctx: Ctx, params: ReadResourceRequestParams) -> ReadResourceResult:
        if self._beside is not None and not is_shared(params.uri):
            return await self._beside.read(ctx, params)
        told = None
        if is_shared(params.uri):
            shared, who = await opened(self._state), asking(self._state)
            told = await shared.read(read_address, shared, who, params.uri)
        if told is None:
            cure = "List the resources and templates for those that exist."
            error = f"There is no such resource. {cure}"
            raise MCPError(INVALID_PARAMS, error, {"uri": params.uri[:1000]})
        text = fit_json(msgspec.json.encode(without_null(told))).decode()
        hold(ctx, COPIES * len(text))
        contents = TextResourceContents(uri=params.uri, mime_type=JSON, text=text)
        return ReadResourceResult(contents=[contents])

    async def complete(self, ctx: Ctx, params: CompleteRequestParams) -> CompleteResult:
        if self._beside is not None:
            return await self._beside.complete(ctx, params)
        return CompleteResult(completion=Completion(values=[], total=0, has_more=False))


class SharedSubscriptions(Subscriptions):
    """Watches addresses of the shared state, too: looked at after each change of the project."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._following: asyncio.Task[None] | None = None

    def end(self) -> None:
        super().end()
        if self._following is not None:
            self._following.cancel()

    async def subscribe(self, ctx: Ctx, params: SubscribeRequestParams) -> EmptyResult:
        await self._follow([params.uri])
        return await super().subscribe(ctx, params)

    async def listen(
        self, ctx: Ctx, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        await self._follow(params.notifications.resource_subscriptions or [])
        return await super().listen(ctx, params)

    def follows(self, uri: str) -> bool:
        """Whether a change of the shared state may change it."""
        return is_shared(uri)

    async def version_of(self, uri: str, who: Principal) -> str:
        shared = self._state.shared.ready if self._state.shared else None
        if not is_shared(uri) or shared is None:
            return await super().version_of(uri, who)
        token = caller.set(who)
        try:
            limit, asks = 50 if uri == INBOX else 1, asking(self._state)
            told = await shared.read(read_address, shared, asks, uri, limit)
        except RequestError:
            return ""
        finally:
            caller.reset(token)
        if told is not None and "session" in told:
            told["session"].pop("last")  # a private message of others moves it
        return msgspec.json.encode(told).decode() if told is not None else ""

    async def _follow(self, uris: list[str]) -> None:
        if any(map(self.follows, uris)) and (self._following is None or self._following.done()):
            shared = await opened(self._state)
            self._following = asyncio.create_task(self._tell_changes(shared))

    async def _tell_changes(self, shared: Coordination) -> None:
        every = [(asking(self._state).project, "", True)]
        with contextlib.suppress(RequestError), shared.feed.listen(None, every) as it:
            while True:
                await it.wait(3600.0)
                await self._tell(lists=False)
