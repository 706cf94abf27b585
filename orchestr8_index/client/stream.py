"""What happens among agents, one event after the other, over GET /events.

A revision is told as a whole, once: what had come of it when the connection broke comes again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlencode

import msgspec

from ..daemon.http import HttpStream, NoAnswer
from ..errors import RequestError, ServerAway, Starting, StoreUnavailable
from ..records import JsonObject

QUIET_SECONDS = 40.0  # the server says something every 15
PAUSES = (0.1, 1.0)
WANTED_AGAIN = (Starting.code, StoreUnavailable.code, -32029, -32032)


class Opens(Protocol):
    """Opens a stream at the server, wherever that is now. Raises NoAnswer, RequestError."""

    def __call__(self, path: str, seconds: float) -> HttpStream: ...


class EventReader:
    """An iterator that never ends by itself; `close` lets go of the connection.

    Raises ServerAway where there is no server at the start, or none again within `patience`
    seconds after a break; Compacted where the log no longer reaches back to where it should go on.
    `away` is called with True when there is no server after a break, with False when there is.
    """

    def __init__(
        self,
        opens: Opens,
        after: int | None,
        prefix: str,
        patience: float,
        away: Callable[[bool], None] = lambda gone: None,
    ) -> None:
        self._opens, self._after, self._prefix, self._patience = opens, after, prefix, patience
        self._away = away
        self._ready = deque[JsonObject]()
        self._stream: HttpStream | None = None
        self._begun = self._closed = False

    def __iter__(self) -> EventReader:
        return self

    def __next__(self) -> JsonObject:
        while not self._ready:
            if self._closed:
                raise StopIteration
            if self._stream is None:
                self._stream = self._opened()
            self._read(self._stream)
        return self._ready.popleft()

    def close(self) -> None:
        """End it, from any thread."""
        self._closed = True
        if self._stream is not None:
            self._stream.close()

    def _opened(self) -> HttpStream:
        asked = {"prefix": self._prefix, "after": self._after}
        named = {name: value for name, value in asked.items() if value not in ("", None)}
        path = f"/events?{urlencode(named)}"
        end, pause = time.monotonic() + self._patience, PAUSES[0]
        while True:
            try:
                stream = self._opens(path, QUIET_SECONDS)
                if pause > PAUSES[0]:
                    self._away(False)
                self._begun = True
                return stream
            except (NoAnswer, RequestError) as error:
                again = isinstance(error, NoAnswer) or error.code in WANTED_AGAIN
                if self._begun and again and time.monotonic() < end and not self._closed:
                    if pause == PAUSES[0]:
                        self._away(True)
                    time.sleep(pause)
                    pause = min(2 * pause, PAUSES[1])
                elif isinstance(error, NoAnswer):
                    raise ServerAway(f"The server is needed, and {error.reason}.") from None
                else:
                    raise

    def _read(self, stream: HttpStream) -> None:
        """Until whole revisions are ready, or the connection breaks."""
        revision, data, reached = list[JsonObject](), b"", None
        try:
            for line in stream:
                if line.startswith(b"data:"):
                    data = line[5:].strip()
                elif line.startswith(b"id:"):
                    reached = int(line[3:])
                elif not line:
                    event = msgspec.json.decode(data, type=JsonObject) if data else None
                    whole = reached is not None or (event is not None and "rev" not in event)
                    revision += [event] if event is not None else []
                    self._after = self._after if reached is None else reached
                    data, reached = b"", None
                    if whole and revision:
                        self._ready.extend(revision)
                        return
        except (NoAnswer, ValueError):
            pass
        stream.close()
        self._stream = None
