"""What changes below some folders, as Linux tells it: nothing wakes up while nothing changes.

Only folders that are looked into are watched. Three functions of libc are called by hand, as the
bindings that there are cost twice the memory.
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
Matters = Callable[[str, bool], bool]  # of a path, and whether it is, or was, a folder


class Inotify:
    """The folders that are watched below `roots`. Raises OSError where no more can be."""

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
        """Each new folder and all below it; what changed in them before is for a look to find."""
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
        found: int = getattr(self._libc, name)(*arguments)
        if found == -1:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return found

    def _watch(self, folder: str) -> None:
        try:
            watch = self._call("inotify_add_watch", self._handle, os.fsencode(folder), WATCHED)
        except OSError as error:
            if error.errno not in UNREADABLE:
                raise
            return
        paths = self._paths.get(watch, ())  # several: one folder that is mounted twice
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
        elif not name:  # of the folder itself: the one above tells it, but where there is none
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
        """A folder that was moved away is another's; where it went, it is watched as a new one. Of
        one that was removed the system tells itself."""
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
    """What is mounted where, read again when the system says that it has changed."""

    def __init__(self) -> None:
        self._file = open("/proc/self/mountinfo", "rb", buffering=0)
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLPRI)
        self._places = self._read()

    def below(self, folder: str) -> tuple[str, ...]:
        """The places below a folder where something is mounted."""
        if self._poll.poll(0):
            self._places = self._read()
        return tuple(place for place in self._places if place.startswith(f"{folder}/"))

    def close(self) -> None:
        self._file.close()

    def _read(self) -> list[str]:
        self._file.seek(0)
        rows = self._file.readall().splitlines()
        places = (row.split(b" ")[4] for row in rows)
        unescape = lambda found: bytes([int(found[1], 8)])  # noqa: E731
        return sorted(os.fsdecode(re.sub(rb"\\([0-7]{3})", unescape, each)) for each in places)


async def changes(
    roots: Iterable[str], end: asyncio.Event, matters: Matters, quiet: float, most: float
) -> AsyncIterator[set[str]]:
    """Changed paths, once nothing has changed for `quiet` seconds, or after `most`; until `end`."""
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
    """Rest until one of them is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return True
