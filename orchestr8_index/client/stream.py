"""The events of the shared state, one after the other, over GET /events.

The events of a revision are given together, once: those of one that a broken connection cut off are
read again.
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

QUIET_SECONDS = 40.0  # the server sends a keep-alive every 15
PAUSES = (0.1, 1.0)
RETRIED = (Starting.code, StoreUnavailable.code, -32029, -32032)


class Opens(Protocol):
    """Opens a stream at the server's current address. Raises NoAnswer, RequestError."""

    def __call__(self, path: str, seconds: float) -> HttpStream: ...


class EventReader:
    """An iterator over events, which ends only by `close`.

    Raises ServerAway when no server answers at the start, or within `patience` seconds after a
    break; Compacted when the log no longer has the events after the last revision. `away` is called
    with True when no server answers after a break, with False when one does again.
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
        params = {"prefix": self._prefix, "after": self._after}
        query = {name: value for name, value in params.items() if value not in ("", None)}
        path = f"/events?{urlencode(query)}"
        end, pause = time.monotonic() + self._patience, PAUSES[0]
        while True:
            try:
                stream = self._opens(path, QUIET_SECONDS)
                if pause > PAUSES[0]:
                    self._away(False)
                self._begun = True
                return stream
            except (NoAnswer, RequestError) as error:
                again = isinstance(error, NoAnswer) or error.code in RETRIED
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
        """Read until a whole revision or an event without one is ready, or the stream breaks."""
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
