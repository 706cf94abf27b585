"""What a build reuses of the last generation: its cards, and the columns of their entries.

Only the build reads this. If anything in it is invalid, every file is read again.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from .. import __version__
from ..config import USUAL, ReadLimits
from ..errors import SnapshotUnreadable
from ..records import KINDS, Kind
from ..validate import UNDECODABLE
from .cards import Card
from .sections import Sections, Table, write_sections
from .snapshot import Generations, SegmentInfo, lent_file
from .spill import KEPT, N_FIELDS, READ, Array, EntryColumns
from .word_vectors import Words

_CARDS = msgspec.msgpack.Decoder(list[Card])
REFUSED = "refused"


def recipe(limits: ReadLimits = USUAL) -> str:
    """The versions and limits that decide how a file is read; a change makes all cards invalid."""
    tools = f"{sys.version} {unicodedata.unidata_version} {msgspec.__version__}"
    return f"{__version__} {tools} {limits.recipe}"


@dataclass(slots=True)
class OldSegment:
    """One kind of the last generation. `terms` are its vocabulary, `words` their places among the
    word vectors. The entries at `rows` have cards; the others stand at `borrowed`, places in the
    shared roots' segment, the file `lender` (device, inode)."""

    folder: Path
    info: SegmentInfo
    cards: list[Card]
    columns: EntryColumns
    terms: list[str]
    words: Sequence[int]
    rows: Sequence[int]
    borrowed: list[int]
    lender: tuple[int, int] | None
    segment: Sections

    def entry(self, row: int) -> bytes:
        """The encoded entry of a row, as it was served."""
        starts = self.segment.mapped("entry_starts", "Q")
        return self.segment.read("entries", starts[row], starts[row + 1] - starts[row])


Known = tuple[Card, int, int]


@dataclass(slots=True)
class Previous:
    """`found`: `Card.place` → (card, origin and place of its entry); `lent` and `lendable` are what
    `kinds` and `found` are, of the roots that projects share."""

    kinds: dict[Kind, OldSegment] = field(default_factory=dict)
    found: dict[bytes, Known] = field(default_factory=dict)
    lent: dict[Kind, OldSegment] = field(default_factory=dict)
    lendable: dict[bytes, Known] = field(default_factory=dict)


def read_previous(
    generations: Generations,
    generation: int,
    words: Words,
    limits: ReadLimits = USUAL,
    origin: int = KEPT,
) -> Previous:
    """What a generation has to reuse: nothing if it is gone, damaged or of another recipe."""
    try:
        manifest = generations.manifest(generation)
        if (manifest.recipe, manifest.words) != (recipe(limits), words.digest):
            return Previous()
        folder = generations.path(generation)
        kinds = {kind: _kept(folder, kind, manifest.segments[kind], words) for kind in KINDS}
        refused = _CARDS.decode((folder / f"{REFUSED}.cards").read_bytes())
    except (SnapshotUnreadable, OSError, KeyError, *UNDECODABLE):
        return Previous()
    found: dict[bytes, Known] = {}
    for kept in kinds.values():
        found.update((card.place, (card, origin, at)) for at, card in enumerate(kept.cards))
    found.update((card.place, (card, READ, -1)) for card in refused)
    return Previous(kinds, found) if origin == KEPT else Previous(lent=kinds, lendable=found)


def _kept(folder: Path, kind: Kind, info: SegmentInfo, words: Words) -> OldSegment:
    segment = Sections(folder / f"{kind}.segment", info.sections)
    cards = Sections(folder / f"{kind}.cards", info.cards)
    lengths = np.frombuffer(cards.read("lengths"), np.uint32).astype(np.int64)
    lengths = lengths.reshape(-1, N_FIELDS)
    rows = np.frombuffer(cards.read("rows"), np.uint32)
    borrowed = np.frombuffer(cards.read("borrowed"), np.uint32).tolist()
    vectors = np.frombuffer(segment.read("vectors"), np.int8).reshape(-1, words.dimensions)
    columns = EntryColumns(
        texts=lambda start, end: segment.read("texts", start, end - start),
        tokens=lambda start, end: np.frombuffer(
            cards.read("tokens", start * 4, (end - start) * 4), np.uint32
        ),
        text_starts=segment.mapped("text_starts", "Q"),
        token_starts=[0, *np.cumsum(lengths.sum(axis=1)).tolist()],
        lengths=lengths,
        vectors=vectors[rows],
    )
    starts, raw = segment.mapped("terms_starts", "Q").tolist(), segment.read("terms")
    terms = [raw[starts[i] : starts[i + 1]].decode() for i in range(len(starts) - 1)]
    known = _CARDS.decode(cards.read("cards"))
    if not (len(known) == len(rows) == len(lengths) and len(vectors) == info.entries):
        raise ValueError("the cards are not those of the segment")
    lender = Sections(lent_file(folder, kind), info.lent).identity if info.lent else None
    term_words = segment.mapped("term_words", "I")
    of = (rows.tolist(), borrowed, lender, segment)
    return OldSegment(folder, info, known, columns, terms, term_words, *of)


def write_cards(
    path: Path,
    cards: Sequence[Card],
    lengths: Array,
    tokens: Iterable[Array],
    rows: Array,
    borrowed: Sequence[int],
) -> Table:
    """`tokens` as positions in the segment's vocabulary, `lengths` by field; `rows` are where the
    cards' entries stand in the segment, `borrowed` what stands between them."""
    return write_sections(
        path,
        {
            "rows": rows.astype(np.uint32).tobytes(),
            "borrowed": np.array(borrowed, np.uint32).tobytes(),
            "lengths": lengths.astype(np.uint32).tobytes(),
            "tokens": _Parts(tokens),
            "cards": msgspec.msgpack.encode(cards),
        },
    )


class _Parts:
    def __init__(self, tokens: Iterable[Array]) -> None:
        self._tokens = tokens

    def parts(self) -> Iterable[bytes]:
        return (part.astype(np.uint32).tobytes() for part in self._tokens)
