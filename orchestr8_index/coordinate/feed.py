"""Who waits for what: woken in the loop, after the commit that concerns them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from ..errors import Overloaded, RequestError, StoreUnavailable, Unauthorized
from .select import Keys

Follow = Callable[[str, Iterable[str] | None], None]
Wanted = list[tuple[str, str, bool]]  # project, key or prefix, whether it is a prefix


KEYS_OF_ONE = 10  # that a call may wait for and count as one


class Waiter:
    """A call or a stream that waits: told to look again, or that it may wait no longer."""

    def __init__(self, weight: int) -> None:
        self.weight = weight  # in calls: of those that wait for many keys fewer may wait
        self._woken = asyncio.Event()
        self._error: RequestError | None = None

    def wake(self, error: RequestError | None = None) -> None:
        self._error = self._error or error
        self._woken.set()

    async def wait(self, seconds: float) -> None:
        """Until it is woken, or the time is over. Raises why it may wait no longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()
        if self._error is not None:
            raise self._error


K = TypeVar("K")
Found = TypeVar("Found", bound=Sequence[Any])
Table = dict[tuple[str, str], set[Waiter]]


class Feed:
    """Waiters by the keys and prefixes that they wait for; used from one event loop.

    `count` is called with 1 and -1 as calls begin and cease to wait; a stream is not a call.
    `followers` are called with the project of each change and its topics, None where they are not
    known.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: Table = {}
        self._prefixes: Table = {}
        self._lengths: dict[int, int] = {}
        self._owners: dict[str, set[Waiter]] = {}
        self.waiting = self.published = 0
        self.is_closed = False
        self.count: Callable[[int], None] = lambda more: None
        self.followers: list[Follow] = []

    async def until(
        self, owner: str, wanted: Wanted, seconds: float, look: Callable[[], Awaitable[Found]]
    ) -> Found:
        """What `look` finds: asked again after each change of `wanted`, until its first part is not
        empty or the time is over. Raises Overloaded, StoreUnavailable, and Unauthorized if the
        owner's key is revoked meanwhile."""
        loop, published = asyncio.get_running_loop(), self.published
        end = loop.time() + seconds
        found = await look()
        if found[0] or seconds <= 0:
            return found
        with self.listen(owner, wanted) as waiter:
            if self.published != published:  # while `look` was under way
                waiter.wake()
            while not found[0] and (left := end - loop.time()) > 0:
                self.count(1)
                try:
                    await waiter.wait(left)
                finally:
                    self.count(-1)
                found = await look()
        return found

    @contextlib.contextmanager
    def listen(self, owner: str, wanted: Wanted) -> Iterator[Waiter]:
        """Within: a waiter that each change of `wanted` wakes. Raises as `until` does."""
        if self.is_closed:
            raise _stopping()
        wanted, half = list(dict.fromkeys(wanted)), max(1, self._most // 2)
        waiter = Waiter(max(1, min(half, len(wanted) // KEYS_OF_ONE)))
        weights = [(_key(o), w.weight) for o, each in self._owners.items() for w in each]
        mine = sum(weight for key, weight in weights if key == _key(owner))
        taken = sum(weight for _, weight in weights)
        if taken + waiter.weight > self._most or mine + waiter.weight > half:
            raise Overloaded(f"{self.waiting:,} calls are waiting already.")
        self._enter(owner, wanted, waiter)
        try:
            yield waiter
        finally:
            self._leave(owner, wanted, waiter)

    def publish(self, project: str, topics: Iterable[str]) -> None:
        """Wake who waits for one of the keys."""
        self._follow(project, topics)
        self.published += 1
        if not self.waiting:
            return
        for key in topics:
            for waiter in self._keys.get((project, key), ()):
                waiter.wake()
            for length in self._lengths:
                for waiter in self._prefixes.get((project, key[:length]), ()):
                    waiter.wake()

    def publish_all(self, project: str) -> None:
        """Something changed there, nobody knows what: wake all of the project."""
        self._follow(project, None)
        self.published += 1
        for table in (self._keys, self._prefixes):
            for (of, _), waiters in table.items():
                for waiter in waiters if of == project else ():
                    waiter.wake()

    def _follow(self, project: str, topics: Iterable[str] | None) -> None:
        for follow in self.followers:
            follow(project, topics)

    def close(self) -> None:
        """Wake everybody: they are told that the server stops."""
        self.is_closed = True
        for waiters in self._owners.values():
            for waiter in waiters:
                waiter.wake(_stopping())

    def end(self, name: str) -> None:
        """The key of this name is nobody's any more."""
        for owner, waiters in self._owners.items():
            if owner == name or owner.startswith(f"{name}/"):
                for waiter in waiters:
                    waiter.wake(Unauthorized("That key was revoked."))

    def _enter(self, owner: str, wanted: Wanted, waiter: Waiter) -> None:
        self.waiting += 1
        self._owners.setdefault(owner, set()).add(waiter)
        for project, key, is_prefix in wanted:
            self._table(is_prefix).setdefault((project, key), set()).add(waiter)
            if is_prefix:
                self._lengths[len(key)] = self._lengths.get(len(key), 0) + 1

    def _leave(self, owner: str, wanted: Wanted, waiter: Waiter) -> None:
        self.waiting -= 1
        _remove(self._owners, owner, waiter)
        for project, key, is_prefix in wanted:
            _remove(self._table(is_prefix), (project, key), waiter)
            if is_prefix:
                self._lengths[len(key)] -= 1
                if not self._lengths[len(key)]:
                    del self._lengths[len(key)]

    def _table(self, is_prefix: bool) -> Table:
        return self._prefixes if is_prefix else self._keys


def _remove(table: dict[K, set[Waiter]], key: K, waiter: Waiter) -> None:
    table[key].discard(waiter)
    if not table[key]:
        del table[key]


def _stopping() -> StoreUnavailable:
    return StoreUnavailable("The server stops.", "Ask again when it is back.")


def wanted_by(project: str, keys: Keys) -> Wanted:
    """Which keys a reader waits for: (project, key or prefix, whether it is a prefix)."""
    if keys.keys is not None:
        return [(project, key, False) for key in keys.keys]
    return [(project, keys.start, True)]


def _key(owner: str) -> str:
    """Of `key/agent`, or an agent without a key."""
    return owner.partition("/")[0]
