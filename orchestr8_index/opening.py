"""What are a file's bytes? Opened folder by folder, never through a link that was put there since.

A path was looked at a moment ago; meanwhile a link may have taken the place of any part of it. So
each part is opened from the one before and nothing is followed. A link that stands there on purpose
is resolved first, found to lead into a root, and what it leads to is opened in the same way.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable

_CALM = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))
_PLAIN = _CALM | getattr(os, "O_NOFOLLOW", 0)
FOLDER = _PLAIN | getattr(os, "O_DIRECTORY", 0)
_STEP = FOLDER | getattr(os, "O_PATH", 0)  # a folder to go through, which need not be readable
_BY_PART = os.open in os.supports_dir_fd  # not on Windows
_A_LINK = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)


def open_within(roots: Iterable[str], root: str, path: str, folder: bool = False) -> int:
    """A descriptor, for reading, of the regular file (or folder) at `path` below `root`.

    Where a link stands there, it leads into one of `roots`. Raises OSError.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    try:
        if ".." not in parts:
            return _open(root, parts, folder)
    except OSError as error:
        if error.errno not in _A_LINK:
            raise
    real = os.path.realpath(f"{root}/{path}", strict=True)
    for known in roots:
        if f"{real}/".startswith(f"{known.rstrip('/')}/"):
            return _open(known, real[len(known) :].split("/"), folder)
    raise PermissionError(errno.EPERM, "it lies outside of the roots")


def _open(root: str, parts: list[str], folder: bool) -> int:
    parts = list(filter(None, parts))
    last = FOLDER if folder else _PLAIN
    if not _BY_PART:
        return _checked(os.open("/".join([root, *parts]), os.O_RDONLY | last), folder)
    at = os.open(root, _STEP if parts else FOLDER)
    for place, name in enumerate(parts, 1):
        above = at
        try:
            at = os.open(name, last if place == len(parts) else _STEP, dir_fd=above)
        finally:
            os.close(above)
    return _checked(at, folder)


def _checked(fd: int, folder: bool) -> int:
    mode = os.fstat(fd).st_mode
    if stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode):
        return fd
    os.close(fd)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise PermissionError(errno.EPERM, "not a regular file")


def open_plain(path: str | os.PathLike[str], flags: int) -> int:
    """An `opener` for `open`: no link is followed, and nobody waits for who writes to a pipe."""
    return os.open(path, flags | _PLAIN)


def open_regular(path: str | os.PathLike[str], flags: int) -> int:
    """An `opener` for `open`: of a regular file, be it behind a link; a stranger's link may lead to
    a pipe, a terminal or a device, for which nobody waits. Raises OSError."""
    return _checked(os.open(path, flags | _CALM), folder=False)


def read_regular(path: str | os.PathLike[str], most: int) -> bytes:
    """At most `most` bytes of such a file. Raises OSError, and ValueError for no path."""
    with open(path, "rb", opener=open_regular) as file:
        return file.read(most)


def read_within(roots: Iterable[str], root: str, path: str, most: int) -> bytes:
    """At most `most` bytes and one, by which one sees that there are more. Raises OSError."""
    with open(open_within(roots, root, path), "rb") as file:
        return file.read(most + 1)
