"""How are word vectors trained? Positive PMI and a truncated SVD over the words of many texts.

After Levy, Goldberg and Dagan, "Improving distributional similarity with lessons learned from word
embeddings", 2015. Needs scikit-learn: scripts/train-vectors loads it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse
from sklearn.utils.extmath import randomized_svd

from ..catalog.word_vectors import LENGTH_UNIT, UNIT
from ..text import Terms, raw_words

Array = np.ndarray[Any, np.dtype[Any]]

WORDS, MIN_TEXTS = 15_000, 3
RARITY = 1e-3  # a word this frequent counts half
DIMENSIONS, WINDOW, CONTEXT_POWER = 128, 6, 0.75
DOUBT, NAMING = 5, 0.05  # texts of doubt about a word; the share of texts that have a word in names


@dataclass
class Corpus:
    """The words of all texts as numbers in one stream; how many of each text are its name's."""

    numbers: dict[str, int]
    stream: Array
    text: Array
    in_name: Array


def tokenise(entries: Iterable[tuple[str, str]]) -> Corpus:
    terms, numbers = Terms(bound=1 << 20), dict[str, int]()
    stream, sizes, named = array("I"), array("I"), array("I")
    for fields in entries:
        before = len(stream)
        for size, part in zip((named, sizes), fields, strict=True):
            for raw in raw_words(part):
                stream.extend(numbers.setdefault(t, len(numbers)) for t in terms.of_word(raw))
            size.append(len(stream) - before)
    text = np.repeat(np.arange(len(sizes)), np.asarray(sizes))
    starts = np.cumsum(np.asarray(sizes)) - np.asarray(sizes)
    offset = np.arange(len(stream)) - np.repeat(starts, np.asarray(sizes))
    in_name = offset < np.repeat(np.asarray(named), np.asarray(sizes))
    return Corpus(numbers, np.asarray(stream, np.int64), text, in_name)


def texts_with(corpus: Corpus, where: Array | slice = slice(None)) -> Array:
    """In how many texts each word occurs."""
    size = len(corpus.numbers)
    seen = np.unique(corpus.text[where] * size + corpus.stream[where])
    return np.bincount(seen % size, minlength=size)


def choose(corpus: Corpus, texts: Array) -> tuple[list[str], Array]:
    """The most frequent words in enough texts, sorted as UTF-8, with their numbers."""
    frequency = np.bincount(corpus.stream, minlength=len(corpus.numbers))
    names = list(corpus.numbers)
    common = sorted(np.flatnonzero(texts >= MIN_TEXTS), key=lambda n: (-frequency[n], names[n]))
    chosen = sorted(common[:WORDS], key=lambda n: names[n].encode())
    return [names[n] for n in chosen], np.array(chosen)


def together(corpus: Corpus, chosen: Array) -> Any:
    """How often two words stand within WINDOW of each other in a text, weighted 1/distance."""
    place = np.full(len(corpus.numbers), -1)
    place[chosen] = np.arange(len(chosen))
    stream, size = place[corpus.stream], len(chosen)
    counts = sparse.csr_matrix((size, size), dtype=np.float32)
    for distance in range(1, WINDOW + 1):
        first, second = stream[:-distance], stream[distance:]
        same = corpus.text[:-distance] == corpus.text[distance:]
        kept = (first >= 0) & (second >= 0) & same
        weight = np.full(np.count_nonzero(kept), 1 / distance, np.float32)
        counts += sparse.csr_matrix((weight, (first[kept], second[kept])), shape=counts.shape)
    return (counts + counts.T).tocoo()


def positive_pmi(counts: Any) -> Any:
    whole = counts.sum(dtype=np.float64)
    own = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel() / whole
    context = own**CONTEXT_POWER / (own**CONTEXT_POWER).sum()
    pmi = np.log(counts.data / whole / (own[counts.row] * context[counts.col]))
    kept = pmi > 0
    places = (counts.row[kept], counts.col[kept])
    return sparse.csr_matrix((pmi[kept], places), shape=counts.shape)


def vectors(corpus: Corpus, chosen: Array) -> Array:
    """Vectors of length 1, one row for each chosen word."""
    table = positive_pmi(together(corpus, chosen))
    left, _, _ = randomized_svd(table, DIMENSIONS, n_iter=4, random_state=0)
    return normalised(left)


def normalised(rows: Array) -> Array:
    made: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return made


def sections_of(words: list[str], habits: dict[str, Array], rows: Array) -> dict[str, object]:
    """What words.write_words takes: 8-bit vectors of length UNIT."""
    encoded = [word.encode() for word in words]
    return {
        "words": b"".join(encoded),
        "word_starts": np.cumsum([0, *map(len, encoded)]).astype(np.uint32),
        **{name: habits[name].astype(np.float32) for name in ("share", "naming")},
        "lengths": np.clip(np.rint(habits["length"] * LENGTH_UNIT), 1, 65_535).astype(np.uint16),
        "vectors": np.clip(np.rint(rows * UNIT), -127, 127).astype(np.int8).ravel(),
    }


@dataclass
class Trained:
    """Words, sorted as UTF-8, how the texts use them, and their vectors."""

    words: list[str]
    habits: dict[str, Array]
    rows: Array


def train(corpus: Corpus) -> Trained:
    texts, named = texts_with(corpus), texts_with(corpus, corpus.in_name)
    words, chosen = choose(corpus, texts)
    habits = {
        "share": texts[chosen] / (corpus.text[-1] + 1),
        "naming": (named[chosen] + DOUBT * NAMING) / (texts[chosen] + DOUBT) / NAMING,
        "length": RARITY / (RARITY + np.bincount(corpus.stream)[chosen] / len(corpus.stream)),
    }
    return Trained(words, habits, vectors(corpus, chosen))
