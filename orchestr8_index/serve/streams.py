"""Which requests stand, and with which key? Those of a key that is revoked end at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator


class Streams:
    """An event for each request that may stand for hours, by the name of its caller."""

    def __init__(self) -> None:
        self._endings: dict[str, set[asyncio.Event]] = {}

    @contextlib.contextmanager
    def standing(self, name: str) -> Iterator[asyncio.Event]:
        """Within: the event that says that this caller may not hear more."""
        ending, endings = asyncio.Event(), self._endings.setdefault(name, set())
        endings.add(ending)
        try:
            yield ending
        finally:
            endings.remove(ending)
            if not endings:
                del self._endings[name]

    def end(self, name: str) -> None:
        for ending in self._endings.get(name, ()):
            ending.set()
