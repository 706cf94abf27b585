"""The server's one event bus: whatever happens is published once, to all who have subscribed."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

from msgspec import Struct

from ..records import Result

KeyChange = Literal["key added", "key revoked"]
MOST_WAITING = 256  # events that one slow subscriber may have waiting


class Event(Struct, frozen=True):
    """Something that has happened. What it was is its class."""


class GenerationSwapped(Event, frozen=True):
    """Questions are answered from a new generation."""

    generation: int


class Learnt(Event, frozen=True):
    """A method (its name on the wire) has changed what was learnt."""

    method: str


class Delegated(Event, frozen=True):
    """A task was given to an agent of the host, or has ended; `id` joins the two."""

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
    """The events that one subscriber has not taken yet; `arrived` is called with each new one.

    Holds `most` events: the oldest makes way for a newer one.
    """

    def __init__(self, arrived: Callable[[], None], most: int) -> None:
        self._waiting: deque[Event] = deque(maxlen=most)
        self._arrived = arrived
        self._lost = 0

    def put(self, event: Event) -> None:
        self._lost += len(self._waiting) == self._waiting.maxlen
        self._waiting.append(event)
        self._arrived()

    def take(self) -> tuple[int, list[Event]]:
        """How many were lost since the last time, and those that are there."""
        lost, events = self._lost, list(self._waiting)
        self._lost = 0
        self._waiting.clear()
        return lost, events


class Events:
    """Publishes to the subscribers in the order in which they came, in the server's one thread."""

    def __init__(self) -> None:
        self._subscribers: dict[type[Event], list[Callable[[Any], None]]] = {}

    def subscribe(self, kind: type[E], receive: Callable[[E], None]) -> Callable[[], None]:
        """Call `receive` with each event of that class; returns what ends that."""
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
        """Within: the events of these classes, to be taken after they have arrived."""
        inbox = Inbox(arrived, most)
        ends = [self.subscribe(kind, inbox.put) for kind in kinds]
        try:
            yield inbox
        finally:
            for end in ends:
                end()
