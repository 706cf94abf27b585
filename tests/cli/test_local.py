"""How does a command answer without a server? From the last snapshot while it is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.catalog.build import BuildLine
from orchestr8_index.catalog.worker import Builder
from orchestr8_index.cli.local import build_now, generations_of
from orchestr8_index.config import Settings

from ..trees import MakeTree, agent


@pytest.fixture
def settings(tmp_path: Path, make_tree: MakeTree) -> Settings:
    root = make_tree({"agents/one.md": agent("one")})
    return Settings(roots=(str(root),), roots_from="--root", data_dir=tmp_path / "data")


def ignore(line: BuildLine) -> None:
    pass


def test_the_first_time_it_builds_and_says_how_far(settings: Settings) -> None:
    lines: list[BuildLine] = []
    assert build_now(settings, lines.append).generation == 1
    assert lines[0].total == 1


def test_where_nothing_changed_the_last_snapshot_is_used(settings: Settings) -> None:
    build_now(settings, ignore)
    assert build_now(settings, ignore).generation == 1


def test_where_something_changed_a_new_one_is_made(settings: Settings) -> None:
    build_now(settings, ignore)
    Path(settings.roots[0], "agents/two.md").write_text(agent("two"))
    index = build_now(settings, ignore)
    assert (index.generation, index.manifest.counts["agent"]) == (2, 2)


def test_always_means_always_and_old_ones_go(settings: Settings) -> None:
    for _ in range(3):
        build_now(settings, ignore, always=True)
    assert generations_of(settings).numbers() == [2, 3]


def test_an_interrupt_ends_the_child(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[Builder] = []

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Builder, "run", interrupt)
    monkeypatch.setattr(Builder, "stop", lambda builder: stopped.append(builder))
    with pytest.raises(KeyboardInterrupt):
        build_now(settings, ignore)
    assert len(stopped) == 1
