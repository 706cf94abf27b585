"""A build's data of one kind: its entries' terms as numbers, their vectors, and its rows.

Runs in the build's child process only, with numpy.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..records import Entry
from ..text import Terms, raw_words
from .cards import Card
from .reuse import OldSegment
from .spill import KEPT, LENT, READ, Array, EntryColumns, Filling, SpilledEntry
from .word_vectors import UNIT, Words

WAITING = 1 << 22  # characters of bodies
REMEMBERED = 1 << 17  # raw words
NAME_TIMES = 2
OPENING = 500  # characters of the body
FEW = 200  # words that are looked up in the file one by one, before all are read
NONE = (1 << 32) - 1


class Embedder:
    """Embeds entries: an entry's vector is the direction of the sum of its words' vectors. The file
    of word vectors is read on demand."""

    def __init__(self, words: Words) -> None:
        self._words, self._asked = words, 0
        self.dimensions = words.dimensions

    def place(self, term: str) -> int:
        """The term's position among the words, NONE for one that is not there."""
        self._asked += 1
        if self._asked > FEW:
            return self._places.get(term, NONE)
        found = self._words.find(term)
        return NONE if found is None else found

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self._words.every_word())}

    @cached_property
    def _vectors(self) -> Array:
        whole = np.frombuffer(self._words.every_vector(), np.int8)
        return whole.reshape(self._words.size, self._words.dimensions)

    @cached_property
    def _lengths(self) -> Array:
        lengths: Array = np.asarray(self._words.lengths, np.float32)[:, None]
        return lengths

    def embed(self, words: Sequence[int]) -> bytes:
        """The summed vectors of `words` (NONE for unknown ones), as signed bytes of length UNIT;
        zero for an entry without known words."""
        places = np.array(words, np.uint32)
        places = places[places != NONE]
        total = (self._vectors[places] * self._lengths[places]).sum(axis=0).astype(np.float64)
        length = max(float(np.sqrt((total * total).sum())), 1e-9)
        mean: Array = np.clip(np.rint(total / length * UNIT), -127, 127).astype(np.int8)
        return mean.tobytes()


class Numbering:
    """Numbers the terms of one kind in the order first seen. `words`: number → place among the
    embedder's words. A raw word that was met before costs one look-up."""

    def __init__(
        self, split: Terms, embedder: Embedder, known: Sequence[str] = (), words: Sequence[int] = ()
    ) -> None:
        """`known` are terms that have their numbers already, and `words` theirs."""
        self.numbers = {term: number for number, term in enumerate(known)}
        self.words = array("I", words)
        self._embedder = embedder
        self._seen = _WordIds(
            lambda raw: array("I", map(self.number, split.of_word(raw))).tobytes()
        )

    def of(self, text: str) -> array[int]:
        seen = self._seen
        if len(seen) > REMEMBERED:
            seen.clear()
        found = array("I")
        found.frombytes(b"".join(map(seen.__getitem__, raw_words(text))))
        return found

    def number(self, term: str) -> int:
        """The number of a term; a new one gets the next."""
        number = self.numbers.get(term)
        if number is None:
            number = self.numbers[term] = len(self.numbers)
            self.words.append(self._embedder.place(term))
        return number


class _WordIds(dict[str, bytes]):
    """Raw word → the bytes of an array of its terms' numbers, computed when it is missing."""

    def __init__(self, numbers_of: Callable[[str], bytes]) -> None:
        self._numbers_of = numbers_of

    def __missing__(self, raw: str) -> bytes:
        found = self[raw] = self._numbers_of(raw)
        return found


@dataclass(slots=True)
class KindData:
    """The rows of one kind; the columns of entries that were read (`filling`), `kept` of the last
    generation, or `lent`. `restamped`: a file has new times, but the same content."""

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

    def fields_and_vector(
        self, entry: Entry, body: str, whole: array[int] | None = None
    ) -> tuple[list[array[int]], bytes]:
        """The terms of name and description as numbers, and the entry's vector; `whole` are the
        body's terms, if known."""
        name, described = self.tokens.of(entry.name), self.tokens.of(entry.described)
        known = whole is not None and len(body) <= OPENING
        opening = whole if known and whole is not None else self.tokens.of(body[:OPENING])
        embedded = name * NAME_TIMES + described + opening
        words = self.tokens.words
        return [name, described], self.embedder.embed([words[number] for number in embedded])

    def put(
        self, card: Card, entry: Entry, body: str, begin: Callable[[], None] = lambda: None
    ) -> None:
        """Queue an entry for `flush`, which calls `begin` and counts it; to parse and count by
        turns would be a tenth slower."""
        self._waiting.append((card, entry, body, begin))
        self._waiting_size += len(body)
        if self._waiting_size > WAITING:
            self.flush()

    def flush(self) -> None:
        for card, entry, body, begin in self._waiting:
            begin()
            whole = self.tokens.of(body)
            fields, vector = self.fields_and_vector(entry, body, whole)
            place = self.filling.put(body.encode(), [*fields, whole], vector)
            self.rows.append(SpilledEntry(card, READ, place, card.entry, card.labels))
        self._waiting.clear()
        self._waiting_size = 0

    def keep(self, card: Card, origin: int, place: int) -> None:
        self.rows.append(SpilledEntry(card, origin, place, card.entry, card.labels))

    def columns(self, which: int) -> EntryColumns:
        """The columns of one origin; after those of READ no more entries may be put."""
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

    def redescribe(self, row: SpilledEntry, entry: Entry) -> None:
        """Update a row's description and vector, as other files add to it, or did before."""
        (_, row.described), row.vector = self.fields_and_vector(entry, self.body(row))
