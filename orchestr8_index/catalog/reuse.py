"""What need not be read again? The last generation's cards, and the shelves that they stand on.

Only the build reads this. Whatever is wrong with it, the answer is to read everything again.
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
from .snapshot import Generations, SegmentInfo
from .spill import N_FIELDS, Array, Shelf
from .word_vectors import Words

_CARDS = msgspec.msgpack.Decoder(list[Card])
REFUSED = "refused"


def recipe(limits: ReadLimits = USUAL) -> str:
    """What else decides how a file is read; another one than it was makes all cards worthless."""
    tools = f"{sys.version} {unicodedata.unidata_version} {msgspec.__version__}"
    return f"{__version__} {tools} {limits.recipe}"


@dataclass(slots=True)
class OldSegment:
    """One kind of the last generation. `terms` are its vocabulary, `words` theirs."""

    folder: Path
    info: SegmentInfo
    cards: list[Card]
    shelf: Shelf
    terms: list[str]
    words: Sequence[int]
    _segment: Sections

    def entry(self, place: int) -> bytes:
        """What was served of an entry."""
        starts = self._segment.mapped("entry_starts", "Q")
        return self._segment.read("entries", starts[place], starts[place + 1] - starts[place])


@dataclass(slots=True)
class Past:
    """`found` are cards by what makes a file this file, with their kind and their place in it."""

    kinds: dict[Kind, OldSegment] = field(default_factory=dict)
    found: dict[bytes, tuple[Card, int]] = field(default_factory=dict)
    refused: list[Card] = field(default_factory=list)


def read_past(
    generations: Generations, generation: int, words: Words, limits: ReadLimits = USUAL
) -> Past:
    """Of a generation that is gone, damaged or made by another recipe nothing is known."""
    try:
        manifest = generations.manifest(generation)
        if (manifest.recipe, manifest.words) != (recipe(limits), words.digest):
            return Past()
        folder = generations.path(generation)
        past = Past({kind: _kept(folder, kind, manifest.segments[kind], words) for kind in KINDS})
        past.refused = _CARDS.decode((folder / f"{REFUSED}.cards").read_bytes())
    except (SnapshotUnreadable, OSError, KeyError, *UNDECODABLE):
        return Past()
    for kept in past.kinds.values():
        past.found.update((card.place, (card, at)) for at, card in enumerate(kept.cards))
    past.found.update((card.place, (card, -1)) for card in past.refused)
    return past


def _kept(folder: Path, kind: Kind, info: SegmentInfo, words: Words) -> OldSegment:
    segment = Sections(folder / f"{kind}.segment", info.sections)
    cards = Sections(folder / f"{kind}.cards", info.cards)
    lengths = np.frombuffer(cards.read("lengths"), np.uint32).astype(np.int64)
    lengths = lengths.reshape(-1, N_FIELDS)
    shelf = Shelf(
        texts=lambda offset, length: segment.read("texts", offset, length),
        tokens=lambda offset, length: cards.read("tokens", offset, length),
        text_starts=segment.mapped("text_starts", "Q"),
        token_starts=[0, *np.cumsum(lengths.sum(axis=1)).tolist()],
        lengths=lengths,
        vectors=np.frombuffer(segment.read("vectors"), np.int8).reshape(-1, words.dimensions),
    )
    starts, raw = segment.mapped("terms_starts", "Q").tolist(), segment.read("terms")
    terms = [raw[starts[i] : starts[i + 1]].decode() for i in range(len(starts) - 1)]
    known = _CARDS.decode(cards.read("cards"))
    if not len(known) == info.entries == len(lengths) == len(shelf.vectors):
        raise ValueError("the cards are not those of the segment")
    return OldSegment(folder, info, known, shelf, terms, segment.mapped("term_words", "I"), segment)


def write_cards(
    path: Path, cards: Sequence[Card], lengths: Array, tokens: Iterable[Array]
) -> Table:
    """`tokens` as positions in the segment's vocabulary, `lengths` by field."""
    return write_sections(
        path,
        {
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
