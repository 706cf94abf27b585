"""The server's event bus: an event is published once, to all subscribers of its class."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

from msgspec import Struct

from ..records import Result

KeyChange = Literal["key added", "key revoked"]
MOST_WAITING = 256  # events in the queue of a slow subscriber


class Event(Struct, frozen=True):
    """An event; its class says what happened."""


class GenerationSwapped(Event, frozen=True):
    """A new generation of the index serves."""

    generation: int


class Learnt(Event, frozen=True):
    """A call of `method` (its wire name) changed what was learnt."""

    method: str


class Delegated(Event, frozen=True):
    """A task delegated to an agent of the host has started or ended; both have the same `id`."""

    state: Literal["started", "ended"]
    id: str
    agent: str
    task: str
    result: Result | None = None
    duration_ms: float | None = None


class KeyChanged(Event, frozen=True):
    """The key of this name was added or revoked."""

    name: str
    change: KeyChange


E = TypeVar("E", bound=Event)


class Inbox:
    """A subscriber's queue of at most `most` events, which drops the oldest; `arrived` is called
    for each new event."""

    def __init__(self, arrived: Callable[[], None], most: int) -> None:
        self._waiting: deque[Event] = deque(maxlen=most)
        self._arrived = arrived
        self._lost = 0

    def put(self, event: Event) -> None:
        self._lost += len(self._waiting) == self._waiting.maxlen
        self._waiting.append(event)
        self._arrived()

    def take(self) -> tuple[int, list[Event]]:
        """(number of events dropped since the last call, the queued events); empties the queue."""
        lost, events = self._lost, list(self._waiting)
        self._lost = 0
        self._waiting.clear()
        return lost, events


class Events:
    """The bus. It calls subscribers in order of subscription; only for the event loop's thread."""

    def __init__(self) -> None:
        self._subscribers: dict[type[Event], list[Callable[[Any], None]]] = {}

    def subscribe(self, kind: type[E], receive: Callable[[E], None]) -> Callable[[], None]:
        """Call `receive` with each event of that class; gives a function that unsubscribes."""
        subscribers = self._subscribers.setdefault(kind, [])
        subscribers.append(receive)

        def unsubscribe() -> None:
            if receive in subscribers:
                subscribers.remove(receive)

        return unsubscribe

    def publish(self, event: Event) -> None:
        for receive in tuple(self._subscribers.get(type(event), ())):
            receive(event)

    @contextlib.contextmanager
    def inbox(
        self, *kinds: type[Event], arrived: Callable[[], None], most: int = MOST_WAITING
    ) -> Iterator[Inbox]:
        """Subscribe a queue to events of these classes, until the end of the block."""
        inbox = Inbox(arrived, most)
        ends = [self.subscribe(kind, inbox.put) for kind in kinds]
        try:
            yield inbox
        finally:
            for end in ends:
                end()
