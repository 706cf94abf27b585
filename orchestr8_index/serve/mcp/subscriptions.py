"""Who wants to know what has changed? Subscribers of both eras, told after a new generation.

A notification is a hint without replay: who was away asks again. Before 2026 a client subscribes to
one address at a time and is told on its session's stream; since then it listens on a request.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import anyio
from mcp.server.connection import Connection
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
)
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    EmptyResult,
    NotificationParams,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from ..state import State
from .skills import locate
from .tools import Ctx
from .uris import INDEX, PATTERNS, entry_at

MOST_WATCHED = 1000  # addresses of one client
PATIENCE = 5.0  # seconds that a client may take to read a notification


@dataclass(slots=True)
class Subscriber:
    """A session of the eras with a handshake, and the addresses that it watches."""

    connection: Connection
    uris: set[str] = field(default_factory=set)

    async def tell(self, lists: bool, changed: Iterable[str]) -> None:
        with anyio.move_on_after(PATIENCE):
            if lists:
                await self.connection.send_resource_list_changed()
                await self.connection.send_prompt_list_changed()
            for uri in self.uris.intersection(changed):
                await self.connection.send_resource_updated(uri)


class Changes:
    """`bus` reaches the listeners of the modern era."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.bus = InMemorySubscriptionBus()
        self._listeners = ListenHandler(self.bus)
        self._subscribers: dict[int, Subscriber] = {}
        self._watched: Counter[str] = Counter()
        self._seen: dict[str, str] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        self._state.refresh.on_swap.append(self._swapped)
        self._state.on_learnt.append(self._learnt)

    def end(self) -> None:
        """Streams end with their last word; what changes from here on is told to nobody."""
        if self._swapped in self._state.refresh.on_swap:
            self._state.refresh.on_swap.remove(self._swapped)
            self._state.on_learnt.remove(self._learnt)
        self._listeners.close()

    async def greeted(self, ctx: Ctx, params: NotificationParams) -> None:
        self._subscriber(ctx)

    async def subscribe(self, ctx: Ctx, params: SubscribeRequestParams) -> EmptyResult:
        known = self._subscriber(ctx).uris
        if len(known) >= MOST_WATCHED:
            raise MCPError(INVALID_PARAMS, "That is one address too many. Unsubscribe from some.")
        if params.uri not in known:
            known.add(params.uri)
            self._watch([params.uri])
        return EmptyResult()

    async def unsubscribe(self, ctx: Ctx, params: UnsubscribeRequestParams) -> EmptyResult:
        known = self._subscriber(ctx).uris
        if params.uri in known:
            known.remove(params.uri)
            self._forget([params.uri])
        return EmptyResult()

    async def listen(
        self, ctx: Ctx, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        uris = (params.notifications.resource_subscriptions or [])[:MOST_WATCHED]
        self._watch(uris)
        try:
            return await self._listeners(ctx, params)
        finally:
            self._forget(uris)

    def _subscriber(self, ctx: Ctx) -> Subscriber:
        connection = ctx.session._connection  # the context does not hand it out yet
        known = self._subscribers.get(id(connection))
        if known is None:
            known = self._subscribers[id(connection)] = Subscriber(connection)
            connection.exit_stack.callback(self._left, known)
        return known

    def _left(self, subscriber: Subscriber) -> None:
        del self._subscribers[id(subscriber.connection)]
        self._forget(subscriber.uris)

    def _watch(self, uris: Iterable[str]) -> None:
        for uri in uris:
            self._watched[uri] += 1
            self._seen.setdefault(uri, self._look(uri))

    def _forget(self, uris: Iterable[str]) -> None:
        for uri in uris:
            self._watched[uri] -= 1
            if not self._watched[uri]:
                del self._watched[uri], self._seen[uri]

    def _look(self, uri: str) -> str:
        """What an address holds now, in short; "" where there is nothing."""
        index = self._state.refresh.index
        if uri == PATTERNS:
            return str(self._state.keeper.revision if self._state.keeper else -1)
        if index is None or uri == INDEX:
            return str(index.generation if index else 0)
        if located := locate(index, uri):
            return located[0].digest
        kind, plugin, name = entry_at(uri) or ("agent", "", "")
        place = index.segments[kind].find(plugin, name)
        return "" if place is None else index.segments[kind].entry(place).digest

    def _swapped(self, index: object) -> None:
        self._start(lists=True)

    def _learnt(self) -> None:
        self._start(lists=False)

    def _start(self, lists: bool) -> None:
        task = asyncio.create_task(self._tell(lists))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, lists: bool) -> None:
        changed = [uri for uri in self._watched if self._look(uri) != self._seen[uri]]
        self._seen |= {uri: self._look(uri) for uri in changed}
        if lists:
            await self.bus.publish(ResourcesListChanged())
            await self.bus.publish(PromptsListChanged())
        for uri in changed:
            await self.bus.publish(ResourceUpdated(uri))
        subscribers = list(self._subscribers.values())
        await asyncio.gather(*(each.tell(lists, changed) for each in subscribers))
