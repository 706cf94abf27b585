"""A lock file that names the running process; its owner holds the lock until it ends.

Standard library only: the watcher and the scripts use it too.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import OperationError, StartFailed
from ..private import MOST_READ, lock_file, make_folder, open_private

ATTEMPTS, PAUSE = 5, 0.02
SERVER_NAME = "mcp.pid"


class PidFile:
    """A lock file such as `mcp.pid`: a JSON object with pid and port, valid while it is locked.

    A symbolic link or a file of another user counts as without owner and is never written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._facts: dict[str, Any] = {}
        self._content = b""

    def acquire(self, attempts: int = ATTEMPTS) -> bool:
        """Take the lock until `release`; False when another process has it. Raises OSError."""
        make_folder(self.path.parent)
        fd = open_private(self.path, os.O_RDWR | os.O_CREAT)
        if not _lock_soon(fd, attempts):
            os.close(fd)
            return False
        os.ftruncate(fd, 0)  # the last owner's facts
        self._fd = fd
        return True

    def write(self, **facts: Any) -> None:
        self._facts, self._content = facts, json.dumps(facts).encode() + b"\n"
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.write(self._fd, self._content)
        os.ftruncate(self._fd, len(self._content))

    def hold(self) -> None:
        """Lock the file anew if it was removed, rewrite it if it was changed. Does nothing without
        the lock, when another process has locked a new file, or on OSError."""
        with contextlib.suppress(OSError):
            if self._fd < 0:
                return
            if self._is_in_place():
                os.lseek(self._fd, 0, os.SEEK_SET)
                if os.read(self._fd, len(self._content) + 1) != self._content:
                    self.write(**self._facts)
                return
            new = PidFile(self.path)
            if new.acquire(attempts=1):
                os.close(self._fd)
                self._fd = new._fd
                self.write(**self._facts)

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def last(self) -> dict[str, Any]:
        """What the last owner wrote, whether it still runs or not; {} for none."""
        try:
            fd = open_private(self.path, os.O_RDONLY)
        except OSError:
            return {}
        try:
            return _read(fd)
        finally:
            os.close(fd)

    def owner(self) -> dict[str, Any] | None:
        """What the running owner wrote; {} before it has written; None without an owner."""
        try:
            fd = open_private(self.path, os.O_RDWR)
        except OSError:
            return None
        try:
            if lock_file(fd, alone=False):  # a shared lock, so readers don't take each other for
                return None  # an owner
            return _read(fd)
        finally:
            os.close(fd)


def _lock_soon(fd: int, attempts: int) -> bool:
    """Try a few times: `owner` of another process holds a shared lock for a moment."""
    for left in reversed(range(attempts)):
        if lock_file(fd):
            return True
        time.sleep(PAUSE if left else 0)
    return False


def _read(fd: int) -> dict[str, Any]:
    try:
        facts = json.loads(os.read(fd, MOST_READ) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


@contextlib.contextmanager
def changing(path: Path, what: str) -> Iterator[None]:
    """Hold the lock (suffix `.lock`) of a file that is to be changed; `what` begins the errors.
    Raises OperationError when another process holds it, and for an OSError within."""
    lock = PidFile(path.with_suffix(".lock"))
    try:
        if not lock.acquire():
            raise OperationError(f"{what} are being changed.", "Try again.")
        yield
    except OSError as error:
        raise OperationError(f"{what} cannot be written: {error.strerror}.") from None
    finally:
        lock.release()


@contextlib.contextmanager
def using(data_dir: Path) -> Iterator[None]:
    """Turn an OSError within into a StartFailed that names the data directory and the reason."""
    try:
        yield
    except OSError as error:
        sentence = f"The data directory {data_dir} cannot be used: {error.strerror}."
        cure = "Fix that, or choose another with --data-dir or MCP_DATA_DIR."
        raise StartFailed(sentence, cure) from None
