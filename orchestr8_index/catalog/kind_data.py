"""What does a build have of one kind? Its rows, the shelves they stand on, its terms' numbers."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ..records import Entry
from ..text import Terms
from .cards import Card
from .entry_vectors import NAME_TIMES, OPENING, Embedder
from .reuse import OldSegment
from .spill import KEPT, LENT, READ, EntryColumns, Filling, SpilledEntry
from .term_ids import Numbering

WAITING = 1 << 22  # characters of bodies


@dataclass(slots=True)
class KindData:
    """Rows in order, and where what was read, what was kept and what is `lent` lies. `restamped`: a
    file has other times than before, and still says the same."""

    filling: Filling
    embedder: Embedder
    split: Terms
    kept: OldSegment | None = None
    lent: OldSegment | None = None
    rows: list[SpilledEntry] = field(default_factory=list)
    restamped: bool = False
    _waiting: list[tuple[Card, Entry, str, Callable[[], None]]] = field(default_factory=list)
    _waiting_size: int = 0
    _columns: dict[int, EntryColumns] = field(default_factory=dict)
    _tokens: Numbering | None = None

    @property
    def tokens(self) -> Numbering:
        if self._tokens is None:
            known = (self.kept.terms, self.kept.words) if self.kept else ((), ())
            self._tokens = Numbering(self.split, self.embedder, *known)
        return self._tokens

    def voice(
        self, entry: Entry, body: str, whole: array[int] | None = None
    ) -> tuple[list[array[int]], bytes]:
        """The terms of name and description as numbers, and the entry's vector; `whole` are the
        body's terms, if known."""
        name, described = self.tokens.of(entry.name), self.tokens.of(entry.described)
        known = whole is not None and len(body) <= OPENING
        opening = whole if known and whole is not None else self.tokens.of(body[:OPENING])
        heard = name * NAME_TIMES + described + opening
        words = self.tokens.words
        return [name, described], self.embedder.embed([words[number] for number in heard])

    def put(
        self, card: Card, entry: Entry, body: str, begin: Callable[[], None] = lambda: None
    ) -> None:
        """To be counted in `flush`, which calls `begin` before it does; parsing and counting by
        turns would be a tenth slower."""
        self._waiting.append((card, entry, body, begin))
        self._waiting_size += len(body)
        if self._waiting_size > WAITING:
            self.flush()

    def flush(self) -> None:
        for card, entry, body, begin in self._waiting:
            begin()
            whole = self.tokens.of(body)
            fields, vector = self.voice(entry, body, whole)
            place = self.filling.put(body.encode(), [*fields, whole], vector)
            self.rows.append(SpilledEntry(card, READ, place, card.entry, card.labels))
        self._waiting.clear()
        self._waiting_size = 0

    def keep(self, card: Card, origin: int, place: int) -> None:
        self.rows.append(SpilledEntry(card, origin, place, card.entry, card.labels))

    def columns(self, which: int) -> EntryColumns:
        """Once what has been read is asked for, nothing more may be put there."""
        if which not in self._columns:
            self._columns[which] = self._open(which)
        return self._columns[which]

    def _open(self, which: int) -> EntryColumns:
        if which == KEPT and self.kept:
            return self.kept.columns
        if which == LENT and self.lent:
            numbering = np.array(list(map(self.tokens.number, self.lent.terms)), np.uint32)
            return replace(self.lent.columns, numbering=numbering)
        return self.filling.columns()

    def body(self, row: SpilledEntry) -> str:
        return self.columns(row.origin).text(row.place, row.place + 1).decode()

    def respeak(self, row: SpilledEntry, entry: Entry) -> None:
        """Other files said something about the entry, or did so in the last generation."""
        (_, row.described), row.vector = self.voice(entry, self.body(row))
