"""What are a file's bytes? Read without waiting, and no more of them than a file may have."""

from __future__ import annotations

import os
from pathlib import Path

from ..records import FileReport
from ..text import display
from .scan import Source


def read_file(source: Source, root: str, most: int) -> tuple[bytes, FileReport | None]:
    """At most `most` bytes. What has grown or vanished since the scan is refused like any other."""
    try:
        with open(Path(root, source.path), "rb", opener=_no_waiting) as file:
            data = file.read(most + 1)
    except OSError as error:
        reason = f"the file cannot be read: {error.strerror}"
        return b"", _refusal(source, root, reason, "Give the index read access, or move it away.")
    if len(data) > most:
        cure = "Move the long parts into reference files."
        return b"", _refusal(source, root, f"too large: over {most:,} bytes", cure)
    return data, None


def _no_waiting(path: str, flags: int) -> int:
    """A pipe put in a file's place must not hold the build."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _refusal(source: Source, root: str, reason: str, cure: str) -> FileReport:
    return FileReport(root, display(source.path), "skipped", reason=reason, cure=cure)
