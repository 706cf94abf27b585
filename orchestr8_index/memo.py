"""Bounded dictionaries: caches of pure functions, and of the keys that were set last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V]):
    """A cache: `memo[key]` is `work(key)`. When it is full, the older half is dropped: to track the
    last use (LRU) costs more than to compute again."""

    __slots__ = ("_most", "_work")

    def __init__(self, most: int, work: Callable[[K], V]) -> None:
        super().__init__()
        self._most, self._work = most, work

    def __missing__(self, key: K) -> V:
        value = self[key] = self._work(key)
        if len(self) > self._most:
            drop_older(self, self._most)
        return value


def keep(memo: dict[K, V], most: int, key: K, value: V) -> V:
    """Set a value in a cache of at most `most` items, and return it."""
    memo[key] = value
    if len(memo) > most:
        drop_older(memo, most)
    return value


def drop_older(memo: dict[K, V], most: int) -> None:
    """Drop the older half of `most` items."""
    newer = list(memo.items())[(most + 1) // 2 :]
    memo.clear()  # deleting one by one leaves holes, through which a dict seeks its first item
    memo.update(newer)


class Newest(OrderedDict[K, V]):
    """The `most` keys that were set last, in that order; the oldest is evicted."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)
