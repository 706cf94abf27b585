"""What is a line of the spool? A report with its length and checksum, found where bytes changed.

    LENGTH CHECKSUM REPORT    decimal; CRC-32 as eight hexadecimal digits; one line of JSON
    LENGTH ~~~~~~~~ REPORT    delivered
    REPORT, or ~EPORT         as earlier versions wrote it: taken as it is, or delivered

A report is looked for by its length, so that a line feed that changed joins no two of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from zlib import crc32

from msgspec import Struct
from msgspec.structs import replace

_HEAD = re.compile(rb"(\d{1,9}) ([0-9a-f]{8}|~{8}) ")
_DONE = re.compile(rb"\n|~{2,}\n?|~(?!\d* [0-9a-f]{8} )[^\n]*\n?")
CROSSED = b"~"


class Line(Struct, frozen=True):
    """`start` and `end` are places in the file, `close` that of its line feed. `done`: nothing to
    deliver; `fits`: the checksum is that of the report, or there never was one."""

    start: int
    close: int
    end: int
    report: bytes
    done: bool = False
    fits: bool = True

    @property
    def crossing(self) -> tuple[int, bytes]:
        """Where to write what says that it is done with."""
        length = self.close - self.start
        if not self.fits:
            return self.start, CROSSED * length
        if length == len(self.report):
            return self.start, CROSSED
        return self.close - len(self.report) - 9, CROSSED * 8


def framed(report: bytes) -> bytes:
    """The report as a line."""
    return b"%d %08x %s\n" % (len(report), crc32(report), report)


def split(raw: bytes, at: int = 0) -> Iterator[Line]:
    """All lines of what stands at the place `at` of the file."""
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
    """A line of before, one that is done with, or one that does not fit, up to what does."""
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
