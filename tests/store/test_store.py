"""The open store: what is acknowledged, what is refused, and when."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.errors import StoreUnavailable
from orchestr8_index.store import ledger, notes
from orchestr8_index.store.database import connect, used_bytes
from orchestr8_index.store.store import LEDGER, Schema, Store
from orchestr8_index.store.writer import Job, Writer

from ..learn.reporting import decision

NOTE = (0.0, ("querySkills", b'{"context":"%s"}' % (b"x" * 900)), b"[]", 1.0, False, 1)


@contextlib.asynccontextmanager
async def opened(
    folder: Path, soft_mb: int = 100, hard_mb: int = 500, layout: Schema = LEDGER
) -> AsyncIterator[Store]:
    store = Store(folder, soft_mb, hard_mb, layout)
    store.open()
    store.start()
    try:
        yield store
    finally:
        await store.stop()


def run(
    folder: Path,
    work: Callable[[Store], Awaitable[Any]],
    soft_mb: int = 100,
    hard_mb: int = 500,
    layout: Schema = LEDGER,
) -> Any:
    async def running() -> Any:
        async with opened(folder, soft_mb, hard_mb, layout) as store:
            return await work(store)

    return asyncio.run(running())


def insert(task_id: str) -> Callable[[sqlite3.Connection], Any]:
    return lambda connection: ledger.insert_decision(connection, decision(task_id))


def refuse(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO decision_history (id) VALUES (1)")


def test_what_is_acknowledged_is_there_for_others(tmp_path: Path) -> None:
    async def work(store: Store) -> int:
        await store.write(insert("t1"))
        with contextlib.closing(connect(tmp_path / "mcp.db", read_only=True)) as other:
            return ledger.count_decisions(other)

    assert run(tmp_path, work) == 1


def test_what_comes_in_one_turn_of_the_loop_is_committed_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits, commit = list[int](), Writer._commit

    def counted(writer: Writer, jobs: list[Job]) -> Any:
        commits.append(len(jobs))
        return commit(writer, jobs)

    monkeypatch.setattr(Writer, "_commit", counted)

    async def work(store: Store) -> None:
        await asyncio.gather(*(store.write(insert(f"t{number}")) for number in range(5)))
        await store.write(insert("t5"))

    run(tmp_path, work)
    assert commits == [5, 1]


def test_what_comes_just_before_the_end_is_written(tmp_path: Path) -> None:
    async def running() -> Any:
        async with opened(tmp_path) as store:
            written = store.write(insert("t1"))
        return await written

    assert asyncio.run(running()).task_id == "t1"


def test_effects_follow_the_order_of_the_commits(tmp_path: Path) -> None:
    applied: list[int] = []

    async def work(store: Store) -> None:
        take = [store.write(insert(f"t{n}"), lambda d: applied.append(d.id)) for n in range(50)]
        await asyncio.gather(*take)

    run(tmp_path, work)
    assert applied == list(range(1, 51))


def test_a_write_that_fails_is_refused_with_the_reason(tmp_path: Path) -> None:
    async def work(store: Store) -> tuple[Any, str]:
        works = [insert("t1"), refuse, insert("t2")]
        writes = [store.write(work) for work in works]
        return await asyncio.gather(*writes, return_exceptions=True), store.trouble

    results, trouble = run(tmp_path, work)
    assert [isinstance(each, StoreUnavailable) for each in results] == [False, True, False]
    assert "NOT NULL" in str(results[1])


@pytest.mark.parametrize("error", [sqlite3.DatabaseError("malformed"), TypeError("a text")])
def test_an_effect_that_cannot_be_read_is_refused_and_the_next_go_on(
    tmp_path: Path, error: Exception
) -> None:
    """Who came after it in the commit waited for ever."""

    def unreadable(_: Any) -> None:
        raise error

    async def work(store: Store) -> Any:
        writes = [store.write(insert("t1"), unreadable), store.write(insert("t2"))]
        return await asyncio.gather(*writes, return_exceptions=True)

    first, second = run(tmp_path, work)
    assert isinstance(first, StoreUnavailable) and second.id == 2


def test_a_full_disk_refuses_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    async def work(store: Store) -> tuple[str, int, str]:
        assert store._writer
        writing = store._writer.connection
        writing.execute(f"PRAGMA max_page_count = {used_bytes(writing) // 4096 + 1}")
        big = decision("t1", caller="x" * 100_000)
        with pytest.raises(StoreUnavailable) as refused:
            await store.write(lambda connection: ledger.insert_decision(connection, big))
        full = store.trouble
        writing.execute("PRAGMA max_page_count = 100000")
        await store.write(insert("t2"))
        assert ledger.find_decision(store.reader, "t1") is None
        return str(refused.value), ledger.count_decisions(store.reader), full + "|" + store.trouble

    said, count, troubles = run(tmp_path, work)
    assert "full" in said and count == 1
    assert troubles.startswith("The store cannot be written: database or disk is full. Free space")
    assert troubles.endswith("|")


def test_above_the_hard_limit_outcomes_are_refused(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        store.admit()
        with pytest.raises(StoreUnavailable, match="limit of 1 MB") as refused:
            await fill(store)
        assert "MCP_STORE_HARD_MB" in refused.value.cure

    run(tmp_path, work, hard_mb=1)


def test_room_that_was_made_is_seen_at_once(tmp_path: Path) -> None:
    """After a `forget`, up to 63 more outcomes were refused."""

    async def work(store: Store) -> None:
        with pytest.raises(StoreUnavailable):
            await fill(store)
        await store.write(lambda connection: ledger.delete_decisions(connection, range(3000)))
        store.admit()

    run(tmp_path, work, hard_mb=1)


async def fill(store: Store) -> None:
    for task in range(3000):
        store.admit()
        big = decision(f"t{task}", caller="x" * 1000)
        await store.write(partial(ledger.insert_decision, decision=big))


def queries(store: Store) -> int:
    row = store.reader.execute("SELECT count(*) FROM agent_queries").fetchone()
    return int(row[0])


def test_above_the_soft_limit_the_query_log_shrinks(tmp_path: Path) -> None:
    async def work(store: Store) -> tuple[int, int]:
        await store.write(lambda connection: notes.write_queries(connection, [NOTE] * 2000))
        before = queries(store)
        store.admit()
        await store.write(insert("t1"))
        return before, queries(store)

    before, after = run(tmp_path, work, soft_mb=1)
    assert before == 2000 and after <= 1000  # another bite may have been taken by now


def test_the_reader_is_closed_by_the_loop_that_reads_with_it(tmp_path: Path) -> None:
    """SQLite crashed the process where another thread closed it within a read."""
    closed_by: list[int] = []

    class Reader:
        def __init__(self, inner: sqlite3.Connection) -> None:
            self.execute, self._inner = inner.execute, inner

        def close(self) -> None:
            closed_by.append(threading.get_ident())
            self._inner.close()

    async def work(store: Store) -> None:
        store.reader = Reader(store.reader)  # type: ignore[assignment]

    run(tmp_path, work)
    assert closed_by == [threading.get_ident()]


def test_it_shrinks_bite_by_bite_until_there_is_room(tmp_path: Path) -> None:
    """Half of the log at once held up every outcome for seconds."""
    bites: list[int] = []
    prune = notes.prune_queries

    def bite(connection: sqlite3.Connection) -> int:
        bites.append(prune(connection, 100))
        return bites[-1]

    async def work(store: Store) -> int:
        await store.write(lambda connection: notes.write_queries(connection, [NOTE] * 2000))
        store.admit()
        while store._pruning:
            await asyncio.sleep(0)
        return used_bytes(store.reader)

    in_bites = replace(LEDGER, prune=bite)
    assert run(tmp_path, work, soft_mb=1, layout=in_bites) <= 750_000
    assert len(bites) > 3 and set(bites) == {100}


def test_a_log_that_is_empty_is_not_pruned_for_ever(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        wide = "x" * 2_000_000
        await store.write(
            lambda connection: ledger.write_checkpoint(connection, "c", wide.encode())
        )
        store.admit()
        while store._pruning:
            await asyncio.sleep(0)

    run(tmp_path, work, soft_mb=1)


def test_queries_alone_shrink_the_log_too(tmp_path: Path) -> None:
    """Only a report looked at the size: a server that was only asked grew without bound."""

    async def work(store: Store) -> int:
        await store.write(lambda connection: notes.write_queries(connection, [NOTE] * 2000))
        store.note_queries([NOTE])
        await store.write(insert("t1"))
        return queries(store)

    assert run(tmp_path, work, soft_mb=1) <= 1002


def test_the_query_log_is_on_the_disk_at_the_end(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        store.note_queries([NOTE])

    run(tmp_path, work)
    with contextlib.closing(connect(tmp_path / "mcp.db", read_only=True)) as other:
        assert other.execute("SELECT count(*) FROM agent_queries").fetchone() == (1,)


def test_a_query_log_that_cannot_be_written_is_no_trouble(tmp_path: Path) -> None:
    async def work(store: Store) -> str:
        store.note_queries([("no", "row")])
        await store.write(insert("t1"))
        return store.trouble

    assert run(tmp_path, work) == ""


def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="not open"):
        Store(tmp_path).write(insert("t1"))


def test_the_folders_and_files_are_their_owners_alone(tmp_path: Path) -> None:
    async def work(store: Store) -> float:
        return store.size_mb

    assert run(tmp_path / "data", work) > 0
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "mcp.db").stat().st_mode & 0o777 == 0o600
