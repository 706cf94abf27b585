"""Which entries could go? Those that never won, whose twin comes first, or that hide another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from ..catalog.index import Index, Segment
from ..records import KINDS, Entry, FileReport, Kind
from ..tokens import ESTIMATING
from ..views import EntryRecord

TAKES, BEFORE = "hidden: the host takes ", ", which goes before it"


class Unused(Struct, frozen=True):
    """`tokens` is what the entry's line costs its host in every session that lists it."""

    why: str
    kind: Kind
    entry: str
    path: str
    tokens: int


def unused(
    index: Index, records: Sequence[EntryRecord], files: Iterable[FileReport]
) -> list[Unused]:
    """The dearest first. Where nothing was reported yet, none is said to have never won."""
    wins = {(record.kind, record.entry): record.wins for record in records}
    found = list(_hiding(index, files))
    for kind in KINDS:
        segment = index.segments[kind]
        for place in range(segment.size):
            entry = segment.entry(place)
            if not wins.get((kind, entry.qualified)) and (why := _why(segment, place, wins)):
                found.append(_row(why, entry))
    return sorted(found, key=lambda each: (-each.tokens, each.entry))


def _row(why: str, entry: Entry) -> Unused:
    return Unused(why, entry.kind, entry.qualified, entry.path, ESTIMATING(entry.line))


def _why(segment: Segment, place: int, wins: dict[tuple[Kind, str], int]) -> str:
    """Of near-clones one answers for all: the one that won most, else the first."""
    group = [segment.entry(each).qualified for each in sorted({place, *segment.clones(place)})]
    best = max(group, key=lambda name: wins.get((segment.kind, name), 0))
    if best != segment.entry(place).qualified:
        return f"its twin {best} always comes first"
    return "never won" if wins else ""


def _hiding(index: Index, files: Iterable[FileReport]) -> Iterator[Unused]:
    """Whoever takes the name of a file that the host would take otherwise."""
    roots = index.manifest.roots
    places = {
        f"{roots[entry.root]}/{entry.path}": entry
        for segment in index.segments.values()
        for entry in map(segment.entry, range(segment.size))
    }
    for file in files:
        if file.reason.startswith(TAKES):
            first = file.reason.removeprefix(TAKES).removesuffix(BEFORE)
            if entry := places.get(first):
                yield _row(f"hides {file.root}/{file.path}", entry)
