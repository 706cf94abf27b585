"""Detects writes by others to the database's write-ahead log, by a running CRC-32 of its frames.

SQLite verifies its own checksums when it opens the log, not while it runs. Reading the log through
another descriptor is safe: it has no locks of SQLite's that closing that could drop.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

HEAD, FRAME_HEAD, SALTS = 32, 24, slice(16, 24)
MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
FRAMES_AT_ONCE = 16


class WriteAheadLog:
    """The frames that the writer has appended, up to the offset `end`; noted after each turn of it.

    What others write in the milliseconds of a turn is found by SQLite at its next start.
    """

    def __init__(self, database: Path) -> None:
        self._path = f"{database}-wal"
        self.end, self._sum, self._salts = 0, 0, b""
        self._changed_at = 0
        self._turns = 0  # odd while one is under way

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wrap the writer's own writes, so that `is_altered` does not report them."""
        self._turns += 1
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                self._add_new_frames()
            self._turns += 1

    def is_altered(self) -> bool:
        """Whether others have written over what the writer has put there; not during its turns."""
        before = self._turns
        if before % 2:
            return False
        try:
            changed_at = os.stat(self._path).st_ctime_ns
            if changed_at == self._changed_at:
                return False
            found = self._recompute()
        except OSError:
            return False  # a missing file is found by `Lease.lost`
        if self._turns != before:
            return False
        if found == self._sum:  # only metadata changed
            self._changed_at = changed_at
        return found != self._sum

    def _add_new_frames(self) -> None:
        """Add new frames to the sum; a log that SQLite has restarted has other salts."""
        with open(self._path, "rb", buffering=0) as file:
            head = file.read(HEAD)
            if head[:4] not in MAGIC:
                return
            if head[SALTS] != self._salts:
                self.end, self._sum, self._salts = HEAD, zlib.crc32(head), head[SALTS]
            size = int.from_bytes(head[8:12])
            frame = FRAME_HEAD + (65536 if size == 1 else size)
            file.seek(self.end)
            while self._add(file.read(FRAMES_AT_ONCE * frame), frame):
                pass
            self._changed_at = os.fstat(file.fileno()).st_ctime_ns

    def _add(self, frames: bytes, size: int) -> bool:
        """Add whole frames with the salts of this log; False at the first other one, or the end."""
        for start in range(0, len(frames), size):
            one = frames[start : start + size]
            if len(one) < size or one[8:16] != self._salts:
                return False
            self._sum, self.end = zlib.crc32(one, self._sum), self.end + size
        return bool(frames)

    def _recompute(self) -> int:
        left, found = self.end, 0
        with open(self._path, "rb", buffering=0) as file:
            while left > 0 and (part := file.read(min(left, 1 << 16))):
                found, left = zlib.crc32(part, found), left - len(part)
        return found
