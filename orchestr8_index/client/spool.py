"""The spool of outcomes for the server: `spool.jsonl`, one report a line, oldest first.

A report is on the disk before `append` returns. A lock on the file lets one process write at once.
A line with a wrong checksum or without end is moved to `spool.refused.jsonl`, as it may have been
acknowledged. Delivered lines are marked in place, and the file is emptied when all are. A second
delivery, after a process died in between, changes nothing, as the server knows the task's id.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..errors import OutcomeNotKept
from ..private import lock_file, make_folder, open_private, sync_folder

MOST = 50_000_000
BATCH_LINES, BATCH_BYTES = 100, 400_000
CHUNK = 1_000_000
TORN = "It was found without its end, half-written or cut off."
log = logging.getLogger("orchestr8.client")


class Batch(Struct, frozen=True):
    """Some reports, the offset at which reading ended, and the file's inode."""

    lines: list[Line] = []
    end: int = 0
    file: int = 0


BEGINNING = Batch()


class Spool:
    """The spool of one data directory, of at most `most` bytes."""

    def __init__(self, data_dir: Path, most: int = MOST) -> None:
        self.path = data_dir / "spool.jsonl"
        self.refused = data_dir / "spool.refused.jsonl"
        self._lock = data_dir / "spool.lock"
        self.most = most

    def pending(self) -> bool:
        try:
            return self.path.stat().st_size > 0
        except OSError:
            return False

    def append(self, report: bytes) -> None:
        """Append a report, one line of JSON. Raises OutcomeNotKept."""
        self._append(self.path, framed(report))

    def refuse(self, report: bytes, why: str) -> None:
        """Write a report that was refused or is damaged to `spool.refused.jsonl`, for people."""
        log.warning("an outcome was refused and lies in %s: %s", self.refused, why)
        refused = {"why": why, "report": report.decode("utf-8", "replace")}
        self._append(self.refused, msgspec.json.encode(refused) + b"\n")

    def count_refused(self) -> int:
        """The number of refused reports; 0 when the file cannot be read."""
        try:
            with open(self.refused, "rb", opener=open_private) as file:
                return sum(1 for _ in file)
        except OSError:
            return 0

    @contextlib.contextmanager
    def delivering(self) -> Iterator[bool]:
        """Try to take the delivery lock, shared by all processes; gives whether that worked."""
        fd = _open(self._lock)
        try:
            yield lock_file(fd)
        finally:
            os.close(fd)

    def read(self, after: Batch = BEGINNING) -> Batch:
        """The next undelivered reports; from the file's start if it was replaced or emptied."""
        with _locked(self.path) as fd:
            size, file = self._end_last_line(fd), os.fstat(fd).st_ino
            start = after.end if file == after.file and after.end <= size else 0
            raw = _read(fd, start, min(CHUNK, size - start))
            if b"\n" not in raw:
                raw = _read(fd, start, size - start)
        lines: list[Line] = []
        end, taken = start, 0
        for line in split(raw[: raw.rfind(b"\n") + 1], start):
            if len(lines) >= BATCH_LINES or taken >= BATCH_BYTES:
                break
            if not line.done:
                lines.append(line)
                taken += len(line.report)
            end = line.end
        return Batch(lines, end, file)

    def cross_out(self, line: Line) -> None:
        """Mark a line as done in the file, unless another report is there by now."""
        fd = _open(self.path)
        try:
            place, mark = line.crossing
            length = len(line.report)
            if _read(fd, line.close - length, length) == line.report:
                _write(fd, mark, place)
        finally:
            os.close(fd)

    def clear(self, last: Batch) -> bool:
        """Empty the file if `last`, whose lines are done, reached its end; False otherwise."""
        with _locked(self.path) as fd:
            if (self._end_last_line(fd), os.fstat(fd).st_ino) != (last.end, last.file):
                return False
            os.ftruncate(fd, 0)
            os.fsync(fd)
            return True

    def _end_last_line(self, fd: int) -> int:
        """Complete the last line if only its line feed is missing, else move it to the refused
        ones; gives the file's size."""
        size = os.fstat(fd).st_size
        while size and _read(fd, size - 1, 1) != b"\n":
            start = _after_last_feed(fd, size)
            *_, last = split(_read(fd, start, size - start), start)
            if last.done or (last.fits and _is_whole(last)):
                _write(fd, b"\n", last.close)
            else:
                self.refuse(last.report, TORN)
                os.ftruncate(fd, last.start)
            size = os.fstat(fd).st_size
        return size

    def _append(self, path: Path, line: bytes) -> None:
        try:
            make_folder(path.parent)
            with _locked(path) as fd:
                size = self._end_last_line(fd) if path == self.path else os.fstat(fd).st_size
                if size + len(line) > self.most:
                    raise _full(path, self.most, path == self.path)
                _append_synced(fd, line, size)
                if not size:
                    sync_folder(path.parent)
        except OSError as error:
            sentence = f"The outcome cannot be kept in {path}: {error.strerror}."
            raise OutcomeNotKept(sentence, "Fix that, and report it again.") from None


def _full(path: Path, most: int, is_spool: bool) -> OutcomeNotKept:
    sentence = f"The outcome is not kept: {path} has reached {most:,} bytes."
    cure = "Start the server (`orchestr8-index up`): it takes them all."
    return OutcomeNotKept(sentence, cure if is_spool else "Look at what it holds, and remove it.")


def _append_synced(fd: int, data: bytes, at: int) -> None:
    """Write and fsync at the file's end `at`; on an OSError the file is cut back to `at`."""
    try:
        _write(fd, data, at)
        os.fsync(fd)
    except OSError:
        os.ftruncate(fd, at)
        raise


def _after_last_feed(fd: int, size: int) -> int:
    end = size
    while end:
        start = max(0, end - CHUNK)
        feed = _read(fd, start, end - start).rfind(b"\n")
        if feed >= 0:
            return start + feed + 1
        end = start
    return 0


def _is_whole(line: Line) -> bool:
    """Whether the line, which may have no checksum, is complete JSON."""
    try:
        msgspec.json.decode(line.report)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    fd = _open(path)
    try:
        lock_file(fd, waits=True)
        yield fd
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    return open_private(path, os.O_RDWR | os.O_CREAT)


def _read(fd: int, start: int, length: int) -> bytes:
    os.lseek(fd, start, os.SEEK_SET)
    parts = []
    while length > 0 and (part := os.read(fd, length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _write(fd: int, data: bytes, at: int) -> None:
    os.lseek(fd, at, os.SEEK_SET)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


# --- the format of a line ----------------------------------------------------------------------
#
#     LENGTH CHECKSUM REPORT    decimal; CRC-32 as eight hexadecimal digits; one line of JSON
#     LENGTH ~~~~~~~~ REPORT    delivered
#     REPORT, or ~EPORT         as earlier versions wrote it: to be delivered, or delivered
#
# A report's end is known by its length, so that a damaged line feed does not join two reports.

_HEAD = re.compile(rb"(\d{1,9}) ([0-9a-f]{8}|~{8}) ")
_DONE = re.compile(rb"\n|~{2,}\n?|~(?!\d* [0-9a-f]{8} )[^\n]*\n?")
CROSSED = b"~"


class Line(Struct, frozen=True):
    """A line of the file from offset `start` to `end`, its line feed at `close`. `done`: nothing to
    deliver; `fits`: the checksum is right, or the line has none."""

    start: int
    close: int
    end: int
    report: bytes
    done: bool = False
    fits: bool = True

    @property
    def crossing(self) -> tuple[int, bytes]:
        """(offset, bytes): the mark to write for a line that is done."""
        length = self.close - self.start
        if not self.fits:
            return self.start, CROSSED * length
        if length == len(self.report):
            return self.start, CROSSED
        return self.close - len(self.report) - 9, CROSSED * 8


def framed(report: bytes) -> bytes:
    """The report as a line, with length and checksum."""
    return b"%d %08x %s\n" % (len(report), crc32(report), report)


def split(raw: bytes, at: int = 0) -> Iterator[Line]:
    """The lines of `raw`, which was read at offset `at` of the file."""
    place = 0
    while place < len(raw):
        line = _checked(raw, place) or _other(raw, place)
        place = line.end
        yield replace(line, start=line.start + at, close=line.close + at, end=place + at)


def _checked(raw: bytes, start: int) -> Line | None:
    head = _HEAD.match(raw, start)
    if head is None:
        return None
    close = head.end() + int(head[1])
    report, done = raw[head.end() : close], head[2].startswith(CROSSED)
    ends = raw[close : close + 1] == b"\n"
    if close > len(raw) or not (ends if done else crc32(report) == int(head[2], 16)):
        return None
    end = close if not ends and _HEAD.match(raw, close) else min(close + 1, len(raw))
    return Line(start, close, end, report, done)


def _other(raw: bytes, start: int) -> Line:
    """A line that is old, done, or damaged; a damaged one ends where a valid one begins."""
    if done := _DONE.match(raw, start):
        return Line(start, done.end(), done.end(), b"", True)
    close = raw.find(b"\n", start)
    close, end = (len(raw), len(raw)) if close < 0 else (close, close + 1)
    if raw.startswith(b"{", start):
        return Line(start, close, end, raw[start:close])
    for head in _HEAD.finditer(raw, start + 1, close):
        if _checked(raw, head.start()):
            close = end = head.start()
            break
    return Line(start, close, end, raw[start:close], fits=False)
