"""Do the benchmarks take any tree, or say why not? What they measure is not looked at here."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import REPOSITORY, fixture_root


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts" / "benchmarks"))
    return importlib.import_module("day")


def test_a_day_asks_the_golden_questions(day: Any) -> None:
    texts, source = day.texts_of(str(fixture_root()), 7)
    assert len(texts) > day.QUESTIONS and source == "golden.jsonl"


def test_a_tree_without_golden_questions_has_a_day_too(day: Any, tmp_path: Path) -> None:
    """It ended in a traceback."""
    words = [f"{first}{second}" for first in "abcdefghijk" for second in "lmnopqrstu"]
    (tmp_path / "words.md").write_text(" ".join(words))
    texts, source = day.texts_of(str(tmp_path), 7)
    assert len(texts) == len(set(texts)) == day.QUESTIONS
    assert source == "made from the words of its files"


def test_a_tree_with_too_few_words_is_said(day: Any, tmp_path: Path) -> None:
    """It drew without end."""
    (tmp_path / "few.md").write_text("only a few words " * 4)
    with pytest.raises(SystemExit, match="too few words for 60 questions"):
        day.texts_of(str(tmp_path), 7)


def test_without_agents_no_outcome_is_told(day: Any) -> None:
    events = day.Day(["one text", "another text"], [], 7).events()
    assert events and not any(method == "cacheDecision" for _, method, _, _ in events)


def test_a_day_tells_of_the_indexs_agents(day: Any, shipped_index: Index) -> None:
    agents = day.agents_of(shipped_index)
    assert len(agents) == 24 and "studio:docs-writer" in agents
