"""Which questions are asked most, and lately? Kept over a stop, to be answered at once after it.

Requests only, no answers: a new generation may answer otherwise.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import msgspec

NAME = "warm.msgpack"
MOST, SAVED, MAX_BYTES = 256, 64, 65_536
LATELY, WITHIN_SECONDS = 160, 3600.0
Asked = tuple[str, bytes]
"""(method, its params as JSON)."""
_FILE = msgspec.msgpack.Decoder(tuple[str, list[Asked]])
log = logging.getLogger("orchestr8.serve")


class Hot:
    """The questions asked last: how often, and when. The one not asked for longest makes way."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: OrderedDict[Asked, tuple[int, float]] = OrderedDict()

    def note(self, method: str, params: bytes) -> None:
        asked = (method, params)
        count, _ = self._counts.pop(asked, (0, 0.0))
        self._counts[asked] = count + 1, self._clock()
        if len(self._counts) > MOST:
            self._counts.popitem(last=False)

    def lately(self) -> list[Asked]:
        """The last first: LATELY at most, asked within WITHIN_SECONDS."""
        since = self._clock() - WITHIN_SECONDS
        last = itertools.islice(reversed(self._counts.items()), LATELY)
        return [asked for asked, (_, moment) in last if moment >= since]

    def hottest(self) -> list[Asked]:
        """What was asked more than once, most often first, within SAVED questions and MAX_BYTES."""
        often = sorted(self._counts.items(), key=lambda item: -item[1][0])
        kept, size = [], 0
        for asked, (count, _) in often[:SAVED]:
            size += len(asked[1]) + 64
            if count > 1 and size <= MAX_BYTES:
                kept.append(asked)
        return kept


def save(data_dir: Path, roots_digest: str, asked: list[Asked]) -> None:
    """Replaces what was there; a disk that cannot be written costs warmth and nothing else."""
    half = data_dir / f".{NAME}.part"
    try:
        half.unlink(missing_ok=True)
        fd = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(fd, "wb") as file:
            file.write(msgspec.msgpack.encode((roots_digest, asked)))
        os.replace(half, data_dir / NAME)
    except OSError as error:
        log.warning("the hottest questions were not saved", extra={"reason": str(error)})
        with contextlib.suppress(OSError):
            half.unlink(missing_ok=True)


def load(data_dir: Path, roots_digest: str) -> list[Asked]:
    """The questions saved for these roots; none when the file is absent, foreign or damaged."""
    try:
        with open(data_dir / NAME, "rb") as file:
            digest, asked = _FILE.decode(file.read(2 * MAX_BYTES))
    except (OSError, msgspec.MsgspecError):
        return []
    return asked[:SAVED] if digest == roots_digest else []
