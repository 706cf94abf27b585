"""Which keys are meant: a list, a prefix or a pattern."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from ..errors import InvalidParams

PRIVATE = "own/"  # and what says whose: below it each agent has keys that no other sees
_LAST = "\U0010ffff"
_WILD = re.compile(r"[*?]")


class Keys(Struct, frozen=True):
    """Exactly one is given; a pattern's `*` and `?` match any signs, slashes too.

    Of the keys below PRIVATE those that begin with `own` alone are meant, where it is given.
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
        """What every matching key begins with."""
        if self.prefix is not None:
            return self.prefix
        return _WILD.split(self.pattern or "", maxsplit=1)[0]

    def bounds(self, after: str) -> tuple[str, str, str]:
        """`>` or `>=`, the key from which, and the one up to which all meant ones lie."""
        from_start = not after or after < self.start
        return (
            (">=", self.start, self.start + _LAST)
            if from_start
            else (">", after, self.start + _LAST)
        )


def one_of(keys: Sequence[str] | None, prefix: str | None, pattern: str | None) -> Keys:
    """Raises InvalidParams unless exactly one is given."""
    if sum(each is not None for each in (keys, prefix, pattern)) != 1:
        raise InvalidParams({"keys": "give exactly one of keys, prefix and pattern"})
    return Keys(None if keys is None else tuple(keys), prefix, pattern)
