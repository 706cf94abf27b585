"""Opens files part by part of their path, never through a link that was put there since a check.

A path was checked a moment ago; meanwhile any part of it may have been replaced by a link. So each
part is opened relative to the one before, and no link is followed. A link that is there on purpose
is resolved first, must lead into a root, and its target is opened in the same way.
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
    """An `opener` for `open` that follows no link, and does not block on a pipe."""
    return os.open(path, flags | _PLAIN)


def open_regular(path: str | os.PathLike[str], flags: int) -> int:
    """An `opener` for `open` of a regular file, also through a link. Raises OSError, for pipes,
    terminals and devices, too, without blocking on them."""
    return _checked(os.open(path, flags | _CALM), folder=False)


def read_regular(path: str | os.PathLike[str], most: int) -> bytes:
    """At most `most` bytes of a regular file. Raises OSError; ValueError for an invalid path."""
    with open(path, "rb", opener=open_regular) as file:
        return file.read(most)


def read_within(roots: Iterable[str], root: str, path: str, most: int) -> bytes:
    """At most `most` + 1 bytes: the last one shows that there are more. Raises OSError."""
    with open(open_within(roots, root, path), "rb") as file:
        return file.read(most + 1)
