"""Is a word English? A Bloom filter over the stems of a large word list.

A stem of the list is always found; of other words one in some three hundred is taken for English
(Bloom, "Space/time trade-offs in hash coding with allowable errors", 1970). scripts/make-lexicon
fills english.bloom; lexicon.notice.md names the list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

SHIPPED = Path(__file__).with_name("english.bloom")
BITS_A_WORD, HASHES = 12, 8


def is_english(stem: str) -> bool:
    """Whether the list has a word of this stem; the filter is read at the first question."""
    return has(_filter(), stem)


def fill(stems: Collection[str]) -> bytes:
    """The filter of these stems."""
    bits = bytearray(len(stems) * BITS_A_WORD // 8 + 1)
    for stem in stems:
        for place in _places(stem, len(bits)):
            bits[place >> 3] |= 1 << (place & 7)
    return bytes(bits)


@cache
def _filter() -> bytes:
    return SHIPPED.read_bytes()


def has(bits: bytes, stem: str) -> bool:
    """Whether the filter `bits` was filled with this stem, or seems to have been."""
    return all(bits[place >> 3] >> (place & 7) & 1 for place in _places(stem, len(bits)))


def _places(stem: str, size: int) -> Iterator[int]:
    """HASHES places from two halves of one digest (Kirsch and Mitzenmacher, 2006)."""
    digest = hashlib.blake2b(stem.encode("utf-8", "replace"), digest_size=16).digest()
    first, step = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big") | 1
    return ((first + turn * step) % (size * 8) for turn in range(HASHES))
