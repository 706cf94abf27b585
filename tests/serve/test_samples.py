"""What does the process use? Looked at by the clock, never by a scrape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from orchestr8_index.serve.background import Upkeep, to_beat
from orchestr8_index.serve.health import metrics
from orchestr8_index.serve.metrics import Samples, open_files
from orchestr8_index.serve.state import State


def test_a_sample_tells_of_this_process(tmp_path: Path) -> None:
    (tmp_path / "mcp.db").write_bytes(b"x" * 2_000_000)
    sample = Samples(tmp_path).take()
    assert 5 < sample.memory_mb < 2000 and sample.database_mb == 2.0
    assert sample.threads >= 1 and sample.cpu_seconds > 0


def test_scrapes_look_at_nothing_themselves(state: State) -> None:
    for _ in range(5):
        metrics(state)
    assert state.samples.taken == 1


@pytest.mark.parametrize(("every", "taken"), [(0, 3), (60, 1)])
def test_one_is_taken_when_it_is_due(tmp_path: Path, every: float, taken: int) -> None:
    samples = Samples(tmp_path, every)
    assert sum(samples.take_if_due() for _ in range(3)) == taken == samples.taken


def test_a_running_server_looks(state: State) -> None:
    async def run() -> None:
        async with until_looked(state):
            while not state.samples.taken:
                await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(run(), 20))


def test_a_step_that_fails_is_not_the_last(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def fail(_: Samples) -> bool:
        looked.append(1)
        raise OSError

    monkeypatch.setattr(Samples, "take_if_due", fail)

    async def run() -> None:
        async with until_looked(state):
            while len(looked) < 2:
                await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(run(), 20))


@asynccontextmanager
async def until_looked(state: State) -> AsyncIterator[None]:
    upkeep = Upkeep(state, seconds=0)
    upkeep.begin()
    yield
    await upkeep.stop()


def test_where_the_system_does_not_tell_there_are_no_open_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert open_files() >= 0

    def refuse(_: str) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("os.listdir", refuse)
    assert open_files() == 0


@pytest.mark.parametrize("now", [100.0, 100.1, 100.4999, 7.75])
def test_what_looks_each_second_or_half_wakes_the_process_together(now: float) -> None:
    moments = {round(now + to_beat(now, rest), 6) for rest in (0.5, 1.0)}
    assert all(moment % 0.5 == 0 for moment in moments)
    assert to_beat(now, 0.013) == 0.013
