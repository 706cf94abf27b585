"""Whatever is wrong is a reason in /health, with its cure, and gone when it is mended."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestr8_index.serve.filewatch import FileWatch
from orchestr8_index.serve.health import health
from orchestr8_index.serve.logs import LogFile, LogNowhere, set_up_logs
from orchestr8_index.serve.metrics import Metrics
from orchestr8_index.serve.state import State

from .asking import ask
from .test_logs import restored as restored


def reasons(state: State) -> list[str]:
    found: list[str] = health(state)["reasons"]
    return found


def test_trees_that_nobody_looked_at_for_two_hours_may_be_stale(state: State) -> None:
    state.refresh.looked_at = time.monotonic() - 7100
    assert reasons(state) == []
    state.refresh.looked_at = time.monotonic() - 3 * 3600
    (said,) = reasons(state)
    assert "3 hours ago" in said and "reindex" in said


def test_a_minute_of_errors_is_said(state: State) -> None:
    later = [0.0]
    state.metrics = Metrics(lambda: time.monotonic() + later[0])
    for _ in range(20):
        state.metrics.failed(-32602)
    assert reasons(state) == []
    later[0] = 61
    (said,) = reasons(state)
    assert "More than 5 %" in said and "usage" in said


def test_a_clock_that_is_set_makes_nothing_stale(state: State) -> None:
    state.refresh.checked_at, state.refresh.clock = 1000.0, lambda: 1e9
    assert reasons(state) == []


def test_a_watch_that_broke_is_a_reason(state: State) -> None:
    state.file_watch.trouble = "The roots cannot be watched: too many."
    assert health(state)["status"] == "degraded"


def test_a_damaged_snapshot_is_a_reason(state: State) -> None:
    state.refresh.damage = "The snapshot is damaged."
    assert reasons(state) == ["The snapshot is damaged."]


@pytest.fixture
def log(state: State, tmp_path: Path, restored: None) -> Iterator[LogFile]:
    made = set_up_logs(tmp_path / "data", "info")
    assert isinstance(made, LogFile)
    state.log = made
    yield made


def test_a_disk_that_takes_no_log_is_a_reason_until_it_does(
    state: State, log: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: str) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(log.stream, "write", full, raising=False)
        logging.getLogger("orchestr8.test").info("lost")
    (said,) = reasons(state)
    assert "The log cannot be written: No space left on device. Free space" in said
    logging.getLogger("orchestr8.test").info("heard")
    assert reasons(state) == []


def test_a_log_that_was_removed_begins_again(state: State, log: LogFile) -> None:
    path = Path(log.baseFilename)
    path.unlink()
    os.rmdir(path.parent)
    log.reopen_if_gone()
    logging.getLogger("orchestr8.test").info("heard")
    assert "heard" in path.read_text()


def test_a_log_that_cannot_be_is_a_reason(state: State, tmp_path: Path, restored: None) -> None:
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "logs").write_text("in the way")
    made = set_up_logs(tmp_path / "data", "error")
    assert isinstance(made, LogNowhere)
    state.log = made
    (said,) = reasons(state)
    assert said.startswith("The log cannot be written:") and str(tmp_path) not in said


# --- alive and ready ---------------------------------------------------------------------------


def test_before_the_first_index_it_is_alive_and_not_ready(starting: State) -> None:
    from orchestr8_index.serve.http import make_web

    web = make_web(starting)
    assert ask(web, "GET", "/health/live").status_code == 200
    answer = ask(web, "GET", "/health/ready")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.json()["reasons"]


def test_with_an_index_it_is_ready_even_if_something_is_wrong(state: State) -> None:
    from orchestr8_index.serve.http import make_web

    state.refresh.failure = "The disk is full."
    answer = ask(make_web(state), "GET", "/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "generation": 1})


# --- the watch ---------------------------------------------------------------------------------


def test_a_watch_that_breaks_is_tried_again(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended for good, and nobody was told."""
    tried: list[int] = []

    async def broken(self: FileWatch, end: asyncio.Event) -> None:
        tried.append(1)
        raise OSError(28, "No space left on device", "/home/alice/tree")

    monkeypatch.setattr(FileWatch, "_watch", broken)
    watch = FileWatch(state.refresh, again_seconds=0.0)

    async def run() -> None:
        watch.begin()
        while len(tried) < 3:
            await asyncio.sleep(0)
        await watch.stop()

    asyncio.run(asyncio.wait_for(run(), 20))
    assert "cannot be watched: No space left on device." in watch.trouble
    assert "alice" not in watch.trouble and "max_user_watches" in watch.trouble
