"""What is said while there is no index, and when is one that was replaced closed?"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestr8_index.app import make_project
from orchestr8_index.catalog.index import Index
from orchestr8_index.errors import Starting
from orchestr8_index.search.rank import rank
from orchestr8_index.serve.state import State
from orchestr8_index.text import Terms

from ..trees import MakeTree, agent
from .asking import settings_of
from .learners import Learner, learn


def test_the_index_is_the_current_generation(state: State, shipped_index: Index) -> None:
    assert state.index is shipped_index


def test_without_an_index_it_is_starting(starting: State) -> None:
    with pytest.raises(Starting, match="building its first index"):
        starting.index  # noqa: B018


def test_a_failed_first_build_is_told(starting: State) -> None:
    starting.refresh.failure = "The disk is full."
    with pytest.raises(Starting, match="no index yet. The disk is full"):
        starting.index  # noqa: B018


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Without the cyclic collector: whatever is freed, its last user has freed."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def open_generations(data_dir: Path) -> set[int]:
    """Of which this process has a descriptor."""
    found = []
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(Path(os.readlink(f"/proc/self/fd/{each}")))
    return {int(path.parent.name) for path in found if data_dir / "snapshots" in path.parents}


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are listed in /proc")
@pytest.mark.usefixtures("uncollected")
def test_the_last_who_used_a_generation_closes_it(make_tree: MakeTree, tmp_path: Path) -> None:
    """Among them a guest that asked once and then idles, calls that failed, and reports."""
    root, data_dir = make_tree({"agents/alpha.md": agent("alpha")}), tmp_path / "data"

    async def work(learner: Learner) -> None:
        state = learner.state
        guest = make_project(state, state.settings, state.refresh)
        for number in range(4):
            (root / "agents/alpha.md").write_text(agent("alpha", f"Rotates certs, {number}."))
            await state.refresh.reindex()
            assert await learner.agents("rotate certs") == ["alpha"]
            await learner.error("getEntry", kind="agent", plugin="no", name="nobody")
            await learner.report(f"t{number}", agents_used=["alpha"])
            if number == 0:
                await guest.bind(guest.index, guest.experience)
            assert open_generations(data_dir) == {state.index.generation}
        state.refresh.sleep()
        assert not open_generations(data_dir)

    learn(data_dir, None, work, root)


def test_a_question_that_runs_is_answered_from_the_generation_that_it_began_with(
    make_tree: MakeTree, tmp_path: Path, shipped_index: Index
) -> None:
    root = make_tree({"agents/alpha.md": agent("alpha", "Rotates certs.")})
    learner = Learner(settings_of(tmp_path / "data", root), shipped_index)
    refresh = learner.state.refresh
    running = asyncio.run(refresh.reindex())
    for text in ("one", "two", "three"):
        (root / "agents/alpha.md").write_text(agent("alpha", text))
        asyncio.run(refresh.reindex())
    assert not running.folder.exists()
    assert rank(running.segments["agent"], "rotate certs", Terms()).hits
