"""What are a source's bytes? Read without waiting, and no more of them than a file may have."""

from __future__ import annotations

from ..opening import read_within
from ..records import FileReport
from ..text import display
from .scan import Source


def read_file(source: Source, roots: tuple[str, ...], most: int) -> tuple[bytes, FileReport | None]:
    """At most `most` bytes. What has grown or vanished since the scan is refused like any other."""
    root = roots[source.root]
    try:
        data = read_within(roots, root, source.path, most)
    except OSError as error:
        reason = f"the file cannot be read: {error.strerror}"
        return b"", _refusal(source, root, reason, "Give the index read access, or move it away.")
    if len(data) > most:
        cure = "Move the long parts into reference files."
        return b"", _refusal(source, root, f"too large: over {most:,} bytes", cure)
    return data, None


def _refusal(source: Source, root: str, reason: str, cure: str) -> FileReport:
    return FileReport(root, display(source.path), "skipped", reason=reason, cure=cure)
