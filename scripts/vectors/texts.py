"""Reads the folder that word vectors are distilled from.

NAME.texts.xz has lines `source TAB text`, NAME.vectors.xz the encoder's vector of each, in signed
bytes; info.json says how many dimensions and how long a step is. pairs.npz has rows (pool of a
sentence, sentence, its entry in the first pool, source). tldr-aligned.xz has lines
`language TAB text TAB the same in English`.
"""

from __future__ import annotations

import json
import lzma
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestr8_index.text import Terms

Array = np.ndarray[Any, np.dtype[Any]]
POOLS = ("mpnet", "minilm")
HELD_OUT = frozenset(("9", "10", "11", "12", "14"))  # texts of sets that results are measured on
LEAST_TEXTS = 2
JUNK = re.compile(  # long numbers, hashes and measures
    r"\d{4,}|0x.*|0\d{2,}|(?=.*\d)[0-9a-f]{8,}|\d+(px|ms|rem|pt|vw|s|k|mb|mi|gb|m|x\d+)|.{25,}"
)


@dataclass
class Pool:
    """Texts as terms, the encoder's vectors of length 1, and which may be trained on."""

    terms: list[list[str]]
    vectors: Array
    allowed: Array


@dataclass
class Material:
    """`aligned`: terms in another language, and the English text's place in the first pool."""

    pools: list[Pool]
    text_of: dict[str, int]
    aligned: list[tuple[list[str], int]]
    pairs: Array


def read_material(folder: Path) -> Material:
    terms, info = Terms(bound=1 << 21), json.loads((folder / "info.json").read_text())
    pools, text_of = [], dict[str, int]()
    for name in POOLS:
        rows = _lines(folder / f"{name}.texts.xz")
        raw = lzma.decompress((folder / f"{name}.vectors.xz").read_bytes())
        vectors = np.frombuffer(raw, np.int8).reshape(-1, info[name]["dimensions"])
        vectors = vectors.astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        allowed = np.array([row[0] not in HELD_OUT for row in rows])
        pools.append(Pool([terms(row[1]) for row in rows], vectors, allowed))
        if not text_of:
            text_of = {row[1]: at for at, row in reversed(list(enumerate(rows)))}
    lines = _lines(folder / "tldr-aligned.xz")
    aligned = [(terms(line[1]), text_of[line[2]]) for line in lines if line[2] in text_of]
    pairs = np.load(folder / "pairs.npz")["pairs"].astype(np.int64)
    return Material(pools, text_of, aligned, pairs)


def choose_words(material: Material, most: int) -> list[str]:
    """The words in most texts, sorted as UTF-8."""
    texts: Counter[str] = Counter()
    for pool in material.pools:
        for terms, allowed in zip(pool.terms, pool.allowed, strict=True):
            if allowed:
                texts.update(set(terms))
    for terms, _ in material.aligned:
        texts.update(set(terms))
    common = (word for word, n in texts.most_common() if n >= LEAST_TEXTS)
    chosen = [word for word in common if not JUNK.fullmatch(word)][:most]
    return sorted(chosen, key=str.encode)


def _lines(path: Path) -> list[list[str]]:
    text = lzma.decompress(path.read_bytes()).decode()
    return [line.split("\t") for line in text.split("\n") if "\t" in line]
