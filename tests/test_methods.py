"""The table of methods is whole: each one is named once, answered, and described in docs."""

from __future__ import annotations

import pytest

from orchestr8_index.config import REPOSITORY
from orchestr8_index.methods import METHODS, SHORT
from orchestr8_index.search.methods import ANSWERS
from orchestr8_index.serve.handlers import HANDLERS

PAGE = (REPOSITORY / "docs" / "methods.md").read_text("utf-8")


def test_every_method_has_two_names_of_its_own_and_a_sentence() -> None:
    assert len(SHORT) == len(METHODS)
    for name, method in METHODS.items():
        assert method.name == name and SHORT[method.short] is method
        assert method.sentence[-1] in ".?"


def test_the_server_answers_every_method_and_no_other() -> None:
    assert set(HANDLERS) == set(METHODS)


def test_what_an_index_answers_alone_is_in_the_table() -> None:
    assert set(ANSWERS) <= {name for name, method in METHODS.items() if method.away == "answer"}


def test_only_what_reads_is_cached() -> None:
    assert {method.scope for method in METHODS.values() if method.cache} == {"read"}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_on_the_page(method: str) -> None:
    assert f"\n## {method}\n" in PAGE
