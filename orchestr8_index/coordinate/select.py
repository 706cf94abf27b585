"""Selections of keys, by list, prefix or pattern, and pages of rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

PRIVATE = "own/"  # and an owner's name: keys that no other agent sees
MOST_BYTES = 12_000_000  # of values in one answer
Sized = tuple[int, int, Any]  # the revision, how long it is, and a row
_LAST = "\U0010ffff"
_WILD = re.compile(r"[*?]")


class Keys(Struct, frozen=True):
    """One of the first three is given; `*` and `?` of a pattern match slashes too.

    With `own`, keys below PRIVATE are selected only if they begin with it.
    """

    keys: tuple[str, ...] | None = None
    prefix: str | None = None
    pattern: str | None = None
    own: str | None = None

    @property
    def reaches_private(self) -> bool:
        starts = self.keys if self.keys is not None else (self.start,)
        return any(each.startswith(PRIVATE) or PRIVATE.startswith(each) for each in starts)

    @property
    def start(self) -> str:
        """The prefix of every selected key."""
        if self.prefix is not None:
            return self.prefix
        return _WILD.split(self.pattern or "", maxsplit=1)[0]

    def bounds(self, after: str) -> tuple[str, str, str]:
        """The range of the selected keys after `after`: `>` or `>=`, its start, and its end."""
        start, end = self.start, self.start + _LAST
        return (">=", start, end) if after < start or not after else (">", after, end)


def page(rows: Iterable[Sized], limit: int, whole: bool = False) -> tuple[list[Any], bool]:
    """The first `limit` rows, or as many as have room, and whether there are more.

    With `whole` a revision is not split: there may be more than `limit`, or fewer.
    """
    found, size = list[Sized](), 0
    for each in rows:
        size += each[1]
        if found and (len(found) >= limit or size > MOST_BYTES):
            if not whole or each[0] != found[-1][0]:
                return [row for _, _, row in found], True
            if size > MOST_BYTES and found[0][0] != each[0]:
                return [row for rev, _, row in found if rev != each[0]], True
        found.append(each)
    return [row for _, _, row in found], False
