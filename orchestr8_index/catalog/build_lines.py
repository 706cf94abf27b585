"""The protocol between the server and a build's child: the request, its lines, and its note.

It is apart from the build, whose imports would cost the server a megabyte.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from ..config import USUAL, ReadLimits
from ..records import Poison
from ..switches import NOTHING, Switches

AHEAD = "--ahead"


class BuildRequest(Struct, frozen=True):
    """`unless` is the input digest for which only the files of a known change (`named`) are read;
    with "" all files are read. `place` is the digest that names the folder of generations of these
    roots. `shared` are the roots that other projects have, too: they are built first, as a
    generation that lends cards and texts to this one. `switches` are those of the hosts' settings,
    `moved` the folders of hosts that lie elsewhere, each with its usual name."""

    roots: tuple[str, ...]
    data_dir: str
    poison: tuple[Poison, ...] = ()
    unless: str = ""
    named: tuple[str, ...] = ()
    limits: ReadLimits = USUAL
    place: str = ""
    shared: tuple[str, ...] = ()
    switches: Switches = NOTHING
    moved: tuple[tuple[str, str], ...] = ()


class BuildLine(Struct, frozen=True, omit_defaults=True):
    """One line of the child: the path of its note, progress, or (last) a result."""

    note: str = ""
    done: int = 0
    total: int = 0
    generation: int = 0
    fresh: bool = False
    error: str = ""


GONE = "is gone"


class Note(Struct, frozen=True):
    """The file that the build's child has open."""

    root: str
    path: str
    size: int
    mtime_ns: int


def read_note(note: str) -> Note | None:
    """The child's last note; None if there is none, or not a whole one."""
    try:
        data = Path(note).read_bytes()
        return msgspec.msgpack.decode(data[4 : 4 + int.from_bytes(data[:4], "big")], type=Note)
    except (OSError, msgspec.DecodeError):
        return None
