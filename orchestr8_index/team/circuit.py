"""Circuit breakers: while a service does not answer, one task tries again, with growing pauses."""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Callable

log = logging.getLogger("orchestr8.shared")


class Circuit:
    """Whether PostgreSQL can be reached, as all of this server's connections to it know it.

    While it is not `connected`, others are refused at once with `trouble`; one task tries again
    after each `pause`. `on_loss` is called when it was lost, from any thread.
    """

    first_pause, longest_pause = 0.1, 1.0

    def __init__(self, connected: bool = True) -> None:
        self.connected, self.trouble, self._tries = connected, "", 0
        self.on_loss: Callable[[], object] = lambda: None

    @property
    def state(self) -> str:
        return "connected" if self.connected else "away"

    @property
    def reasons(self) -> list[str]:
        return [self.trouble] if self.trouble and not self.connected else []

    def found(self) -> None:
        self.connected, self.trouble, self._tries = True, "", 0

    def lost(self, why: str) -> None:
        """`why` is a sentence without an address, which may hold a password."""
        was_connected, self.connected, self.trouble = self.connected, False, why
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            if was_connected:
                self.on_loss()

    def pause(self) -> float:
        """Seconds until the next try: twice as many each time, and never the same as others'."""
        tries, self._tries = self._tries, min(self._tries + 1, 10)
        return min(self.longest_pause, self.first_pause * 2.0**tries) * random.uniform(0.5, 1.0)


class OutletCircuit(Circuit):
    """That of Redis or NATS, by `name`: away until it is found, and the log tells of changes."""

    first_pause, longest_pause = 1.0, 30.0

    def __init__(self, name: str) -> None:
        super().__init__(connected=False)
        self.name = name

    def found(self) -> None:
        if self.trouble:
            log.warning("%s is back", self.name)
        super().found()

    def lost(self, why: str) -> None:
        if why != self.trouble:
            log.warning("%s is away", self.name, extra={"reason": why})
        super().lost(why)
