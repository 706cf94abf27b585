"""Which terms and pairs does each entry have, and how strongly?"""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.bm25f import BODY_CREDIT, FIELD_B, FIELD_WEIGHT, K1, SAT_MAX, SAT_SCALE
from orchestr8_index.catalog.kind_data import Embedder, Numbering
from orchestr8_index.catalog.postings import BLOCK, N_FIELDS, Counted, Postings
from orchestr8_index.catalog.postings import count as count_numbers
from orchestr8_index.catalog.spill import Array
from orchestr8_index.catalog.word_vectors import Words
from orchestr8_index.text import Terms

EMBEDDER = Embedder(Words())
Texts = list[tuple[str, str, str]]
WORDS = st.lists(st.sampled_from(["index", "tuner", "query", "the", "plan"]), max_size=6).map(
    " ".join
)
TEXTS = st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=5)


def count(texts: Texts, block: int = BLOCK) -> Counted:
    tokens = Numbering(Terms(), EMBEDDER)
    fields = [[tokens.of(text) for text in entry] for entry in texts]
    sizes = [[len(numbers) for numbers in entry] for entry in fields]
    streams = [[number for numbers in entry for number in numbers] for entry in fields]

    def numbers(first: int, last: int) -> Array:
        return np.array([n for stream in streams[first:last] for n in stream], np.uint32)

    lengths = np.array(sizes, np.int64).reshape(-1, N_FIELDS)
    return count_numbers(lengths, numbers, list(tokens.numbers), block=block)


def run(postings: Postings, place: int) -> dict[int, int]:
    start, end = postings.starts.read(place, place + 2).tolist()
    found = zip(postings.entries.read(start, end), postings.sats.read(start, end), strict=True)
    return {int(entry): int(sat) for entry, sat in found}


def everything(counted: Counted) -> list[object]:
    columns = [
        column.read().tolist()
        for of in (counted.singles, counted.pairs)
        for column in (of.keys, of.df, of.starts, of.entries, of.sats)
    ]
    return [*columns, counted.terms, counted.lengths, counted.norms.tolist()]


@given(TEXTS, st.integers(1, 9))
def test_blocks_and_stretches_of_any_size_give_the_same(texts: Texts, block: int) -> None:
    assert everything(count(texts, block)) == everything(count(texts))


def saturated(texts: Texts, term: str, entry: int) -> int:
    """BM25F as its paper writes it, slowly."""
    split, frequency = Terms(), 0.0
    for field, (weight, b) in enumerate(zip(FIELD_WEIGHT, FIELD_B, strict=True)):
        lengths = [len(split(text[field])) for text in texts]
        average = max(sum(lengths) / len(lengths), 1e-9)
        times = split(texts[entry][field]).count(term)
        frequency += times * weight / (1 - b + b * lengths[entry] / average)
    bodies = [bool(split(text[2])) for text in texts]
    if not bodies[entry]:
        frequency *= 1 + BODY_CREDIT * sum(bodies) / len(bodies)
    return round(frequency * SAT_MAX / (frequency + K1) * SAT_SCALE)


@given(TEXTS)
def test_saturations_are_those_of_the_formula(texts: Texts) -> None:
    counted = count(texts)
    for place, term in enumerate(counted.terms):
        for entry, sat in run(counted.singles, place).items():
            assert math.isclose(sat, saturated(texts, term, entry), abs_tol=1)


@given(TEXTS)
def test_every_term_of_every_entry_is_posted(texts: Texts) -> None:
    counted, split = count(texts), Terms()
    assert counted.terms == sorted({term for text in texts for term in split(" ".join(text))})
    for place, term in enumerate(counted.terms):
        having = {entry for entry, text in enumerate(texts) if term in split(" ".join(text))}
        assert run(counted.singles, place).keys() == having


def test_pairs_are_adjacent_terms_of_one_field() -> None:
    counted = count([("query plan", "index", "")])
    (key,) = counted.pairs.keys.read()
    pair = counted.terms[int(key) >> 32], counted.terms[int(key) & 0xFFFFFFFF]
    assert pair == ("queri", "plan")


def test_a_pair_that_one_body_alone_has_is_left_out() -> None:
    assert len(count([("", "", "query plan"), ("", "", "")]).pairs.keys) == 0
    assert len(count([("", "", "query plan")] * 2).pairs.keys) == 1


def test_a_term_of_a_name_is_rarer_than_its_bodies_say() -> None:
    texts = [("tuner", "", "")] + [("", "", "tuner")] * 20
    assert count(texts).singles.df.read().tolist() == [math.ceil(2.1)]
    assert count([("", "", "tuner")] * 20).singles.df.read().tolist() == [20]


def test_nothing_counts_as_nothing() -> None:
    counted = count([])
    assert (counted.terms, counted.singles.starts.read().tolist()) == ([], [0])


def test_many_entries_need_wide_numbers() -> None:
    assert count([("a1", "", "")] * 3).singles.entries.dtype.itemsize == 2
    assert count([("a1", "", "")] * ((1 << 16) + 1)).singles.entries.dtype.itemsize == 4
