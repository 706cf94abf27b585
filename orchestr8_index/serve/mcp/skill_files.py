"""What is in a skill's folder? Its files as they are on the disk now, within the protocol's limits.

Links are not followed, and nothing outside of the folder can be named: a file is found in the
folder's own list, never by joining what a caller sent.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...catalog.walk import IGNORED

MOST_FILES, MOST_BYTES = 512, 16 * 1024 * 1024
MANIFEST = "SKILL.md"


class Unfit(Exception):
    """The folder holds no skill as the protocol wants it; the message says why."""


@dataclass(frozen=True, slots=True)
class File:
    """`path` is relative to the folder, with `/`; `full` is where it lies."""

    path: str
    full: str
    size: int


@dataclass(slots=True)
class Folder:
    """A skill's folder; `files` are sorted by path."""

    root: str
    files: list[File] = field(default_factory=list)

    def find(self, path: str) -> File | None:
        return next((file for file in self.files if file.path == path), None)


def open_folder(root: str) -> Folder:
    """Raises Unfit for one that is gone, or larger than every host takes."""
    folder, total = Folder(root), 0
    for file in _walk(root, ""):
        folder.files.append(file)
        total += file.size
        if len(folder.files) > MOST_FILES or total > MOST_BYTES:
            raise Unfit("The folder holds more than hosts take.")
    folder.files.sort(key=lambda file: file.path)
    if folder.find(MANIFEST) is None:
        raise Unfit("There is no SKILL.md any more.")
    return folder


def _walk(root: str, within: str) -> Iterator[File]:
    try:
        items = sorted(os.scandir(f"{root}/{within}"), key=lambda item: item.name)
    except OSError:
        return
    for item in items:
        path = f"{within}{item.name}"
        try:
            status = item.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISDIR(status.st_mode) and item.name not in IGNORED:
            yield from _walk(root, f"{path}/")
        elif stat.S_ISREG(status.st_mode):
            yield File(path, f"{root}/{path}", status.st_size)


def read(full: str) -> bytes:
    """Raises Unfit where the file is gone or has grown beyond the limit."""
    try:
        descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):
        raise Unfit("The file cannot be read.") from None
    with open(descriptor, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Unfit("The file is larger than hosts take.")
    return data


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
