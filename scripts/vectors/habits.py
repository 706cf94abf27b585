"""Counts how open texts use words, and lays words, habits and vectors out as words.vec has them."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from orchestr8_index.catalog.sections import write_sections
from orchestr8_index.catalog.word_vectors import LENGTH, LENGTH_UNIT, NAMES, UNIT, WordsInfo
from orchestr8_index.text import Terms

from .texts import Array

DOUBT, NAMING = 5, 0.05  # texts of doubt about a word; the share of texts with a word in names
LONGEST = 0.999  # the length of this share of the words is at most 1


def habits(corpora: Iterable[Path], words: list[str]) -> dict[str, Array]:
    """`share` of the texts that have a word; `naming`: how often in their names, beside others."""
    split, texts, named, total = Terms(bound=1 << 20), Counter[str](), Counter[str](), 0
    for name, rest in _entries(corpora):
        own = set(split(name))
        named.update(own)
        texts.update(own.union(split(rest)))
        total += 1
    have = np.array([texts[word] for word in words], float)
    having = np.array([named[word] for word in words], float)
    naming = (having + DOUBT * NAMING) / (have + DOUBT) / NAMING
    return {"share": have / max(1, total), "naming": np.where(have > 0, naming, 1.0)}


def _entries(corpora: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """(name, everything else) of each entry."""
    for path in corpora:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as lines:
            for line in filter(str.strip, lines):
                entry = json.loads(line)
                tags = " ".join(entry.get("tags") or [])
                rest = (entry.get("description") or "", tags, entry.get("body") or "")
                yield entry["name"], " ".join(rest)


def sections_of(words: list[str], habits: dict[str, Array], table: Array) -> dict[str, object]:
    """What write_words takes: directions of length UNIT, and lengths beside them."""
    encoded = [word.encode() for word in words]
    sizes = np.linalg.norm(table, axis=1)
    lengths = sizes / np.quantile(sizes, LONGEST) * LENGTH_UNIT
    directions = table / np.maximum(sizes, 1e-9)[:, None] * UNIT
    return {
        "words": b"".join(encoded),
        "word_starts": np.cumsum([0, *map(len, encoded)]).astype(np.uint32),
        **{name: habits[name].astype(np.float32) for name in ("share", "naming")},
        "lengths": np.clip(np.rint(lengths), 1, 65_535).astype(np.uint16),
        "vectors": np.clip(np.rint(directions), -127, 127).astype(np.int8).ravel(),
    }


def write_words(path: Path, dimensions: int, sections: dict[str, Array]) -> None:
    """`sections` are those of NAMES. Replaces the file."""
    ordered = {name: sections[name] for name in NAMES}
    digest = hashlib.sha256(b"".join(map(bytes, ordered.values()))).hexdigest()[:16]
    path.unlink(missing_ok=True)
    info = WordsInfo(digest, len(sections["share"]), dimensions, write_sections(path, ordered))
    end = msgspec.msgpack.encode(info)
    with open(path, "ab") as file:
        file.write(end + len(end).to_bytes(LENGTH, "big"))
