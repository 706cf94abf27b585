"""Dictionaries with a bound: of what a pure function gave, and of what was set last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V]):
    """`memo[key]` is `work(key)`. Of a full one the older half goes: to know which was used last
    costs more than to work out again."""

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
    """Remember the value, which is returned."""
    memo[key] = value
    if len(memo) > most:
        drop_older(memo, most)
    return value


def drop_older(memo: dict[K, V], most: int) -> None:
    """Forget the older half of as many items as there may be."""
    newer = list(memo.items())[(most + 1) // 2 :]
    memo.clear()  # a dict that loses one after the other grows, and looks for its first item
    memo.update(newer)


class Newest(OrderedDict[K, V]):
    """The `most` keys that were set last, in that order; the oldest makes way."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)
