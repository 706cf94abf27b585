"""Is a word English? A Bloom filter over the stems of a large word list.

No false negatives; the false positive rate is about one in three hundred (Bloom, "Space/time
trade-offs in hash coding with allowable errors", 1970). scripts/make-lexicon
fills english.bloom; lexicon.notice.md names the list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import cache, lru_cache
from pathlib import Path

from ..text import usual_stem

SHIPPED = Path(__file__).with_name("english.bloom")
BITS_A_WORD, HASHES = 12, 8


@lru_cache(1024)
def is_english(stem: str) -> bool:
    """Whether the list has a word of this stem; the filter is read on first use."""
    return has(_filter(), usual_stem(stem))


def fill(stems: Collection[str]) -> bytes:
    """A Bloom filter of these stems, BITS_A_WORD bits each."""
    bits = bytearray(len(stems) * BITS_A_WORD // 8 + 1)
    for stem in stems:
        place, step = _hashed(stem)
        for _ in range(HASHES):
            at = place % (len(bits) * 8)
            bits[at >> 3] |= 1 << (at & 7)
            place += step
    return bytes(bits)


def has(bits: bytes, stem: str) -> bool:
    """Whether the filter `bits` has this stem; false positives are possible."""
    place, step = _hashed(stem)
    size = len(bits) * 8
    for _ in range(HASHES):
        at = place % size
        if not bits[at >> 3] >> (at & 7) & 1:
            return False
        place += step
    return True


@cache
def _filter() -> bytes:
    return SHIPPED.read_bytes()


def _hashed(stem: str) -> tuple[int, int]:
    """Double hashing: first position and step, halves of a digest (Kirsch, Mitzenmacher, 2006)."""
    digest = hashlib.blake2b(stem.encode("utf-8", "replace"), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big") | 1
