"""Which terms and pairs of terms does each entry have, and how strongly? Counted with numpy.

Runs in the build's child process only: numpy's sort counts half a million terms in a fraction of
a second, and its memory is gone when the child ends.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..text import Terms, raw_words
from .weigh import (
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

Array = np.ndarray[Any, np.dtype[Any]]
N_FIELDS, BODY = len(FIELDS), FIELDS.index("body")


@dataclass(slots=True)
class Postings:
    """For each key in order: `df` (its weight's document frequency) and a run of (entry, sat)."""

    keys: Array
    df: Array
    starts: Array
    entries: Array
    sats: Array


@dataclass(slots=True)
class Counted:
    """`terms` is sorted; a pair's key is `first << 32 | second`, positions in `terms`;
    `lengths` are the means of the fields."""

    terms: list[str]
    singles: Postings
    pairs: Postings
    lengths: tuple[float, ...]


@dataclass(slots=True)
class Tokens:
    """The terms of all entries in order, as numbers; `lengths` has a row of fields per entry."""

    numbers: dict[str, int] = field(default_factory=dict)
    stream: array[int] = field(default_factory=lambda: array("I"))
    lengths: array[int] = field(default_factory=lambda: array("I"))

    def add(self, texts: Iterable[tuple[str, ...]]) -> None:
        split = Terms(bound=1 << 20)
        memo: dict[str, array[int]] = {}
        for fields in texts:
            for text in fields:
                before = len(self.stream)
                for raw in raw_words(text):
                    known = memo.get(raw)
                    if known is None:
                        known = memo[raw] = array("I", map(self._number, split.of_word(raw)))
                    self.stream.extend(known)
                self.lengths.append(len(self.stream) - before)

    def _number(self, term: str) -> int:
        return self.numbers.setdefault(term, len(self.numbers))


def count(texts: Iterable[tuple[str, ...]]) -> Counted:
    """`texts` gives (name, description, body) of each entry, in the order of their positions."""
    tokens = Tokens()
    tokens.add(texts)
    terms = sorted(tokens.numbers)
    rank = np.empty(len(terms) + 1, np.int64)
    rank[[tokens.numbers[term] for term in terms]] = np.arange(len(terms))
    stream = rank[np.frombuffer(tokens.stream, np.uint32)]
    lengths = np.frombuffer(tokens.lengths, np.uint32).astype(np.int64).reshape(-1, N_FIELDS)
    entries = lengths.shape[0]
    cell = np.repeat(np.arange(entries * N_FIELDS), lengths.ravel())  # entry·fields + field
    weights = _cell_weights(lengths)
    singles = _postings(stream, cell, weights, entries)
    together = cell[1:] == cell[:-1]
    pair = (stream[:-1] << 32 | stream[1:])[together]
    pairs = _postings(pair, cell[1:][together], weights, entries, lone_bodies=False)
    return Counted(terms, singles, pairs, tuple(_averages(lengths).tolist()))


def _averages(lengths: Array) -> Array:
    found: Array = np.maximum(lengths.mean(axis=0), 1e-9) if len(lengths) else np.ones(N_FIELDS)
    return found


def norms(counted: Counted, entries: int) -> Array:
    """The length of each entry's vector of saturated frequencies, pairs at PAIR_WEIGHT."""
    squares = np.zeros(entries)
    for postings, weight in ((counted.singles, 1.0), (counted.pairs, PAIR_WEIGHT)):
        values = (postings.sats * (weight / SAT_SCALE)) ** 2
        squares += np.bincount(postings.entries, values, minlength=entries)
    return np.sqrt(squares)


def _cell_weights(lengths: Array) -> Array:
    """What one occurrence counts in each (entry, field): field weight over length norm.

    An entry without a body among entries with bodies would lose to all of them: its other fields
    count for more.
    """
    average = _averages(lengths)
    b = np.array(FIELD_B)
    weights: Array = np.array(FIELD_WEIGHT) / (1 - b + b * lengths / average)
    lacking = lengths[:, BODY] == 0
    weights[lacking] *= 1 + BODY_CREDIT * (1 - lacking.mean() if len(lacking) else 0)
    return weights.ravel()


def _postings(
    keys: Array, cell: Array, weights: Array, entries: int, lone_bodies: bool = True
) -> Postings:
    """Group occurrences by (key, entry). `lone_bodies` keeps keys that a single body has."""
    order = np.argsort(keys, kind="stable")
    keys, cell = keys[order], cell[order]
    entry = cell // N_FIELDS
    first = _starts_of_runs(keys, entry)
    frequency = np.add.reduceat(weights[cell], first) if len(first) else np.zeros(0)
    in_head = np.logical_or.reduceat(cell % N_FIELDS < 2, first) if len(first) else first > 0
    keys, entry = keys[first], entry[first]
    runs = _starts_of_runs(keys)
    sizes = np.diff(np.append(runs, len(keys)))
    heads = np.add.reduceat(in_head.astype(np.int64), runs) if len(runs) else runs
    if not lone_bodies:
        kept = (sizes > 1) | (heads > 0)
        mask = np.repeat(kept, sizes)
        keys, entry, frequency = keys[mask], entry[mask], frequency[mask]
        sizes, heads, runs = sizes[kept], heads[kept], _starts_of_runs(keys)
    sat = np.rint(frequency * SAT_MAX / (frequency + K1) * SAT_SCALE)
    return Postings(
        keys=keys[runs].astype(np.uint64),
        df=np.maximum(heads, np.ceil(np.where(heads > 0, BODY_SHARE, 1) * sizes)).astype(np.uint32),
        starts=np.append(runs, len(keys)).astype(np.uint64),
        entries=entry.astype(np.uint16 if entries <= 1 << 16 else np.uint32),
        sats=np.clip(sat, 1, (1 << 16) - 1).astype(np.uint16),
    )


def _starts_of_runs(*columns: Array) -> Array:
    """Positions at which any of the (sorted) columns changes."""
    if not len(columns[0]):
        return np.zeros(0, np.int64)
    change = np.zeros(len(columns[0]), bool)
    change[0] = True
    for column in columns:
        change[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(change)
