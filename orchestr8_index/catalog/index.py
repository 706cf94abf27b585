"""A generation opened for reading: terms are looked up, posting lists fetched.

The vocabulary is a sorted table in the mapped file, searched by bisection; postings, entries and
texts are read with `pread`. Nothing here changes once opened, but for caches that are filled on
first use.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable
from copy import copy
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ..errors import SnapshotUnreadable
from ..lexicon.tables import USER_FILE, Tables, tables
from ..memo import Memo, keep
from ..records import KINDS, Entry, Kind, ResolvedRole
from ..text import fold_name
from .sections import LARGE, Places, Sections, SortedKeys, Strings
from .snapshot import Generations, Manifest, SegmentInfo, lent_file
from .word_vectors import Words

if TYPE_CHECKING:
    from .vector_table import Table

NUMPY_FROM = 1_000  # entries; below, plain Python is fast enough and saves 11 MB
ROOM = 8  # factor of cache sizes beside numpy: 5 % less time at 10,000 entries
REMEMBERED = 1_024  # cached positions of terms, some 100 bytes each
ENTRIES = 128  # cached entries, some 1.5 KB each
STRETCH = 1_024  # postings that are read at once when one is wanted
KEPT = 256  # cached posting lists, of at most STRETCH postings each
Postings = tuple["array[int] | memoryview[int]", "array[int] | memoryview[int]"]
"""Entries, unsigned of 16 or 32 bits, and their saturated frequencies."""
_ENTRY = msgspec.msgpack.Decoder(Entry)


class Runs:
    """The posting lists of terms or of pairs: for position i, (entries, sats) and its df."""

    def __init__(self, sections: Sections, name: str, wide: bool) -> None:
        self._sections, self._name = sections, name
        self.typecode: Literal["I", "H"] = "I" if wide else "H"
        self._width = 4 if wide else 2
        rare = name == "pair" and sections.bound < LARGE  # few of a question's pairs are known
        numbers = sections.column if rare else sections.mapped
        self._whole: tuple[memoryview[int], memoryview[int]] | None = None
        if not rare and sections.is_small(f"{name}_entries"):
            of = sections.mapped(f"{name}_entries", self.typecode)
            self._whole = of, sections.mapped(f"{name}_sats", "H")
        self._kept: dict[int, Postings] = {}
        self.df, self._starts = numbers(f"{name}_df", "I"), numbers(f"{name}_runs", "Q")

    def arrays(self, place: int) -> Postings:
        """The posting list of a key: entries and saturated frequencies; short ones are cached."""
        if self._whole is not None:
            start, end = self._starts[place], self._starts[place + 1]
            return self._whole[0][start:end], self._whole[1][start:end]
        known = self._kept.get(place)
        if known is None:
            known = self._between(self._starts[place], self._starts[place + 1])
            if len(known[0]) <= STRETCH:
                keep(self._kept, KEPT, place, known)
        return known

    def _between(self, start: int, end: int) -> Postings:
        of, width = self._sections.read, self._width
        entries = of(f"{self._name}_entries", start * width, (end - start) * width)
        sats = of(f"{self._name}_sats", start * 2, (end - start) * 2)
        return array(self.typecode, entries), array("H", sats)

    def sat(self, place: int, entry: int) -> int:
        """The saturated frequency of one key in one entry; 0 where it does not occur."""
        if self._whole is not None:
            start, end = self._starts[place], self._starts[place + 1]
            at = bisect_left(self._whole[0], entry, start, end)
            return self._whole[1][at] if at < end and self._whole[0][at] == entry else 0
        entries, sats = self._kept.get(place) or self._stretch(place, entry)
        at = bisect_left(entries, entry)
        return sats[at] if at < len(entries) and entries[at] == entry else 0

    def _stretch(self, place: int, entry: int) -> Postings:
        """The postings around the entry, by bisection: a long list is not read for one of them."""
        start, end = self._starts[place], self._starts[place + 1]
        if end - start <= STRETCH:
            return self.arrays(place)
        while end - start > STRETCH:
            middle = (start + end) // 2
            if self._between(middle, middle + 1)[0][0] <= entry:
                start = middle
            else:
                end = middle
        return self._between(start, end)


def _read_entry(sections: Sections, place: int) -> Entry:
    start, end = sections.mapped("entry_starts", "Q")[place : place + 2]
    return _ENTRY.decode(sections.read("entries", start, end - start))


class Segment:
    """The entries of one kind. Positions are in the order of qualified names.

    `rows`, `near` and `asked` are caches of the search: rows without a score, similar terms, words.
    They may have `room` times as many items as in a small segment.
    """

    def __init__(
        self,
        kind: Kind,
        sections: Sections,
        info: SegmentInfo,
        words: Words,
        lexicon: Path | None = None,
        lent: Sections | None = None,
    ) -> None:
        self._lexicon, self._lent = lexicon, lent
        self.kind, self._sections, self.words = kind, sections, words
        self.size, self.lengths = info.entries, info.lengths
        self.identity = sections.identity
        self.uses_numpy = info.entries >= NUMPY_FROM
        if self.uses_numpy:  # it costs more memory than whole sections, which save a third of time
            sections.bound = LARGE
        self.terms = Runs(sections, "term", info.wide)
        self.pairs = Runs(sections, "pair", info.wide)
        self._vocabulary = Strings(sections, "terms")
        self.room = ROOM if self.uses_numpy else 1
        self._found = Memo[str, int | None](REMEMBERED * self.room, self._vocabulary.find)
        self.find_term: Callable[[str], int | None] = self._found.__getitem__
        """The term's position in the vocabulary; the latest REMEMBERED are cached."""
        self._entries = Memo[int, Entry](ENTRIES * self.room, partial(_read_entry, sections))
        self.rows, self.asked = dict[Any, Any](), dict[Any, Any]()
        self.near: dict[str, tuple[str, int] | None] = {}
        self._term_words = sections.mapped("term_words", "I")
        self._pair_keys = SortedKeys(sections, "pair_keys")
        self._text_starts = sections.mapped("text_starts", "Q")
        self._text_spans = sections.mapped("text_spans", "Q")
        self._clone_groups = sections.mapped("clone_groups", "I")
        self._clone_runs = sections.mapped("clone_runs", "Q")
        self._clone_places = sections.mapped("clone_places", "I")

    def warm(self) -> None:
        """Load what is loaded on first use, but for what few questions need."""
        for each in (self.by_name, self.labels):
            del each
        if self.uses_numpy:
            import numpy  # noqa: F401

    @cached_property
    def lexicon(self) -> Tables:
        """The lexicon's tables, with the user's own lines; read at the first question."""
        return tables(self._lexicon)

    def terms_like(self, term: str, edits: int) -> list[str]:
        """Terms with the same first letter and about the same length."""
        return self._vocabulary.alike(term, edits)

    def word_of(self, term: str, place: int | None) -> int | None:
        """The term's position among the words with vectors; `place` is its own here, if any."""
        if place is None:
            return self.words.find(term)
        word = self._term_words[place]
        return word if word < self.words.size else None

    @cached_property
    def vectors(self) -> memoryview[int]:
        """The entries' vectors: rows of signed bytes, of length about word_vectors.UNIT."""
        return self._sections.mapped("vectors", "b")

    @cached_property
    def table(self) -> Table:
        """The vectors, ready to be compared with a question's."""
        from .vector_table import Table  # simsimd: 0.7 MB that an idle server does not need

        return Table(self.vectors, self.words.dimensions, self.uses_numpy)

    def find_pair(self, first: int, second: int) -> int | None:
        return self._pair_keys.find(first << 32 | second)

    def sat(self, word: str, place: int) -> int:
        """The saturated frequency of a term, or of a pair "first second", in one entry."""
        found = [self.find_term(term) for term in word.split(" ")]
        runs, at = self.terms, found[0]
        if len(found) == 2:
            known = found[0] is not None and found[1] is not None
            runs, at = self.pairs, self.find_pair(*found) if known else None  # type: ignore[arg-type]
        return runs.sat(at, place) if at is not None else 0

    def entry(self, place: int) -> Entry:
        """The entry at a position; the latest ENTRIES are cached."""
        return self._entries[place]

    def text(self, place: int) -> str:
        """The markdown below the entry's header."""
        if self._lent is None:
            start, end = self._text_starts[place], self._text_starts[place + 1]
            return self._sections.read("texts", start, end - start).decode()
        start, end = self._text_spans[2 * place : 2 * place + 2]
        stored, length = self._sections.size("texts"), end - start
        where, start = (self._sections, start) if start < stored else (self._lent, start - stored)
        return where.read("texts", start, length).decode()

    @cached_property
    def norms(self) -> memoryview[float]:
        """The length of each entry's vector of saturated frequencies, pairs at their weight."""
        return self._sections.mapped("norms", "d")

    @cached_property
    def position(self) -> Strings:
        """Qualified name → position; the entries are in the order of their names."""
        return Strings(self._sections, "qualified")

    @cached_property
    def owners(self) -> list[tuple[str, str]]:
        """(plugin, name) of every entry, as written."""
        entries = (self.entry(place) for place in range(self.size))
        return [(entry.plugin, entry.name) for entry in entries]

    @cached_property
    def labels(self) -> Places:
        """Folded capabilities, tags, keywords and categories, with the entries that have them."""
        return Places(self._sections, "labels")

    @cached_property
    def by_name(self) -> Places:
        """Positions by folded name, file stem, and `plugin:` before either."""
        return Places(self._sections, "names")

    def clones(self, place: int) -> list[int]:
        """The positions of the entry's group of near-clones, itself among them; often none."""
        group = self._clone_groups[place]
        start, end = self._clone_runs[group], self._clone_runs[group + 1]
        return self._clone_places[start:end].tolist()

    def find(self, plugin: str, name: str) -> int | None:
        """The position of an entry, by exact names first, then by folded ones."""
        places = self.by_name.get(f"{fold_name(plugin)}:{fold_name(name)}", [])
        exact = [p for p in places if (e := self.entry(p)).plugin == plugin and e.name == name]
        return next(iter(exact or places), None)


class Index:
    """One generation, opened from its folder. `roles` are by folded name."""

    def __init__(
        self, manifest: Manifest, segments: Iterable[Segment], folder: Path = Path()
    ) -> None:
        self.manifest, self.folder = manifest, folder
        self.generation = manifest.generation
        self.segments: dict[Kind, Segment] = {segment.kind: segment for segment in segments}
        self.roles: dict[str, ResolvedRole] = {
            fold_name(resolved.role.name): resolved for resolved in manifest.roles
        }
        self._sums: dict[str, int] = {}

    def count_once(self, what: str, count: Callable[[Entry], int]) -> int:
        """The sum over all entries, remembered under the name `what`."""
        if what not in self._sums:
            segments = self.segments.values()
            every = (segment.entry(place) for segment in segments for place in range(segment.size))
            self._sums[what] = sum(count(entry) for entry in every)
        return self._sums[what]

    @property
    def words(self) -> Words:
        return self.segments[KINDS[0]].words

    def twin(self) -> Index:
        """A copy that shares all data, to which other experience can be bound."""
        return Index(self.manifest, map(copy, self.segments.values()), self.folder)

    def warm(self) -> None:
        """Load now what the first questions would load otherwise."""
        for segment in self.segments.values():
            segment.warm()


def open_index(
    generations: Generations,
    generation: int,
    before: Index | None = None,
    known: Words | None = None,
) -> Index:
    """Raises SnapshotUnreadable when the generation is gone, damaged or of another version.

    Segments whose file the generation shares with the one `before` are taken over as they are;
    `known` are word vectors that are open already.
    """
    manifest = generations.manifest(generation)
    folder = generations.path(generation)
    infos = manifest.segments
    if before is not None and before.words.digest != manifest.words:  # built by another version
        before = None
    words = before.words if before else known or Words()
    if words.digest != manifest.words:
        raise SnapshotUnreadable("The snapshot was built with other word vectors.")
    own = generations.data_dir / USER_FILE
    try:
        segments = []
        for kind in KINDS:
            sections = Sections(folder / f"{kind}.segment", infos[kind].sections)
            kept = before.segments[kind] if before else None
            if kept is None or kept.identity != sections.identity:
                table = infos[kind].lent
                lent = Sections(lent_file(folder, kind), table) if table else None
                kept = Segment(kind, sections, infos[kind], words, own, lent)
            segments.append(kept)
    except (KeyError, TypeError):
        raise SnapshotUnreadable("The snapshot's manifest lacks a part.") from None
    return Index(manifest, segments, folder)


def open_newest(generations: Generations, known: Words | None = None) -> Index | None:
    """The newest generation that can be read; None when there is none."""
    for number in reversed(generations.numbers()):
        try:
            return open_index(generations, number, known=known)
        except SnapshotUnreadable:
            continue
    return None
