"""Changes below some folders by Linux' inotify.

Only folders that the scan enters are watched. Three functions of libc are called by ctypes, as the
existing bindings take twice the memory.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import re
import select
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from ..catalog.walk import is_passed_over

MODIFY, ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
CREATE, DELETE, DELETE_SELF, MOVE_SELF = 0x100, 0x200, 0x400, 0x800
UNMOUNT, OVERFLOW, IGNORED = 0x2000, 0x4000, 0x8000
ONLYDIR, EXCL_UNLINK, ISDIR = 0x1000000, 0x4000000, 0x40000000
CHANGES = MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE
WATCHED = CHANGES | DELETE_SELF | MOVE_SELF | ONLYDIR | EXCL_UNLINK
GONE, COME = MOVED_FROM | DELETE, CREATE | MOVED_TO | ATTRIB
UNREADABLE = (errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
HEAD = struct.Struct("iIII")  # watch, mask, cookie, bytes of the name
MOST_READ = 65_536
Matters = Callable[[str, bool], bool]  # (path, whether it is or may have been a folder) -> report?


class Inotify:
    """A recursive watch of `roots`; `stirred` is set when there are changes to `take`. Raises
    OSError when the system's limit of watches is reached."""

    def __init__(self, roots: Iterable[str], matters: Matters) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._roots, self._matters = tuple(roots), matters
        self._paths: dict[int, tuple[str, ...]] = {}
        self.new = set(self._roots)
        self._changed: set[str] = set()
        self._moved: set[str] = set()
        self.stirred = asyncio.Event()
        self._handle = self._call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)

    def begin(self) -> None:
        asyncio.get_running_loop().add_reader(self._handle, self._read)

    def close(self) -> None:
        handle, self._handle = self._handle, -1
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)

    def watch_new(self) -> None:
        """Watch each new folder and all below it; earlier changes in them are not reported."""
        while self.new:
            for folder, folders, _ in os.walk(self.new.pop()):
                folders[:] = [each for each in folders if not is_passed_over(f"{folder}/{each}")]
                self._watch(folder)

    def take(self) -> set[str]:
        """The paths that changed since the last take."""
        self.stirred.clear()
        changed, self._changed = self._changed, set()
        return changed

    def _call(self, name: str, *arguments: int | bytes) -> int:
        result: int = getattr(self._libc, name)(*arguments)
        if result == -1:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result

    def _watch(self, folder: str) -> None:
        try:
            watch = self._call("inotify_add_watch", self._handle, os.fsencode(folder), WATCHED)
        except OSError as error:
            if error.errno not in UNREADABLE:
                raise
            return
        paths = self._paths.get(watch, ())  # several for one folder that is mounted twice
        if folder not in paths:
            self._paths[watch] = (*paths, folder)

    def _read(self) -> None:
        try:
            data = os.read(self._handle, MOST_READ)
        except (BlockingIOError, InterruptedError):
            return
        place = 0
        while place < len(data):
            watch, mask, _, length = HEAD.unpack_from(data, place)
            place += HEAD.size + length
            self._note(watch, mask, os.fsdecode(data[place - length : place].rstrip(b"\0")))
        if self._moved:
            self._forget_moved()

    def _note(self, watch: int, mask: int, name: str) -> None:
        if mask & OVERFLOW:
            self._stir(self._roots)
        folders = self._paths.get(watch, ())
        if mask & IGNORED:
            self._paths.pop(watch, None)
        elif not name:  # the folder itself changed: its parent has the event, if it is watched
            self._stir(each for each in folders if each in self._roots or mask & UNMOUNT)
        else:
            for folder in folders:
                self._note_child(f"{folder}/{name}", mask)

    def _note_child(self, path: str, mask: int) -> None:
        is_folder = bool(mask & ISDIR)
        if is_folder and is_passed_over(path):
            return
        if is_folder and mask & MOVED_FROM:
            self._moved.add(path)
        elif is_folder and mask & COME:
            self.new.add(path)
        if self._matters(path, is_folder or bool(mask & GONE)):
            self._stir((path,))

    def _forget_moved(self) -> None:
        """Remove the watches of folders that were moved away; the kernel removes those of deleted
        ones itself."""
        moved, self._moved = self._moved, set()
        for watch, paths in list(self._paths.items()):
            left = tuple(path for path in paths if moved.isdisjoint(_upward(path)))
            if not left:
                del self._paths[watch]
                self._libc.inotify_rm_watch(self._handle, watch)
            elif len(left) < len(paths):
                self._paths[watch] = left

    def _stir(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._changed.add(path)
            self.stirred.set()


def _upward(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


class Mounts:
    """The mount points, read again when the kernel reports a change of them."""

    def __init__(self) -> None:
        self._file = open("/proc/self/mountinfo", "rb", buffering=0)
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLPRI)
        self._places = self._read()

    def below(self, folder: str) -> tuple[str, ...]:
        """The mount points below a folder."""
        if self._poll.poll(0):
            self._places = self._read()
        return tuple(place for place in self._places if place.startswith(f"{folder}/"))

    def close(self) -> None:
        self._file.close()

    def _read(self) -> list[str]:
        self._file.seek(0)
        rows = self._file.readall().splitlines()
        places = (row.split(b" ")[4] for row in rows)
        unescape = lambda match: bytes([int(match[1], 8)])  # noqa: E731
        return sorted(os.fsdecode(re.sub(rb"\\([0-7]{3})", unescape, each)) for each in places)


async def changes(
    roots: Iterable[str], end: asyncio.Event, matters: Matters, quiet: float, most: float
) -> AsyncIterator[set[str]]:
    """Sets of changed paths, after `quiet` seconds without a change or after `most` seconds."""
    watched = Inotify(roots, matters)
    try:
        await asyncio.to_thread(watched.watch_new)
        watched.begin()
        while await _first_of(watched.stirred, end) and not end.is_set():
            yield await _gathered(watched, quiet, most)
    finally:
        watched.close()


async def _gathered(watched: Inotify, quiet: float, most: float) -> set[str]:
    changed, until = watched.take(), asyncio.get_running_loop().time() + most
    while asyncio.get_running_loop().time() < until:
        await asyncio.sleep(quiet)
        if watched.new:
            await asyncio.to_thread(watched.watch_new)
        if not watched.stirred.is_set():
            break
        changed |= watched.take()
    return changed


async def _first_of(*events: asyncio.Event) -> bool:
    """Wait until one of the events is set; gives True."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return True
