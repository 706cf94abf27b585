"""Who waits for what: woken in the loop, after the commit that concerns them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from ..errors import Overloaded, StoreUnavailable, Unauthorized
from .select import Keys

Wanted = list[tuple[str, str, bool]]  # project, key or prefix, whether it is a prefix


class Feed:
    """Waiters by the keys and prefixes that they wait for; used from one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: dict[tuple[str, str], set[asyncio.Future[None]]] = {}
        self._prefixes: dict[tuple[str, str], set[asyncio.Future[None]]] = {}
        self._lengths: dict[int, int] = {}
        self._owners: dict[str, set[asyncio.Future[None]]] = {}
        self.waiting = 0
        self.is_closed = False
        self.count: Callable[[int], None] = lambda more: None

    async def wait(self, owner: str, wanted: Wanted, seconds: float) -> None:
        """Until one of `wanted` changes, or the time is over. Raises Overloaded, StoreUnavailable,
        and Unauthorized if the owner's key is revoked meanwhile.

        What was committed before the call is not waited for: look first, then wait at once.
        """
        if self.is_closed:
            raise StoreUnavailable("The server stops.", "Ask again when it is back.")
        mine = sum(len(f) for o, f in self._owners.items() if _key(o) == _key(owner))
        if self.waiting >= self._most or mine >= max(1, self._most // 2):
            raise Overloaded(f"{self._most:,} calls are waiting already.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _wake, future)
        self._enter(owner, wanted, future)
        try:
            await future
        finally:
            timer.cancel()
            self._leave(owner, wanted, future)
        if self.is_closed:
            raise StoreUnavailable("The server stops.", "Ask again when it is back.")

    def publish(self, project: str, topics: Iterable[str]) -> None:
        """Wake who waits for one of the keys."""
        if not self.waiting:
            return
        for key in topics:
            for future in self._keys.get((project, key), ()):
                _wake(future)
            for length in self._lengths:
                for future in self._prefixes.get((project, key[:length]), ()):
                    _wake(future)

    def close(self) -> None:
        """Wake everybody: they are told that the server stops."""
        self.is_closed = True
        for futures in (*self._keys.values(), *self._prefixes.values()):
            for future in futures:
                _wake(future)

    def end(self, name: str) -> None:
        """The key of this name is nobody's any more."""
        for owner, futures in self._owners.items():
            if owner == name or owner.startswith(f"{name}/"):
                for future in futures:
                    if not future.done():
                        future.set_exception(Unauthorized("That key was revoked."))

    def _enter(self, owner: str, wanted: Wanted, future: asyncio.Future[None]) -> None:
        self.waiting += 1
        self.count(1)
        self._owners.setdefault(owner, set()).add(future)
        for project, key, is_prefix in wanted:
            table = self._prefixes if is_prefix else self._keys
            table.setdefault((project, key), set()).add(future)
            if is_prefix:
                self._lengths[len(key)] = self._lengths.get(len(key), 0) + 1

    def _leave(self, owner: str, wanted: Wanted, future: asyncio.Future[None]) -> None:
        self.waiting -= 1
        self.count(-1)
        self._owners[owner].discard(future)
        if not self._owners[owner]:
            del self._owners[owner]
        for project, key, is_prefix in wanted:
            table = self._prefixes if is_prefix else self._keys
            futures = table[project, key]
            futures.discard(future)
            if not futures:
                del table[project, key]
            if is_prefix:
                self._lengths[len(key)] -= 1
                if not self._lengths[len(key)]:
                    del self._lengths[len(key)]


def wanted_by(project: str, keys: Keys) -> Wanted:
    if keys.keys is not None:
        return [(project, key, False) for key in keys.keys]
    return [(project, keys.start, True)]


def _key(owner: str) -> str:
    """Of `key/agent`, or an agent without a key."""
    return owner.partition("/")[0]


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
