"""Writes the entries of one kind as a segment: one file of sections.

Runs in the build's child process only, because it counts with numpy; index.py reads what it writes.
A kind of which nothing has changed keeps its file: the new generation gets a hard link to it.
"""

from __future__ import annotations

import contextlib
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from ..records import Kind
from .clones import find_clones
from .kind_data import KindData
from .postings import Counted, Postings, count
from .reuse import write_cards
from .sections import places_sections, starts_of, strings_sections, write_sections
from .snapshot import SegmentInfo, lent_file
from .spill import KEPT, LENT, N_FIELDS, Array, EntryColumns, SpilledEntry, stretches

DESCRIPTION = 1  # its place among FIELDS


def write_segment(folder: Path, kind: Kind, kind_data: KindData) -> SegmentInfo:
    """Write the segment and the cards of `kind_data`, whose rows are sorted by qualified name."""
    borrows = _borrow(folder, kind, kind_data)
    if _unchanged(kind_data, borrows) and _link(folder, kind, kind_data):
        assert kind_data.kept
        return kind_data.kept.info
    gathered = _Gathered(kind_data, borrows)
    counted = count(gathered.lengths, gathered.numbers, list(kind_data.tokens.numbers), folder)
    table = write_sections(folder / f"{kind}.segment", _sections(gathered, counted))
    for row in kind_data.rows:
        row.card.adjusted = row.entry != row.card.entry
    places = [at for at, row in enumerate(kind_data.rows) if gathered.is_own(row)]
    known = write_cards(
        folder / f"{kind}.cards",
        [kind_data.rows[at].card for at in places],
        gathered.own_lengths[places],
        (counted.rank[part] for part in gathered.own_numbers()),
        np.array(places, np.uint32),
        _lent_places(kind_data) if borrows else [],
    )
    wide = counted.singles.entries.dtype.itemsize == 4
    carried = sum(row.card.tokens for row in kind_data.rows)
    lent = kind_data.lent.info.sections["texts"] if borrows and kind_data.lent else None
    more = {"texts": lent} if lent else {}
    return SegmentInfo(len(kind_data.rows), wide, table, counted.lengths, carried, known, more)


def _lent_places(kind_data: KindData) -> list[int]:
    return [row.place for row in kind_data.rows if row.origin == LENT]


def _borrow(folder: Path, kind: Kind, kind_data: KindData) -> bool:
    """Link to the lent segment, so that its texts need no copy; False without any, or if no link
    can be made."""
    if kind_data.lent is None or not _lent_places(kind_data):
        return False
    with contextlib.suppress(OSError):
        os.link(kind_data.lent.folder / f"{kind}.segment", lent_file(folder, kind))
        return True
    return False


def _unchanged(kind_data: KindData, borrows: bool) -> bool:
    kept, rows = kind_data.kept, kind_data.rows
    if kept is None or kind_data.restamped or len(rows) != kept.info.entries:
        return False
    own = [at for at, row in enumerate(rows) if row.origin == KEPT]
    lender = kind_data.lent.segment.identity if borrows and kind_data.lent else None
    if (own, _lent_places(kind_data), lender) != (kept.rows, kept.borrowed, kept.lender):
        return False
    return all(
        (row.origin == KEPT and row.entry is row.card.entry and not row.card.adjusted)
        or row.entry == kept.entry(at)
        for at, row in enumerate(rows)
    )


def _link(folder: Path, kind: Kind, kind_data: KindData) -> bool:
    """Link to the last generation's files; False where links cannot be made."""
    assert kind_data.kept
    try:
        for name in (f"{kind}.segment", f"{kind}.cards"):
            os.link(kind_data.kept.folder / name, folder / name)
    except OSError:
        for name in (f"{kind}.segment", f"{kind}.cards"):
            (folder / name).unlink(missing_ok=True)
        return False
    return True


@dataclass(slots=True)
class _Gathered:
    """The columns of all rows, gathered in the rows' order. With `borrows`, lent rows are counted
    here, but their texts stay in the lent segment."""

    kind_data: KindData
    borrows: bool
    rows: Sequence[SpilledEntry] = ()
    own_lengths: Array = field(default_factory=lambda: np.zeros((0, N_FIELDS), np.int64))
    lengths: Array = field(default_factory=lambda: np.zeros((0, N_FIELDS), np.int64))

    def __post_init__(self) -> None:
        self.rows = self.kind_data.rows
        every = [columns.lengths[first:last] for columns, first, last in self._stretches(self.rows)]
        if every:
            self.own_lengths = np.concatenate(every)
        self.lengths = self.own_lengths.copy()
        for place, row in enumerate(self.rows):
            if row.described is not None:
                self.lengths[place, DESCRIPTION] = len(row.described)

    def is_own(self, row: SpilledEntry) -> bool:
        return not (self.borrows and row.origin == LENT)

    def _stretches(self, rows: Iterable[SpilledEntry]) -> Iterator[tuple[EntryColumns, int, int]]:
        for which, first, last in stretches(list(rows)):
            yield self.kind_data.columns(which), first, last

    def own_numbers(self) -> Iterator[Array]:
        """The terms of the rows whose texts are stored here, as their own files have them."""
        for columns, first, last in self._stretches(filter(self.is_own, self.rows)):
            yield columns.numbers(first, last)

    def numbers(self, first: int, last: int) -> Array:
        """The terms of the rows from `first` to `last`, with what other files add to them."""
        rows = self.rows[first:last]
        found = [columns.numbers(*places) for columns, *places in self._stretches(rows)]
        stream = np.concatenate(found) if found else np.zeros(0, np.uint32)
        if all(row.described is None for row in rows):
            return stream
        return self._with_described(stream, rows, self.own_lengths[first:last])

    def _with_described(self, stream: Array, rows: Sequence[SpilledEntry], lengths: Array) -> Array:
        ends = np.cumsum(lengths.ravel())
        parts, at = [], 0
        for place, row in enumerate(rows):
            if row.described is not None:
                cell = place * N_FIELDS + DESCRIPTION
                parts += [stream[at : ends[cell - 1]], np.array(row.described, np.uint32)]
                at = ends[cell]
        return np.concatenate([*parts, stream[at:]])

    def terms(self, place: int) -> set[int]:
        """The terms of one row's description and text."""
        return set(self.numbers(place, place + 1)[self.lengths[place, 0] :].tolist())

    def vectors(self) -> bytes:
        every = [columns.vectors[first:last] for columns, first, last in self._stretches(self.rows)]
        if not every:
            return b""
        found = np.concatenate(every)
        for place, row in enumerate(self.rows):
            if row.vector:
                found[place] = np.frombuffer(row.vector, np.int8)
        return found.tobytes()

    def text_starts(self) -> array[int]:
        starts = array("Q", [0])
        for columns, first, last in self._stretches(filter(self.is_own, self.rows)):
            there = columns.text_starts[first : last + 1]
            shift = starts[-1] - there[0]
            starts.extend(start + shift for start in there[1:])
        return starts

    def text_spans(self) -> array[int]:
        """(start, end) of each row's text, if some are borrowed: their offsets follow those of all
        texts that are stored here."""
        spans, starts, own = array("Q"), self.text_starts(), 0
        for row in self.rows if self.borrows else ():
            if self.is_own(row):
                spans.extend(starts[own : own + 2])
                own += 1
            else:
                there = self.kind_data.columns(LENT).text_starts[row.place : row.place + 2]
                spans.extend(starts[-1] + start for start in there)
        return spans

    def parts(self) -> Iterator[bytes]:
        """The texts that are stored here, in ranges of rows."""
        for columns, first, last in self._stretches(filter(self.is_own, self.rows)):
            yield columns.text(first, last)


def _sections(gathered: _Gathered, counted: Counted) -> dict[str, object]:
    rows, tokens = gathered.rows, gathered.kind_data.tokens
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
        "vectors": gathered.vectors(),
        "entries": b"".join(entries),
        "entry_starts": starts_of(entries),
        "texts": gathered,
        "text_starts": gathered.text_starts(),
        "text_spans": gathered.text_spans(),
        **strings_sections("qualified", (row.card.qualified.encode() for row in rows)),
        **places_sections("names", _names(names)),
        **places_sections("labels", _labels(rows)),
        **_clones(find_clones(names, gathered.terms), len(rows)),
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
    """`clone_groups`: the number of each entry's group; 0 for none."""
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
