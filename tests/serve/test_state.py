"""What is said while there is no index?"""

from __future__ import annotations

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.errors import Starting
from orchestr8_index.serve.state import State


def test_the_index_is_the_current_generation(state: State, shipped_index: Index) -> None:
    assert state.index is shipped_index


def test_without_an_index_it_is_starting(starting: State) -> None:
    with pytest.raises(Starting, match="building its first index"):
        starting.index  # noqa: B018


def test_a_failed_first_build_is_told(starting: State) -> None:
    starting.refresh.failure = "The disk is full."
    with pytest.raises(Starting, match="no index yet. The disk is full"):
        starting.index  # noqa: B018
