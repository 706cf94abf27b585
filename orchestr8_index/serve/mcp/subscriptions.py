"""Notifies MCP clients of both eras of changed resources and lists.

Notifications are not replayed to clients that were disconnected. Before 2026 a client subscribes to
one URI at a time and is notified on its session's stream; since then it listens on a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import mcp_types as types
from mcp.server.connection import Connection
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
)
from mcp.shared.exceptions import MCPError

from ...coordinate.core import Coordination
from ...errors import RequestError
from ..callers import Principal, caller
from ..events import Event, GenerationSwapped, Learnt
from ..state import State
from .resources import Resources
from .sessions import Ctx

MOST_WATCHED = 1000  # URIs of one client
MOST_ADDRESS = 2000  # characters
UNSEEN = "?"  # the version of a URI that was not read yet
PATIENCE = 5.0  # seconds that a client may take to read its notifications


@dataclass(slots=True, eq=False)
class Subscriber:
    """A client; `watched` has for each URI the version that was read last."""

    send: Callable[[ServerEvent], Awaitable[None]]
    who: Principal
    watched: dict[str, str] = field(default_factory=dict)


class Subscriptions:
    """The subscribed clients of one endpoint, of both eras of the protocol."""

    def __init__(self, state: State, resources: Resources) -> None:
        self._state, self._resources = state, resources
        self._sessions: dict[int, Subscriber] = {}
        self._listeners: dict[ListenHandler, Subscriber] = {}
        self._ends: list[Callable[[], None]] = []
        self._telling: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None
        self._share = state.gate.shares.watched

    def begin(self) -> None:
        events = self._state.events
        self._ends = [events.subscribe(kind, self._start) for kind in (GenerationSwapped, Learnt)]

    def end(self) -> None:
        """End all streams properly; later changes are not notified."""
        for end in self._ends:
            end()
        for listener in self._listeners:
            listener.close()
        if self._following is not None:
            self._following.cancel()

    async def initialized(self, ctx: Ctx, params: types.NotificationParams) -> None:
        self._session(ctx)

    async def subscribe(self, ctx: Ctx, params: types.SubscribeRequestParams) -> types.EmptyResult:
        subscriber = self._session(ctx)
        if params.uri not in subscriber.watched:
            if len(subscriber.watched) >= MOST_WATCHED:
                message = "That is one address too many. Unsubscribe from some."
                raise MCPError(types.INVALID_PARAMS, message)
            await self._watch(subscriber, [params.uri])
        return types.EmptyResult()

    async def unsubscribe(
        self, ctx: Ctx, params: types.UnsubscribeRequestParams
    ) -> types.EmptyResult:
        subscriber = self._session(ctx)
        if subscriber.watched.pop(params.uri, None) is not None:
            self._share.give(subscriber.who)
        return types.EmptyResult()

    async def _watch(self, subscriber: Subscriber, uris: list[str]) -> None:
        """Watch URIs. Raises MCPError for a long one, Overloaded when too many are watched."""
        if any(len(uri) > MOST_ADDRESS for uri in uris):
            raise MCPError(
                types.INVALID_PARAMS, f"An address has {MOST_ADDRESS:,} characters at most."
            )
        is_shared = any(map(self._resources.follows, uris))
        if is_shared and (self._following is None or self._following.done()):
            shared = await self._state.shared.opened(self._state.settings)
            self._following = asyncio.create_task(self._follow(shared))
        self._share.take(subscriber.who, len(uris))
        subscriber.watched |= dict.fromkeys(uris, UNSEEN)  # changes count from here on
        for uri in uris:
            now = await self.version_of(uri, subscriber.who)
            if uri in subscriber.watched:
                subscriber.watched[uri] = now

    def _leave(self, subscriber: Subscriber) -> None:
        self._share.give(subscriber.who, len(subscriber.watched))

    async def listen(
        self, ctx: Ctx, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        uris = (params.notifications.resource_subscriptions or [])[:MOST_WATCHED]
        bus = InMemorySubscriptionBus()
        listener, subscriber = ListenHandler(bus), Subscriber(bus.publish, caller.get())
        self._listeners[listener] = subscriber
        try:
            await self._watch(subscriber, list(dict.fromkeys(uris)))
            return await listener(ctx, params)
        finally:
            del self._listeners[listener]
            self._leave(subscriber)

    def _session(self, ctx: Ctx) -> Subscriber:
        connection = ctx.session._connection  # the SDK has no public access to it
        subscriber = self._sessions.get(id(connection))
        if subscriber is None:
            send = functools.partial(_notify, connection)
            subscriber = self._sessions[id(connection)] = Subscriber(send, caller.get())
            connection.exit_stack.callback(self._sessions.pop, id(connection))
            connection.exit_stack.callback(self._leave, subscriber)
        return subscriber

    async def version_of(self, uri: str, who: Principal) -> str:
        """The version of a resource as this caller sees it; "" without one."""
        token = caller.set(who)
        try:
            return await self._resources.version_of(uri)
        except RequestError:
            return ""
        finally:
            caller.reset(token)

    async def _follow(self, shared: Coordination) -> None:
        """Notify changes of the project's shared state until cancelled."""
        every = [(self._state.shared.asking(self._state.settings).project, "", True)]
        with contextlib.suppress(RequestError), shared.feed.listen(None, every) as it:
            while True:
                await it.wait(3600.0)
                await self._tell(lists=False)

    def _start(self, event: Event) -> None:
        task = asyncio.create_task(self._tell(isinstance(event, GenerationSwapped)))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, lists: bool) -> None:
        subscribers = [*self._listeners.values(), *self._sessions.values()]
        await asyncio.gather(*(self._tell_one(each, lists) for each in subscribers))

    async def _tell_one(self, subscriber: Subscriber, lists: bool) -> None:
        events: list[ServerEvent] = [ResourcesListChanged(), PromptsListChanged()] if lists else []
        for uri in list(subscriber.watched):
            now = await self.version_of(uri, subscriber.who)
            if uri in subscriber.watched and subscriber.watched[uri] != now:
                events.append(ResourceUpdated(uri))
                subscriber.watched[uri] = now
        with anyio.move_on_after(PATIENCE):
            for event in events:
                await subscriber.send(event)


async def _notify(connection: Connection, event: ServerEvent) -> None:
    if isinstance(event, ResourceUpdated):
        await connection.send_resource_updated(event.uri)
    elif isinstance(event, ResourcesListChanged):
        await connection.send_resource_list_changed()
    else:
        await connection.send_prompt_list_changed()
