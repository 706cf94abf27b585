"""Which words does a task have, and which tasks are near-equal?"""

from __future__ import annotations

import pytest

from orchestr8_index.learn.tasks import read_task
from orchestr8_index.text import Terms


def test_terms_and_adjacent_pairs(terms: Terms) -> None:
    task = read_task("Rotate the TLS certs", terms)
    assert sorted(task.terms) == ["cert", "rotat", "tls"]
    assert sorted(task.pairs) == ["rotat tls", "tls cert"]
    assert task.words == task.terms | task.pairs


@pytest.mark.parametrize(
    "text", ["rotate TLS certs!", "Please rotate the TLS cert", "ROTATE  tls, certs"]
)
def test_case_endings_and_stop_words_are_near_equal(terms: Terms, text: str) -> None:
    assert read_task(text, terms).key == read_task("rotate the TLS certs", terms).key


@pytest.mark.parametrize("text", ["rotate TLS keys", "certs TLS rotate", "rotate TLS certs 2"])
def test_other_words_or_another_order_are_another_task(terms: Terms, text: str) -> None:
    """Texts of one key with other pairs made the experience depend on who came first."""
    assert read_task(text, terms).key != read_task("rotate the TLS certs", terms).key


def test_the_key_is_the_same_in_every_process(terms: Terms) -> None:
    assert read_task("", terms).key == int.from_bytes(bytes.fromhex("e4a6a0577479b2b4"), "big")
