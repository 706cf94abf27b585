"""Which questions are asked most? Kept over a stop, so that a start can answer them at once.

Requests only, no answers: a new generation may answer otherwise.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections import OrderedDict
from pathlib import Path

import msgspec

NAME = "warm.msgpack"
MOST, SAVED, MAX_BYTES = 256, 64, 65_536
Asked = tuple[str, bytes]
"""(method, its params as JSON)."""
_FILE = msgspec.msgpack.Decoder(tuple[str, list[Asked]])
log = logging.getLogger("orchestr8.serve")


class Hot:
    """Counts of the questions asked last; the one not asked for the longest time makes way."""

    def __init__(self) -> None:
        self._counts: OrderedDict[Asked, int] = OrderedDict()

    def note(self, method: str, params: bytes) -> None:
        asked = (method, params)
        self._counts[asked] = self._counts.pop(asked, 0) + 1
        if len(self._counts) > MOST:
            self._counts.popitem(last=False)

    def hottest(self) -> list[Asked]:
        """What was asked more than once, most often first, within SAVED questions and MAX_BYTES."""
        often = sorted(self._counts.items(), key=lambda item: -item[1])
        kept, size = [], 0
        for asked, count in often[:SAVED]:
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
