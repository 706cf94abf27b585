"""Publish and subscribe within the process: calls and streams wait until a key is changed."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from ..errors import Overloaded, RequestError, StoreUnavailable, Unauthorized
from .select import Keys

OnChange = Callable[[str, Iterable[str] | None], None]
Wanted = list[tuple[str, str, bool]]  # project, key or prefix, whether it is a prefix


KEYS_OF_ONE = 10  # a call that waits for up to so many keys counts as one


class Owner(Struct, frozen=True):
    """Who is charged for waiting calls. The calls of one `name`, an API key's or else a peer's, may
    take `part` of all places; once `share` of all places is taken, by anyone, they get none. Half
    of the places is the most for one `agent`, as a caller without a key calls itself."""

    name: str
    agent: str = ""
    keyed: bool = False
    part: float = 0.5
    share: float = 1.0


class Waiter:
    """A call or a stream that waits: woken to read again, or with the error that ends it."""

    def __init__(self, weight: int) -> None:
        self.weight = weight  # how many calls it counts as, more for many keys
        self._woken = asyncio.Event()
        self._error: RequestError | None = None

    def wake(self, error: RequestError | None = None) -> None:
        self._error = self._error or error
        self._woken.set()

    async def wait(self, seconds: float) -> None:
        """Until it is woken or the time is over. Raises the error that ends it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()
        if self._error is not None:
            raise self._error


T = TypeVar("T", bound=Sequence[Any])


class Feed:
    """Waiters by the keys and prefixes that they wait for; used from one event loop.

    `count` is called with 1 and -1 as calls begin and cease to wait, but not for streams.
    `followers` are called with the project and the topics of each change; None for unknown topics.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._wanted: dict[tuple[str, str, bool], set[Waiter]] = {}
        self._lengths: Counter[int] = Counter()  # of the prefixes
        self._waiters: dict[Waiter, Owner | None] = {}
        self._taken: Counter[object] = Counter()  # calls, by whom they are counted
        self.published = 0
        self.is_closed = False
        self.count: Callable[[int], None] = lambda more: None
        self.followers: list[OnChange] = []

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    async def until(
        self, owner: Owner, wanted: Wanted, seconds: float, read: Callable[[], Awaitable[T]]
    ) -> T:
        """The result of `read`, which is called again after each change of `wanted` until the first
        part of its result is not empty or the time is over. Raises Overloaded, StoreUnavailable,
        and Unauthorized if the owner's key is revoked meanwhile."""
        loop, published = asyncio.get_running_loop(), self.published
        end = loop.time() + seconds
        result = await read()
        if result[0] or seconds <= 0:
            return result
        with self.listen(owner, wanted) as waiter:
            if self.published != published:  # while `read` ran
                waiter.wake()
            while not result[0] and (left := end - loop.time()) > 0:
                self.count(1)
                try:
                    await waiter.wait(left)
                finally:
                    self.count(-1)
                result = await read()
        return result

    @contextlib.contextmanager
    def listen(self, owner: Owner | None, wanted: Wanted) -> Iterator[Waiter]:
        """Within: a waiter that each change of `wanted` wakes. Raises as `until` does. One without
        an owner is the server's own, and not limited."""
        if self.is_closed:
            raise _stopping()
        wanted = list(dict.fromkeys(wanted))
        waiter = Waiter(max(1, min(self._most // 2, len(wanted) // KEYS_OF_ONE)))
        counted = self._bounds(owner) if owner else {}
        if any(self._taken[who] + waiter.weight > most for who, most in counted.items()):
            raise Overloaded(f"{self.waiting:,} calls are waiting already.")
        counts = Counter(dict.fromkeys(counted, waiter.weight))
        lengths = Counter(len(key) for _, key, is_prefix in wanted if is_prefix)
        self._waiters[waiter] = owner
        self._taken += counts
        self._lengths += lengths
        for each in wanted:
            self._wanted.setdefault(each, set()).add(waiter)
        try:
            yield waiter
        finally:
            del self._waiters[waiter]
            self._taken -= counts
            self._lengths -= lengths
            for each in wanted:
                self._wanted[each].discard(waiter)
                if not self._wanted[each]:
                    del self._wanted[each]

    def _bounds(self, owner: Owner) -> dict[object, int]:
        """By whom a call of this owner is counted, with the limit of each."""
        most, half = self._most, max(1, self._most // 2)
        counted: dict[object, int] = {None: math.ceil(most * owner.share)}
        counted[owner.keyed, owner.name] = max(1, int(most * owner.part))
        if not owner.keyed:
            counted["agent", owner.name, owner.agent] = half
        return counted

    def publish(self, project: str, topics: Iterable[str]) -> None:
        """Wake the waiters of these keys, and of their prefixes."""
        self._follow(project, topics)
        self.published += 1
        if not self.waiting:
            return
        for key in topics:
            self._wake(project, key, False)
            for length in self._lengths:
                self._wake(project, key[:length], True)

    def _wake(self, *wanted: Any) -> None:
        for waiter in self._wanted.get(wanted, ()):
            waiter.wake()

    def publish_all(self, project: str) -> None:
        """Wake all waiters of a project: what changed there is unknown."""
        self._follow(project, None)
        self.published += 1
        for (of, _, _), waiters in self._wanted.items():
            for waiter in waiters if of == project else ():
                waiter.wake()

    def _follow(self, project: str, topics: Iterable[str] | None) -> None:
        for follow in self.followers:
            follow(project, topics)

    def close(self) -> None:
        """End every wait, as the server stops."""
        self.is_closed = True
        for waiter in self._waiters:
            waiter.wake(_stopping())

    def end(self, name: str) -> None:
        """End the waits of a revoked API key."""
        for waiter, owner in self._waiters.items():
            if owner and owner.keyed and owner.name == name:
                waiter.wake(Unauthorized("That key was revoked."))


def _stopping() -> StoreUnavailable:
    return StoreUnavailable("The server stops.", "Ask again when it is back.")


def wanted_by(project: str, keys: Keys) -> Wanted:
    """What a reader of these keys waits for."""
    if keys.keys is not None:
        return [(project, key, False) for key in keys.keys]
    return [(project, keys.start, True)]
