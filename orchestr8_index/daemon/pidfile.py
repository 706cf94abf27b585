"""A file that its owner locks for life says who runs: there are no stale owners.

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
    """`mcp.pid`: a JSON object with pid and port, valid as long as it is locked.

    A link, and a file of another user, has no owner and is never written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._facts: dict[str, Any] = {}
        self._said = b""

    def acquire(self, attempts: int = ATTEMPTS) -> bool:
        """Take the lock for the life of this process; false when another process has it."""
        make_folder(self.path.parent)
        fd = open_private(self.path, os.O_RDWR | os.O_CREAT)
        if not _lock_soon(fd, attempts):
            os.close(fd)
            return False
        os.ftruncate(fd, 0)  # what the last owner wrote is not ours
        self._fd = fd
        return True

    def write(self, **facts: Any) -> None:
        self._facts, self._said = facts, json.dumps(facts).encode() + b"\n"
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.write(self._fd, self._said)
        os.ftruncate(self._fd, len(self._said))

    def hold(self) -> None:
        """Take the place again where the file was removed, and say again what it said, so that its
        owner can still be found.

        Whoever has it by now keeps it; nothing is done where nothing can be written.
        """
        with contextlib.suppress(OSError):
            if self._fd < 0:
                return
            if self._stands():
                os.lseek(self._fd, 0, os.SEEK_SET)
                if os.read(self._fd, len(self._said) + 1) != self._said:
                    self.write(**self._facts)
                return
            again = PidFile(self.path)
            if again.acquire(attempts=1):
                os.close(self._fd)
                self._fd = again._fd
                self.write(**self._facts)

    def _stands(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def last(self) -> dict[str, Any]:
        """What the last owner wrote, living or not: whose trees were served here; {} if nobody."""
        try:
            fd = open_private(self.path, os.O_RDONLY)
        except OSError:
            return {}
        try:
            return _read(fd)
        finally:
            os.close(fd)

    def owner(self) -> dict[str, Any] | None:
        """What the living owner wrote; {} when it has not yet written; None without an owner."""
        try:
            fd = open_private(self.path, os.O_RDWR)
        except OSError:
            return None
        try:
            if lock_file(
                fd, alone=False
            ):  # beside others who ask, so that none is taken for an owner
                return None
            return _read(fd)
        finally:
            os.close(fd)


def _lock_soon(fd: int, attempts: int) -> bool:
    """Who asks for the owner holds the lock for a moment: one refusal is not yet an owner."""
    for left in reversed(range(attempts)):
        if lock_file(fd):
            return True
        time.sleep(PAUSE if left else 0)
    return False


def _read(fd: int) -> dict[str, Any]:
    try:
        facts = json.loads(os.read(fd, MOST_READ) or b"{}")  # a root has a path, of hundreds
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


@contextlib.contextmanager
def changing(path: Path, what: str) -> Iterator[None]:
    """Within: no other process changes that file of the data directory. `what` it holds, begins a
    sentence. Raises OperationError, also for an OSError within."""
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
    """Within: an OSError is a StartFailed that says so of the data directory, as of a full disk."""
    try:
        yield
    except OSError as error:
        sentence = f"The data directory {data_dir} cannot be used: {error.strerror}."
        cure = "Mend that, or choose another with --data-dir or MCP_DATA_DIR."
        raise StartFailed(sentence, cure) from None
