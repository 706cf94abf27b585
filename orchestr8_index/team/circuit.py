"""Whether a helper is there: one that is away, slow or wrong is left alone for a while."""

from __future__ import annotations

import logging
import random

SECONDS = 0.25  # for a helper to answer
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
log = logging.getLogger("orchestr8.shared")


class Circuit:
    """Of one helper, by its name. Whoever needs it asks only while it is `connected`; one task
    looks for it again after each `pause`."""

    def __init__(self, name: str) -> None:
        self.name, self.trouble, self.connected = name, "", False
        self._tries = 0

    @property
    def state(self) -> str:
        return "connected" if self.connected else "away"

    @property
    def reasons(self) -> list[str]:
        return [self.trouble] if self.trouble and not self.connected else []

    def found(self) -> None:
        if self.trouble:
            log.warning("%s is back", self.name)
        self.connected, self.trouble, self._tries = True, "", 0

    def lost(self, why: str) -> None:
        """`why` is a sentence without an address, which may hold a password."""
        if why != self.trouble:
            log.warning("%s is away", self.name, extra={"reason": why})
        self.connected, self.trouble = False, why

    def pause(self) -> float:
        """Seconds until the next try: twice as many each time, and never the same as others'."""
        longest: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._tries)
        self._tries = min(self._tries + 1, 10)
        return longest * random.uniform(0.75, 1.0)
