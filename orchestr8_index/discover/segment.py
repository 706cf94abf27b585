"""How do the entries of one kind become a file? Counted, encoded, laid into sections.

Runs in the build's child process only, because it counts with numpy; index.py reads what it writes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import msgspec
from msgspec import Struct

from ..records import Entry, Kind
from ..text import fold_name
from ..tokens import estimate_tokens
from .clones import find_clones
from .count import Counted, count, norms
from .embed import Embedder
from .sections import write_sections
from .snapshot import SegmentInfo
from .strings import places_sections, starts_of, strings_sections


class Text(Struct, frozen=True):
    """What is counted of an entry, by field."""

    name: str
    description: str
    body: str


def write_segment(
    folder: Path, kind: Kind, rows: Sequence[tuple[Entry, Text]], embedder: Embedder
) -> SegmentInfo:
    """`rows` in the order of their positions: by qualified name."""
    counted = count((text.name, text.description, text.body) for _, text in rows)
    vectors = embedder.embed((text.name, text.description, text.body) for _, text in rows)
    entries = [msgspec.msgpack.encode(entry) for entry, _ in rows]
    texts = [text.body.encode() for _, text in rows]
    table = write_sections(
        folder / f"{kind}.segment",
        {
            **strings_sections("terms", (term.encode() for term in counted.terms)),
            "term_words": embedder.places(counted.terms),
            **_postings_sections("term", counted),
            **_postings_sections("pair", counted),
            "norms": norms(counted, len(rows)),
            "vectors": vectors,
            "entries": b"".join(entries),
            "entry_starts": starts_of(entries),
            "texts": b"".join(texts),
            "text_starts": starts_of(texts),
            **strings_sections("qualified", (entry.qualified.encode() for entry, _ in rows)),
            **places_sections("names", _names(entry for entry, _ in rows)),
            **places_sections("labels", _labels(entry for entry, _ in rows)),
            **_clones(rows),
        },
    )
    wide = counted.singles.entries.itemsize == 4
    tokens = sum(estimate_tokens(entry.line) for entry, _ in rows)
    return SegmentInfo(len(rows), wide, table, counted.lengths, tokens)


def _postings_sections(name: str, counted: Counted) -> dict[str, object]:
    of = counted.singles if name == "term" else counted.pairs
    keys = {"pair_keys": of.keys} if name == "pair" else {}
    runs = {f"{name}_entries": of.entries, f"{name}_sats": of.sats}
    return {**keys, f"{name}_df": of.df, f"{name}_runs": of.starts, **runs}


def _names(entries: Iterable[Entry]) -> dict[str, list[int]]:
    """Every name that finds an entry, folded: its own and its file's, with and without plugin."""
    found: dict[str, list[int]] = {}
    for place, entry in enumerate(entries):
        plugin, name, stem = fold_name(entry.plugin), fold_name(entry.name), fold_name(entry.stem)
        for key in dict.fromkeys((name, stem, f"{plugin}:{name}", f"{plugin}:{stem}")):
            found.setdefault(key, []).append(place)
    return found


def _clones(rows: Sequence[tuple[Entry, Text]]) -> dict[str, object]:
    """`clone_groups`: the number of each entry's group; number 0 is nobody's."""
    groups = find_clones([(entry, f"{text.description}\n{text.body}") for entry, text in rows])
    numbers = array("I", bytes(4 * len(rows)))
    for number, group in enumerate(groups, 1):
        for place in group:
            numbers[place] = number
    return {
        "clone_groups": numbers,
        "clone_runs": starts_of([[], *groups]),
        "clone_places": array("I", chain.from_iterable(groups)),
    }


def _labels(entries: Iterable[Entry]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, entry in enumerate(entries):
        for label in entry.labels:
            places = found.setdefault(fold_name(label), [])
            if not places or places[-1] != place:
                places.append(place)
    found.pop("", None)
    return found
