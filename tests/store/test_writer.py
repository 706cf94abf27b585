"""Who writes? One thread that commits together what waits together."""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.store import writer as writing
from orchestr8_index.store.database import connect
from orchestr8_index.store.writer import Job, Writer

from ..processes import wait_for

Ended = list[tuple[Any, BaseException | None]]


class Noting(queue.SimpleQueue[Any]):
    """`rests`: how long each look at it would have waited."""

    def __init__(self) -> None:
        self.rests: list[float | None] = []

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        self.rests.append(timeout)
        return super().get(block, timeout)


class Desk:
    """A writer on a table of numbers, and what it has handed back, commit by commit."""

    def __init__(self, path: Path) -> None:
        self.commits: list[list[Any]] = []
        self.ended: Ended = []
        self.writer = Writer(connect(path), self._resolve)
        self.writer.connection.execute("CREATE TABLE numbers (n INTEGER UNIQUE)")

    def _resolve(self, finished: list[tuple[Job, Any, BaseException | None]]) -> None:
        self.commits.append([value for _, value, _ in finished])
        for job, value, error in finished:
            job.done(value, error)

    def submit(self, number: Any) -> None:
        def work(connection: sqlite3.Connection) -> Any:
            connection.execute("INSERT INTO numbers VALUES (?)", (number,))
            return number

        self.writer.submit(Job(work, lambda value, error: self.ended.append((value, error))))

    def stored(self) -> list[int]:
        rows = self.writer.connection.execute("SELECT n FROM numbers ORDER BY rowid")
        return [row[0] for row in rows]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "numbers.db")
    yield made
    made.writer.stop()
    made.writer.connection.close()


def test_what_waits_together_is_committed_together_and_done_in_order(desk: Desk) -> None:
    for number in range(20):
        desk.submit(number)
    desk.writer.start()
    desk.writer.stop()
    assert desk.commits == [list(range(20))]
    assert desk.ended == [(number, None) for number in range(20)]


def test_a_batch_has_a_bound(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MAX_BATCH", 8)
    for number in range(20):
        desk.submit(number)
    desk.writer.start()
    desk.writer.stop()
    assert [len(commit) for commit in desk.commits] == [8, 8, 4]


@pytest.mark.parametrize("bad", [1, 1 << 70, object()])
def test_one_bad_job_does_not_spoil_the_others(desk: Desk, bad: Any) -> None:
    """A number too large for SQLite ended the thread: nothing was acknowledged any more."""
    for number in (1, bad, 2):
        desk.submit(number)
    desk.writer.start()
    desk.submit(3)
    desk.writer.stop()
    assert desk.stored() == [1, 2, 3]
    assert [error is None for _, error in desk.ended] == [True, False, True, True]


def test_nothing_is_done_before_its_commit(desk: Desk, tmp_path: Path) -> None:
    seen: list[int] = []
    other = connect(tmp_path / "numbers.db", read_only=True)

    def look(value: Any, error: BaseException | None) -> None:
        seen.append(other.execute("SELECT count(*) FROM numbers").fetchone()[0])

    insert = "INSERT INTO numbers VALUES (1)"
    desk.writer.submit(Job(lambda connection: connection.execute(insert) and None, look))
    desk.writer.start()
    wait_for(lambda: seen)
    other.close()
    assert seen == [1]


def test_without_work_it_wakes_up_never(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But once, to move what the log holds into the database."""
    monkeypatch.setattr(writing, "REST_SECONDS", 0.01)
    jobs = desk.writer._jobs = Noting()
    desk.writer.start()
    desk.submit(1)
    wait_for(lambda: desk.ended and desk.writer.is_settled)
    desk.writer.stop()
    assert jobs.rests[-1] is None and len(jobs.rests) <= 8
    with contextlib.closing(
        sqlite3.connect(f"file:{tmp_path}/numbers.db?immutable=1", uri=True)
    ) as left:
        assert left.execute("SELECT n FROM numbers").fetchall() == [(1,)]


def test_many_threads_may_submit(desk: Desk) -> None:
    desk.writer.start()
    threads = [threading.Thread(target=desk.submit, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.writer.stop()
    assert sorted(desk.stored()) == list(range(40))


@pytest.mark.parametrize("error", [SystemExit(1), MemoryError(), KeyError("x")])
def test_whatever_a_job_raises_everybody_is_told(desk: Desk, error: BaseException) -> None:
    """The thread ended, and nobody who came later ever heard of it."""

    def fail(_: sqlite3.Connection) -> None:
        raise error

    desk.writer.submit(Job(fail, lambda value, why: desk.ended.append((value, why))))
    desk.submit(1)
    desk.writer.start()
    desk.writer.stop()
    desk.submit(2)
    assert [why is None for _, why in desk.ended] == [False, True, False]
    assert desk.stored() == [1]
