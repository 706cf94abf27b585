"""How do the entries of one kind become a file? Counted, encoded, laid into sections.

Runs in the build's child process only, because it counts with numpy; index.py reads what it writes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
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
    terms = [term.encode() for term in counted.terms]
    table = write_sections(
        folder / f"{kind}.segment",
        {
            "terms": b"".join(terms),
            "term_starts": _starts(terms),
            "term_words": embedder.places(counted.terms),
            **_postings_sections("term", counted),
            **_postings_sections("pair", counted),
            "norms": norms(counted, len(rows)),
            "vectors": vectors,
            "entries": b"".join(entries),
            "entry_starts": _starts(entries),
            "texts": b"".join(texts),
            "text_starts": _starts(texts),
            "names": msgspec.msgpack.encode([_names(entry) for entry, _ in rows]),
            "clones": msgspec.msgpack.encode(_clones(rows)),
            "labels": msgspec.msgpack.encode(_labels(entry for entry, _ in rows)),
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


def _starts(parts: Iterable[bytes]) -> array[int]:
    starts = array("Q", [0])
    for part in parts:
        starts.append(starts[-1] + len(part))
    return starts


def _names(entry: Entry) -> tuple[str, str, str]:
    return fold_name(entry.plugin), fold_name(entry.name), fold_name(entry.stem)


def _clones(rows: Sequence[tuple[Entry, Text]]) -> list[list[int]]:
    return find_clones([(entry, f"{text.description}\n{text.body}") for entry, text in rows])


def _labels(entries: Iterable[Entry]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, entry in enumerate(entries):
        for label in entry.labels:
            places = found.setdefault(fold_name(label), [])
            if not places or places[-1] != place:
                places.append(place)
    found.pop("", None)
    return found
