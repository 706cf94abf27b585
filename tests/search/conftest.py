"""Three agents that a question tells apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestr8_index.catalog.index import Index, Segment

from ..trees import Files, agent


@pytest.fixture
def segment(make_index: Callable[[Files], Index]) -> Segment:
    files = {
        "agents/a.md": agent("sql-tuner", "Makes queries fast.", "indexes and plans"),
        "agents/b.md": agent("writer", "Writes manuals.", "about a query plan for a database"),
        "agents/c.md": agent("painter", "Paints walls.", "with colours and a plan"),
    }
    return make_index(files).segments["agent"]
