"""Which policy for claims the command line has chosen: a word in a file that the server reads."""

from __future__ import annotations

from pathlib import Path

from .private import make_folder, read_private, write_private

POLICIES = ("deny", "warn", "off")
NAME = "claims"
TROUBLE = (
    "What was chosen for edits of claimed files cannot be read, and does not hold: choose again "
    f"with `orchestr8-index claims {'|'.join(POLICIES)}`."
)


class ClaimsPolicy:
    """The word in the data directory; "" where nothing was chosen there. It holds at once."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / NAME
        self._stamp: tuple[int, int] | None = None
        self._word = ""
        self.trouble = ""

    def read(self) -> str:
        """`trouble` says when the file is there and holds no such word."""
        try:
            status = self.path.stat()
            stamp = status.st_mtime_ns, status.st_ino
            if stamp != self._stamp:
                text = read_private(self.path, 100).decode("utf-8", "replace").strip()
                self._stamp, self._word = stamp, text if text in POLICIES else ""
                self.trouble = "" if self._word else TROUBLE
        except FileNotFoundError:
            self._stamp, self._word, self.trouble = None, "", ""
        except OSError:
            self._stamp, self._word, self.trouble = None, "", TROUBLE
        return self._word

    def write(self, word: str) -> None:
        """Raises OSError."""
        make_folder(self.path.parent)
        write_private(self.path, f"{word}\n".encode())
