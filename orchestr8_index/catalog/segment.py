"""How do the entries of one kind become a file? Counted, encoded, laid into sections.

Runs in the build's child process only, because it counts with numpy; index.py reads what it writes.
A kind of which nothing has changed keeps its file: the new generation gets a link to it.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from ..records import Kind
from .clones import find_clones
from .columns import Array
from .kind_data import Holding
from .postings import Counted, Postings, count
from .reuse import write_cards
from .sections import write_sections
from .snapshot import SegmentInfo
from .spill import N_FIELDS, Shelf, SpilledEntry, stretches
from .string_table import places_sections, starts_of, strings_sections

SAID = 1  # the field of descriptions


def write_segment(folder: Path, kind: Kind, holding: Holding) -> SegmentInfo:
    """The holding's rows are in the order of their positions: by qualified name."""
    if _unchanged(holding) and _link(folder, kind, holding):
        assert holding.kept
        return holding.kept.info
    stand = _Stand(holding)
    counted = count(stand.lengths, stand.numbers, list(holding.tokens.numbers), folder)
    table = write_sections(folder / f"{kind}.segment", _sections(stand, counted))
    for row in holding.rows:
        row.card.adjusted = row.entry != row.card.entry
    tokens = (counted.rank[part] for part in stand.own_numbers())
    cards = [row.card for row in holding.rows]
    known = write_cards(folder / f"{kind}.cards", cards, stand.own_lengths, tokens)
    wide = counted.singles.entries.dtype.itemsize == 4
    carried = sum(card.tokens for card in cards)
    return SegmentInfo(len(holding.rows), wide, table, counted.lengths, carried, known)


def _unchanged(holding: Holding) -> bool:
    kept = holding.kept
    if kept is None or holding.restamped or len(holding.rows) != len(kept.cards):
        return False
    return all(
        row.kept
        and (row.entry is row.card.entry and not row.card.adjusted)
        or (row.kept and row.entry == kept.entry(row.place))
        for row in holding.rows
    )


def _link(folder: Path, kind: Kind, holding: Holding) -> bool:
    """False where links cannot be made; the files are then written anew."""
    assert holding.kept
    try:
        for name in (f"{kind}.segment", f"{kind}.cards"):
            os.link(holding.kept.folder / name, folder / name)
    except OSError:
        for name in (f"{kind}.segment", f"{kind}.cards"):
            (folder / name).unlink(missing_ok=True)
        return False
    return True


@dataclass(slots=True)
class _Stand:
    """The rows with all that lies on the shelves, in the rows' order."""

    holding: Holding
    rows: Sequence[SpilledEntry] = ()
    own_lengths: Array = field(default_factory=lambda: np.zeros((0, N_FIELDS), np.int64))
    lengths: Array = field(default_factory=lambda: np.zeros((0, N_FIELDS), np.int64))

    def __post_init__(self) -> None:
        self.rows = self.holding.rows
        every = [shelf.lengths[first:last] for shelf, first, last in self._stretches(self.rows)]
        if every:
            self.own_lengths = np.concatenate(every)
        self.lengths = self.own_lengths.copy()
        for place, row in enumerate(self.rows):
            if row.said is not None:
                self.lengths[place, SAID] = len(row.said)

    def _stretches(self, rows: Sequence[SpilledEntry]) -> Iterator[tuple[Shelf, int, int]]:
        for kept, first, last in stretches(rows):
            yield self.holding.shelf(kept), first, last

    def own_numbers(self) -> Iterator[Array]:
        """The terms of all rows, as their own files have them."""
        for shelf, first, last in self._stretches(self.rows):
            yield shelf.numbers(first, last)

    def numbers(self, first: int, last: int) -> Array:
        """The terms of some rows, with what other files said about them."""
        rows = self.rows[first:last]
        found = [shelf.numbers(*places) for shelf, *places in self._stretches(rows)]
        stream = np.concatenate(found) if found else np.zeros(0, np.uint32)
        if all(row.said is None for row in rows):
            return stream
        return self._with_said(stream, rows, self.own_lengths[first:last])

    def _with_said(self, stream: Array, rows: Sequence[SpilledEntry], lengths: Array) -> Array:
        ends = np.cumsum(lengths.ravel())
        parts, at = [], 0
        for place, row in enumerate(rows):
            if row.said is not None:
                cell = place * N_FIELDS + SAID
                parts += [stream[at : ends[cell - 1]], np.array(row.said, np.uint32)]
                at = ends[cell]
        return np.concatenate([*parts, stream[at:]])

    def terms(self, place: int) -> set[int]:
        """The terms of one row's description and text."""
        return set(self.numbers(place, place + 1)[self.lengths[place, 0] :].tolist())

    def vectors(self) -> bytes:
        every = [shelf.vectors[first:last] for shelf, first, last in self._stretches(self.rows)]
        if not every:
            return b""
        found = np.concatenate(every)
        for place, row in enumerate(self.rows):
            if row.vector:
                found[place] = np.frombuffer(row.vector, np.int8)
        return found.tobytes()

    def text_starts(self) -> array[int]:
        starts = array("Q", [0])
        for shelf, first, last in self._stretches(self.rows):
            there = shelf.text_starts[first : last + 1]
            shift = starts[-1] - there[0]
            starts.extend(start + shift for start in there[1:])
        return starts

    def parts(self) -> Iterator[bytes]:
        """All texts, one stretch after the other."""
        for shelf, first, last in self._stretches(self.rows):
            yield shelf.text(first, last)


def _sections(stand: _Stand, counted: Counted) -> dict[str, object]:
    rows, tokens = stand.rows, stand.holding.tokens
    terms = [term.encode() for term in counted.terms]
    entries = [row.entry for row in rows]
    names = [row.card.names for row in rows]
    return {
        **strings_sections("terms", terms),
        "term_words": array("I", (tokens.words[tokens.numbers[term]] for term in counted.terms)),
        **_postings_sections("term", counted.singles),
        "pair_keys": counted.pairs.keys,
        **_postings_sections("pair", counted.pairs),
        "norms": counted.norms,
        "vectors": stand.vectors(),
        "entries": b"".join(entries),
        "entry_starts": starts_of(entries),
        "texts": stand,
        "text_starts": stand.text_starts(),
        **strings_sections("qualified", (row.card.qualified.encode() for row in rows)),
        **places_sections("names", _names(names)),
        **places_sections("labels", _labels(rows)),
        **_clones(find_clones(names, stand.terms), len(rows)),
    }


def _postings_sections(name: str, of: Postings) -> dict[str, object]:
    runs = {f"{name}_entries": of.entries, f"{name}_sats": of.sats}
    return {f"{name}_df": of.df, f"{name}_runs": of.starts, **runs}


def _names(names: Iterable[tuple[str, ...]]) -> dict[str, list[int]]:
    """Every name that finds an entry, folded: its own and its file's, with and without plugin."""
    found: dict[str, list[int]] = {}
    for place, (plugin, name, stem, *more) in enumerate(names):
        for key in dict.fromkeys((name, stem, f"{plugin}:{name}", f"{plugin}:{stem}", *more)):
            found.setdefault(key, []).append(place)
    return found


def _clones(groups: Sequence[Sequence[int]], size: int) -> dict[str, object]:
    """`clone_groups`: the number of each entry's group; number 0 is nobody's."""
    numbers = array("I", bytes(4 * size))
    for number, group in enumerate(groups, 1):
        for place in group:
            numbers[place] = number
    return {
        "clone_groups": numbers,
        "clone_runs": starts_of([[], *groups]),
        "clone_places": array("I", chain.from_iterable(groups)),
    }


def _labels(rows: Sequence[SpilledEntry]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        for label in row.labels:
            found.setdefault(label, []).append(place)
    return found
