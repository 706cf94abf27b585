"""Without a server the last snapshot answers while it is true, else a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.catalog.build_lines import BuildLine
from orchestr8_index.catalog.index import Index
from orchestr8_index.catalog.worker import Builder
from orchestr8_index.client.embedded import build_index, builder_of, generations_of
from orchestr8_index.config import Settings

from ..trees import MakeTree, agent


@pytest.fixture
def settings(tmp_path: Path, make_tree: MakeTree) -> Settings:
    root = make_tree({"agents/one.md": agent("one")})
    return Settings(roots=(str(root),), roots_from="--root", data_dir=tmp_path / "data")


def build(settings: Settings, *, always: bool = False) -> Index:
    return build_index(settings, builder_of(settings), always=always)


def test_the_first_time_it_builds_and_says_how_far(settings: Settings) -> None:
    lines: list[BuildLine] = []
    assert build_index(settings, builder_of(settings, lines.append)).generation == 1
    assert lines[0].total == 1


def test_where_nothing_changed_the_last_snapshot_is_used(settings: Settings) -> None:
    build(settings)
    assert build(settings).generation == 1


def test_where_something_changed_a_new_one_is_made(settings: Settings) -> None:
    build(settings)
    Path(settings.roots[0], "agents/two.md").write_text(agent("two"))
    index = build(settings)
    assert (index.generation, index.manifest.counts["agent"]) == (2, 2)


def test_always_means_always_and_old_ones_go(settings: Settings) -> None:
    for _ in range(3):
        build(settings, always=True)
    assert generations_of(settings).numbers() == [2, 3]


def test_an_interrupt_ends_the_child(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[Builder] = []

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Builder, "run", interrupt)
    monkeypatch.setattr(Builder, "stop", lambda builder: stopped.append(builder))
    with pytest.raises(KeyboardInterrupt):
        build(settings)
    assert len(stopped) == 1
