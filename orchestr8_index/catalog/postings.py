"""Builds the inverted index of terms and of pairs of adjacent terms, with numpy.

Entries are counted in blocks; the blocks' postings, sorted by key, are then merged one range of
keys after the other, so that memory depends on the size of a block and not on that of the
catalogue. Runs in the build's child process only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .bm25f import (
    BODY_CREDIT,
    BODY_SHARE,
    FIELD_B,
    FIELD_WEIGHT,
    FIELDS,
    K1,
    PAIR_WEIGHT,
    SAT_MAX,
    SAT_SCALE,
)
from .spill import Array, GrowingColumn

BLOCK = 1 << 19  # terms that are counted at once, and postings that are merged at once
N_FIELDS, BODY = len(FIELDS), FIELDS.index("body")
_DIGIT = 1 << 16


@dataclass(slots=True)
class Postings:
    """For each key in order: `df`, the document frequency for its weight, and its posting list."""

    keys: GrowingColumn
    df: GrowingColumn
    starts: GrowingColumn
    entries: GrowingColumn
    sats: GrowingColumn


@dataclass(slots=True)
class Counted:
    """`terms` is sorted; a pair's key is `first << 32 | second`, positions in `terms`;
    `lengths` are the means of the fields, `norms` the lengths of the entries' vectors of
    saturated frequencies, pairs at PAIR_WEIGHT; `rank` is the position of each number's term."""

    terms: list[str]
    singles: Postings
    pairs: Postings
    lengths: tuple[float, ...]
    norms: Array
    rank: Array


def count(
    lengths: Array,
    numbers: Callable[[int, int], Array],
    names: Sequence[str],
    folder: Path | None = None,
    block: int = BLOCK,
) -> Counted:
    """`lengths` has shape (entries, fields); `numbers(first, last)` gives the terms of these
    entries one after the other, as positions in `names`. `folder` is for what does not fit into
    memory."""
    folder = folder or Path(tempfile.gettempdir())
    cuts = list(_cut(lengths.sum(axis=1), block))
    terms, rank = _vocabulary((numbers(*cut) for cut in cuts), names)
    weights = _cell_weights(lengths)
    singles, pairs = (_Merge(folder, len(lengths), block) for _ in range(2))
    for first, last in cuts:
        stream = rank[numbers(first, last)]
        cell = np.repeat(  # entry·fields + field
            np.arange(first * N_FIELDS, last * N_FIELDS), lengths[first:last].ravel()
        )
        singles.add(_PostingBlock.of(stream, cell, weights))
        adjacent = np.flatnonzero(cell[1:] == cell[:-1])
        pair = stream[adjacent] << 32 | stream[adjacent + 1]
        pairs.add(_PostingBlock.of(pair, cell[adjacent], weights))
    found = singles.postings(), pairs.postings(lone_bodies=False)
    squares = singles.squares + pairs.squares * PAIR_WEIGHT**2
    means = tuple(_averages(lengths).tolist())
    return Counted(terms, *found, means, np.sqrt(squares) / SAT_SCALE, rank)


def _cut(sizes: Array, block: int) -> Iterator[tuple[int, int]]:
    """Ranges of entries with about `block` terms each, at least one entry."""
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + block, "right")))
        yield first, last
        first = last


def _vocabulary(streams: Iterator[Array], names: Sequence[str]) -> tuple[list[str], Array]:
    """The terms that occur, sorted, and for every number its position among them."""
    used = np.zeros(len(names), bool)
    for stream in streams:
        used[stream] = True
    numbers = sorted(np.flatnonzero(used).tolist(), key=names.__getitem__)
    rank = np.zeros(len(names), np.int64)
    rank[numbers] = np.arange(len(numbers))
    return [names[number] for number in numbers], rank


def _averages(lengths: Array) -> Array:
    found: Array = np.maximum(lengths.mean(axis=0), 1e-9) if len(lengths) else np.ones(N_FIELDS)
    return found


def _cell_weights(lengths: Array) -> Array:
    """The weight of one occurrence in each (entry, field): field weight over length norm.

    An entry without a body would lose to all entries with one: its other fields weigh more.
    """
    average = _averages(lengths)
    b = np.array(FIELD_B)
    weights: Array = np.array(FIELD_WEIGHT) / (1 - b + b * lengths / average)
    lacking = lengths[:, BODY] == 0
    weights[lacking] *= 1 + BODY_CREDIT * (1 - lacking.mean() if len(lacking) else 0)
    return weights.ravel()


@dataclass(slots=True)
class _PostingBlock:
    """The postings of some entries by key, then entry; `heads`: not in the body alone."""

    keys: Array
    entries: Array
    sats: Array
    heads: Array

    @classmethod
    def of(cls, keys: Array, cell: Array, weights: Array) -> _PostingBlock:
        """Group occurrences by (key, entry); an entry's cells stand together."""
        order = _order(keys)
        keys, cell = keys[order], cell[order]
        entry = cell // N_FIELDS
        first = _starts_of_runs(keys, entry)
        frequency = np.add.reduceat(weights[cell], first) if len(first) else np.zeros(0)
        heads = np.logical_or.reduceat(cell % N_FIELDS < BODY, first) if len(first) else first > 0
        sats = np.rint(frequency * SAT_MAX / (frequency + K1) * SAT_SCALE)
        sats = np.clip(sats, 1, (1 << 16) - 1)
        return cls(keys[first], entry[first].astype(np.uint32), sats.astype(np.uint16), heads)

    @property
    def columns(self) -> tuple[Array, Array, Array, Array]:
        return self.keys, self.entries, self.sats, self.heads


_TYPES = (np.int64, np.uint32, np.uint16, np.bool_)


class _Merge:
    """Blocks of postings, in the order of their entries, stored and merged by ranges of keys."""

    def __init__(self, folder: Path, entries: int, block: int) -> None:
        self._folder, self._block = folder, block
        self._blocks: list[tuple[GrowingColumn, ...]] = []
        self._number = np.uint16 if entries <= _DIGIT else np.uint32
        self.squares = np.zeros(entries)

    def add(self, block: _PostingBlock) -> None:
        columns = tuple(GrowingColumn(self._folder, dtype) for dtype in _TYPES)
        for column, items in zip(columns, block.columns, strict=True):
            column.append(items)
        self._blocks.append(columns)

    def postings(self, lone_bodies: bool = True) -> Postings:
        """The merged postings; without `lone_bodies`, keys that only one body has are dropped."""
        types = np.uint64, np.uint32, np.uint64, self._number, np.uint16
        found = Postings(*(GrowingColumn(self._folder, dtype) for dtype in types))
        found.starts.append(np.zeros(1))
        for block in self._stretches():
            self._append(found, block, lone_bodies)
        return found

    def _stretches(self) -> Iterator[_PostingBlock]:
        """The postings of all blocks, some keys at a time; entries ascend within a key."""
        cuts = self._cuts()
        for at in range(len(cuts[0]) - 1 if cuts else 0):
            parts = [
                [column.read(cut[at], cut[at + 1]) for column in block]
                for block, cut in zip(self._blocks, cuts, strict=True)
            ]
            columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
            if len(parts) > 1:
                order = np.argsort(columns[0], kind="stable")  # few sorted runs: fast
                columns = [column[order] for column in columns]
            yield _PostingBlock(*columns)

    def _cuts(self) -> list[list[int]]:
        """For each block the positions at which the ranges of keys begin and end."""
        step = max(1, self._block // max(1, len(self._blocks)))
        samples = [block[0].read()[::step] for block in self._blocks]
        if not samples:
            return []
        bounds = np.sort(np.concatenate(samples))[:: len(samples)]
        return [
            [0, *np.searchsorted(block[0].read(), bounds[1:]).tolist(), len(block[0])]
            for block in self._blocks
        ]

    def _append(self, found: Postings, block: _PostingBlock, lone_bodies: bool) -> None:
        keys, entries, sats, heads = block.columns
        runs = _starts_of_runs(keys)
        if not len(runs):
            return
        sizes = np.diff(np.append(runs, len(keys)))
        headed = np.add.reduceat(heads.astype(np.int64), runs)
        if not lone_bodies:
            kept = (sizes > 1) | (headed > 0)
            mask = np.repeat(kept, sizes)
            keys, entries, sats = keys[mask], entries[mask], sats[mask]
            sizes, headed, runs = sizes[kept], headed[kept], _starts_of_runs(keys)
        share = np.where(headed > 0, BODY_SHARE, 1)
        found.keys.append(keys[runs])
        found.df.append(np.maximum(headed, np.ceil(share * sizes)))
        found.starts.append(len(found.entries) + np.cumsum(sizes))
        found.entries.append(entries)
        found.sats.append(sats)
        # integers below 2**53: exact, in whatever stretches they are added
        values = sats.astype(np.float64) ** 2
        self.squares += np.bincount(entries, values, minlength=len(self.squares))


def _order(keys: Array) -> Array:
    """A stable argsort of numbers below 2**64: a radix sort by 16 bits at a time."""
    order = np.arange(len(keys))
    for shift in (0, 16, 32, 48):
        if len(keys) and (digits := keys >> shift & (_DIGIT - 1)).any():
            order = order[np.argsort(digits.astype(np.uint16)[order], kind="stable")]
    return order


def _starts_of_runs(*columns: Array) -> Array:
    """Positions at which any of the (sorted) columns changes."""
    if not len(columns[0]):
        return np.zeros(0, np.int64)
    change = np.zeros(len(columns[0]), bool)
    change[0] = True
    for column in columns:
        change[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(change)
