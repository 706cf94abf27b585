"""Revisions that are never given out twice: reserved in blocks, in a file of their own.

Neither a restored backup, a deleted database nor a commit that a power cut took back can make the
counter repeat itself: every start begins a block that no earlier one had.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ..private import open_private, read_private

NAME = "coordinate.rev"
BLOCK = 1 << 20
FAR = 1 << 52  # no server comes so far: a number that was bent
NUMBERS = 1 << 10  # events of one revision


class Revisions:
    """The counter of one server. `reserved` is the end of the present block, as the file has it."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / NAME
        self.before = self._read()
        self.last = self.reserved = self.before

    def open(self, *known: int) -> None:
        """Begin a block above all blocks before and above `known`, the highest of the database."""
        self.last = max(each for each in (0, self.before, *known) if each < FAR)
        self._reserve()

    def next(self) -> int:
        """Raises OSError where a new block cannot be written."""
        if self.last >= self.reserved:
            self._reserve()
        self.last += 1
        return self.last

    def _reserve(self) -> None:
        end = self.last + BLOCK
        half = self._path.with_suffix(".rev.part")
        half.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(open_private(half, flags), "w", encoding="ascii") as file:
            file.write(f"{end}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, self._path)
        _sync_folder(self._path.parent)
        self.reserved = end

    def _read(self) -> int:
        """0 where there is no file, or none with a number in it: the database knows the rest."""
        try:
            text = read_private(self._path, 100).decode("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return 0
        return min(int(text), FAR) if text.isdigit() else 0


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # Windows opens no folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
