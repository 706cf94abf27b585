"""Which policy for claims the command line has chosen: a word in a file that the server reads."""

from __future__ import annotations

from pathlib import Path

from .private import make_folder, read_private, write_private

POLICIES = ("deny", "warn", "off")
NAME = "claims"


class ClaimsPolicy:
    """The word in the data directory; "" where nothing was chosen there. It holds at once."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / NAME
        self._stamp: tuple[int, int] | None = None
        self._word = ""

    def read(self) -> str:
        try:
            status = self.path.stat()
            stamp = status.st_mtime_ns, status.st_ino
            if stamp != self._stamp:
                text = read_private(self.path, 100).decode("utf-8", "replace").strip()
                self._stamp, self._word = stamp, text if text in POLICIES else ""
        except OSError:
            self._stamp, self._word = None, ""
        return self._word

    def write(self, word: str) -> None:
        """Raises OSError."""
        make_folder(self.path.parent)
        write_private(self.path, f"{word}\n".encode())
