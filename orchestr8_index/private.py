"""Files and folders of this user alone: opened without following a link, made for nobody else.

Each refusal is an OSError, as the system's own are; its `strerror` says what is in the way.
Standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: without guarantees between processes
    fcntl = None  # type: ignore[assignment]

_NAMES = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
_FLAGS = sum(getattr(os, name, 0) for name in _NAMES)
_NO_FILE = (errno.ELOOP, errno.EMLINK, errno.ENXIO)  # a link (Linux, BSD), a FIFO without a reader
_OURS = tuple(
    "mcp .mcp coordinate spool keys names claims warm .warm serve.stderr eval-last projects".split()
)
MOST_READ = 1_000_000
_FOLDERS = ("logs", "backups", "snapshots", "tuned")


def open_private(path: str | os.PathLike[str], flags: int) -> int:
    """A descriptor of a regular file of this user (0600 if made); an `opener` for `open`, too.

    Nothing is truncated before the file is known to be ours. Raises OSError.
    """
    try:
        fd = os.open(path, (flags & ~os.O_TRUNC) | _FLAGS, 0o600)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise _refusal(path, "is a link or no plain file") from None
        raise
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, fd)
        found = os.fstat(fd)
        _check_file(path, found)
        if flags & (os.O_WRONLY | os.O_RDWR) and hasattr(os, "fchmod") and found.st_mode & 0o077:
            os.fchmod(fd, 0o600)
        if flags & os.O_TRUNC:
            os.ftruncate(fd, 0)
        undo.pop_all()
    return fd


def read_private(path: str | os.PathLike[str], most: int = MOST_READ) -> bytes:
    """The bytes of a file of ours. Raises OSError, also for more than `most` bytes."""
    with open(path, "rb", opener=open_private) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise _refusal(path, f"has over {most:,} bytes")
    return data


def write_private(path: Path, data: bytes, synced: bool = False) -> None:
    """Replace a file of ours atomically, safe from a power cut if `synced`. Raises OSError."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")  # another process may write, too
    partial.unlink(missing_ok=True)
    try:
        with open(partial, "xb", opener=open_private) as file:
            file.write(data)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    if synced:
        with contextlib.suppress(OSError):
            sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Fsync a folder, so that its list of files survives a power cut. Raises OSError."""
    if fcntl is None:  # Windows opens no folders
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def lock_file(fd: int, alone: bool = True, waits: bool = False) -> bool:
    """Lock an open file, exclusively or (not `alone`) shared; returns False where it is taken.

    With `waits` it blocks instead, and raises OSError where the file cannot be locked at all.
    """
    if fcntl is None:
        return True
    how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    try:
        fcntl.flock(fd, how if waits else how | fcntl.LOCK_NB)
    except OSError:
        if waits:
            raise
        return False
    return True


def check_file(path: Path) -> None:
    """Raises OSError where it is no file of ours; for what another library opens by its name."""
    _check_file(path, os.lstat(path))


def make_folder(data_dir: Path, *below: str) -> Path:
    """The data directory, or a folder below it, made 0700 where it is missing. Raises OSError.

    The data directory may be reached through a link; what lies below it may not.
    """
    for missing in [path for path in reversed(data_dir.parents) if not path.exists()]:
        missing.mkdir(mode=0o700, exist_ok=True)
    if not os.path.lexists(data_dir):
        data_dir.mkdir(mode=0o700, exist_ok=True)
    _check_folder(data_dir, data_dir.stat())
    folder = data_dir
    for name in below:
        folder = folder / name
        if not os.path.lexists(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        _check_folder(folder, folder.lstat())
    return folder


def check_data_dir(data_dir: Path) -> None:
    """Checks all files that the server would write there. Raises OSError for the first not ours."""
    make_folder(data_dir)
    below = [data_dir / name for name in _FOLDERS]
    there = [path.name for path in below if path.is_dir() or path.is_symlink()]
    for folder in (data_dir, *(make_folder(data_dir, name) for name in there)):
        for path in folder.iterdir():
            if path.name.startswith(_OURS):
                check_file(path)


def _check_file(path: str | os.PathLike[str], found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _refusal(path, "is a link or no plain file")
    if not _is_mine(found):
        raise _refusal(path, "belongs to another user")
    if found.st_nlink > 1:
        raise _refusal(path, "is a file with a second name elsewhere (a hard link)")


def _check_folder(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _refusal(path, "is a link")
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    if not _is_mine(found):
        raise _refusal(path, "belongs to another user")
    if not hasattr(os, "geteuid"):
        return
    if found.st_mode & stat.S_IWOTH:
        raise _refusal(path, "can be written by everybody (`chmod 700` mends that)")
    if found.st_mode & stat.S_IWGRP:
        path.chmod(stat.S_IMODE(found.st_mode) & ~stat.S_IWGRP)


def _is_mine(found: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or found.st_uid == os.geteuid()


def _refusal(path: str | os.PathLike[str], why: str) -> PermissionError:
    return PermissionError(errno.EPERM, f"{os.path.basename(path)} {why}", os.fspath(path))
