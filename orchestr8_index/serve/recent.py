"""The questions asked lately and most often, kept over a stop to be answered at once after it.

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
Question = tuple[str, bytes]
"""(method, its params as JSON)."""
_FILE = msgspec.msgpack.Decoder(tuple[str, list[Question]])
log = logging.getLogger("orchestr8.serve")


class RecentQuestions:
    """How often each was asked, and when last. The one not asked for longest makes way."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: OrderedDict[Question, tuple[int, float]] = OrderedDict()

    def note(self, method: str, params: bytes) -> None:
        question = (method, params)
        count, _ = self._counts.pop(question, (0, 0.0))
        self._counts[question] = count + 1, self._clock()
        if len(self._counts) > MOST:
            self._counts.popitem(last=False)

    def lately(self) -> list[Question]:
        """The last first: LATELY at most, asked within WITHIN_SECONDS."""
        since = self._clock() - WITHIN_SECONDS
        last = itertools.islice(reversed(self._counts.items()), LATELY)
        return [question for question, (_, moment) in last if moment >= since]

    def most_asked(self) -> list[Question]:
        """What was asked more than once, most often first, within SAVED and MAX_BYTES."""
        often = sorted(self._counts.items(), key=lambda item: -item[1][0])
        kept, size = [], 0
        for question, (count, _) in often[:SAVED]:
            size += len(question[1]) + 64
            if count > 1 and size <= MAX_BYTES:
                kept.append(question)
        return kept

    def load(self, data_dir: Path, roots_digest: str) -> None:
        """Take what was saved for these roots; nothing from an absent, foreign or damaged file."""
        try:
            with open(data_dir / NAME, "rb") as file:
                digest, questions = _FILE.decode(file.read(2 * MAX_BYTES))
        except (OSError, msgspec.MsgspecError):
            return
        for question in reversed(questions[:SAVED] if digest == roots_digest else []):
            self.note(*question)

    def save(self, data_dir: Path, roots_digest: str) -> None:
        """Replace what was saved; a disk that cannot be written costs warmth and nothing else."""
        half, questions = data_dir / f".{NAME}.part", self.most_asked()
        if not questions:
            return
        try:
            half.unlink(missing_ok=True)
            fd = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(fd, "wb") as file:
                file.write(msgspec.msgpack.encode((roots_digest, questions)))
            os.replace(half, data_dir / NAME)
        except OSError as error:
            log.warning("the recent questions were not saved", extra={"reason": str(error)})
            with contextlib.suppress(OSError):
                half.unlink(missing_ok=True)
