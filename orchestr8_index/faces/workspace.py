"""The files of tasks: each task has a folder in the workspace, which no path can leave.

Each folder is opened relative to its parent and no symbolic link is followed, so that what was
checked is what is opened. A write is atomic: temporary file, fsync, rename.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cachetools import TTLCache

from ..opening import FOLDER, open_within

MOST_BYTES = 10_485_760
KEPT_BYTES = 33_554_432
KEPT_SECONDS = 3600
MOST_LISTED = 1000
SETTLED_NS = 50_000_000  # within a step of the clock a file may change and keep its time
OF_GIT = (".git", "git~1")  # the second is its short name on Windows
UNFINISHED = ".unfinished"  # the folder of temporary files; no task's id begins with a dot

BAD_TASK = "task_id must have 1 to 128 letters, digits, _ . : or -, the first a letter, digit or _."
TASK = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}")
_FILE = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE
_NO_FILE = (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EMLINK, errno.EPERM)


class WorkspaceRefusal(Exception):
    """An operation is refused; `status` is an HTTP status, `data` further fields of the answer."""

    def __init__(self, status: int, sentence: str, **data: Any) -> None:
        super().__init__(sentence)
        self.status, self.data = status, data


class FileText(NamedTuple):
    """A file's content and `revision`, a hash of it."""

    content: str
    revision: str


class Workspace:
    """The folder of all tasks. Methods raise WorkspaceRefusal: for a missing, changed or too large
    file, or an invalid path."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._cache: TTLCache[tuple[str, str], tuple[tuple[int, ...], FileText]] = TTLCache(
            KEPT_BYTES, KEPT_SECONDS, getsizeof=lambda kept: len(kept[1].content) + 200
        )
        self._sweep()

    def has(self, task: str) -> bool:
        """Whether the task has a folder."""
        with contextlib.suppress(OSError):
            return stat.S_ISDIR(os.lstat(f"{self._root}/{_task(task)}").st_mode)
        return False

    def path(self, task: str, path: str) -> str:
        """The absolute path of a task's file, which is the name of its lock."""
        return "/".join([self._root, _task(task), *_parts(path)])

    def read(self, task: str, path: str) -> FileText:
        """The file's text, from the cache while the file is unchanged."""
        if cached := self.unchanged(task, path):
            return cached
        with self._parent(task, path) as (folder, name):
            return self._read(folder, name, (task, path))

    def unchanged(self, task: str, path: str) -> FileText | None:
        """The cached text if the file is unchanged, else None; quick enough for the event loop."""
        if (task, path) not in self._cache:
            return None
        with contextlib.suppress(WorkspaceRefusal, OSError):
            with self._parent(task, path) as (folder, name), _opened(folder, name) as fd:
                cached = self._cache.get((task, path))
                return cached[1] if cached and cached[0] == _state(os.fstat(fd)) else None
        return None

    def write(
        self,
        task: str,
        path: str,
        content: str,
        if_revision: str | None = None,
        allowed: Callable[[], None] = lambda: None,
    ) -> FileText:
        """Replace or create the file, if its revision is `if_revision` ("" for no file yet).

        `allowed` is called just before the rename, and may raise to prevent it.
        """
        encoded = _encoded(content)
        with self._parent(task, path, make=True) as (folder, name):
            if if_revision is not None:
                self._check(folder, name, if_revision)
            self._replace(folder, name, encoded, allowed)
        return FileText(content, _revision(encoded))

    def edit(self, task: str, path: str, old: str, new: str) -> tuple[FileText, FileText]:
        """Replace text that the file has exactly once; gives the file before and after."""
        before = self.read(task, path)
        count = before.content.count(old) if old else 0
        if count != 1:
            sentence = f"{path} has old_content {count} times; it must be there once."
            raise WorkspaceRefusal(422, sentence)
        content = before.content.replace(old, new, 1)
        return before, self.write(task, path, content, before.revision)

    def files(self, task: str) -> list[str]:
        """The paths of a task's files, sorted; at most MOST_LISTED."""
        if not self.has(task):
            raise WorkspaceRefusal(404, f"There is no task {task}.")
        paths: list[str] = []
        folder = f"{self._root}/{task}"
        for above, folders, names in os.walk(folder):
            folders.sort()
            below = os.path.relpath(above, folder)
            paths += [os.path.normpath(f"{below}/{name}") for name in sorted(names)]
            if len(paths) >= MOST_LISTED:
                break
        return sorted(paths)[:MOST_LISTED]

    def _read(self, folder: int, name: str, key: tuple[str, str]) -> FileText:
        with _opened(folder, name) as fd:
            status = os.fstat(fd)
            state = _state(status)
            text = _text(fd, status.st_size, name)
        self._cache.pop(key, None)
        if time.time_ns() - max(state[-2:]) > SETTLED_NS and len(text.content) < KEPT_BYTES // 4:
            self._cache[key] = state, text
        return text

    def _check(self, folder: int, name: str, revision: str) -> None:
        try:
            with _opened(folder, name) as fd:
                now = _text(fd, os.fstat(fd).st_size, name).revision
        except FileNotFoundError:
            now = ""
        if now != revision:
            raise WorkspaceRefusal(409, f"{name} has changed since: read it again.", revision=now)

    def _replace(self, folder: int, name: str, content: bytes, allowed: Callable[[], None]) -> None:
        mode = _replaceable(folder, name)
        temporary = secrets.token_hex(8)
        with _folder(self._root, UNFINISHED, make=True) as beside:
            fd = os.open(temporary, _NEW, mode, dir_fd=beside)
            try:
                with open(fd, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(fd)
                allowed()
                os.rename(temporary, name, src_dir_fd=beside, dst_dir_fd=folder)
            finally:
                with contextlib.suppress(FileNotFoundError):  # it was renamed
                    os.unlink(temporary, dir_fd=beside)
            os.fsync(folder)

    @contextlib.contextmanager
    def _parent(self, task: str, path: str, make: bool = False) -> Iterator[tuple[int, str]]:
        """(descriptor of the file's folder, the file's name in it)."""
        *folders, name = _parts(path)
        if not make and not self.has(task):
            raise WorkspaceRefusal(404, f"There is no task {task}.")
        try:
            with _folder(self._root, "/".join([task, *folders]), make) as folder:
                yield folder, name
        except FileNotFoundError:
            raise WorkspaceRefusal(404, f"Task {task} has no file {path}.") from None
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            sentence = f"{path} leads through a link or is no plain file."
            raise WorkspaceRefusal(422, sentence) from None

    def _sweep(self) -> None:
        """Remove the temporary files of writes that were killed; those of others stay."""
        with contextlib.suppress(OSError), _folder(self._root, UNFINISHED) as folder:
            for name in filter(re.compile("[0-9a-f]{16}").fullmatch, os.listdir(folder)):
                os.unlink(name, dir_fd=folder)


@contextlib.contextmanager
def _folder(root: str, path: str, make: bool = False) -> Iterator[int]:
    if make:
        _make_folders(root, path.split("/"))
    fd = open_within((), root, path, folder=True)
    try:
        yield fd
    finally:
        os.close(fd)


def _make_folders(root: str, parts: list[str]) -> None:
    at = os.open(root, FOLDER)
    try:
        for part in parts:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=at)
            above, at = at, os.open(part, FOLDER, dir_fd=at)
            os.close(above)
    finally:
        os.close(at)


@contextlib.contextmanager
def _opened(folder: int, name: str) -> Iterator[int]:
    fd = os.open(name, os.O_RDONLY | _FILE, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise PermissionError(errno.EPERM, "no plain file")
        yield fd
    finally:
        os.close(fd)


def _state(status: os.stat_result) -> tuple[int, ...]:
    """The file's identity, size and times; equal while the file is unchanged."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _text(fd: int, size: int, name: str) -> FileText:
    if size > MOST_BYTES:
        raise WorkspaceRefusal(413, f"{name} has {size:,} bytes; at most {MOST_BYTES:,} are read.")
    with open(fd, "rb", closefd=False) as file:
        content = file.read(MOST_BYTES)
    try:
        return FileText(content.decode(), _revision(content))
    except UnicodeDecodeError:
        raise WorkspaceRefusal(422, f"{name} is no text in UTF-8.") from None


def _encoded(content: str) -> bytes:
    try:
        encoded = content.encode()
    except UnicodeEncodeError:
        sentence = "content has half of a surrogate pair: it is no text."
        raise WorkspaceRefusal(422, sentence) from None
    if len(encoded) > MOST_BYTES:
        sentence = f"content has {len(encoded):,} bytes; at most {MOST_BYTES:,} are written."
        raise WorkspaceRefusal(413, sentence)
    return encoded


def _replaceable(folder: int, name: str) -> int:
    """The mode for the new file: that of the one it replaces, else 0o644."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return 0o644
    if not stat.S_ISREG(status.st_mode):
        raise PermissionError(errno.EPERM, "no plain file")
    return stat.S_IMODE(status.st_mode) & 0o777


def _revision(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _task(task: str) -> str:
    if not TASK.fullmatch(task):
        raise WorkspaceRefusal(422, BAD_TASK)
    return task


def _parts(path: str) -> list[str]:
    """The names in a relative path. Raises WorkspaceRefusal for one that leaves its folder, leads
    into .git, or has names that are too long or unprintable."""
    parts = [part for part in path.split("/") if part != "."]
    if not path or path.startswith("/") or not all(parts) or ".." in parts or not parts:
        raise WorkspaceRefusal(422, f"path {path[:80]!r} must name a file below the task's folder.")
    if any(part.casefold() in OF_GIT for part in parts):
        raise WorkspaceRefusal(422, "path leads into a folder of git, which names programs to run.")
    if not path.isprintable() or any(len(part.encode("utf-8", "replace")) > 255 for part in parts):
        raise WorkspaceRefusal(422, "path must be printable, each part at most 255 bytes.")
    return parts
