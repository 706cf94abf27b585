"""Whose database is it? Files taken away under a running server, a second server, other tables."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from orchestr8_index.coordinate.mend import layout
from orchestr8_index.errors import StoreUnavailable
from orchestr8_index.store import backup, ledger
from orchestr8_index.store.database import connect
from orchestr8_index.store.store import LEDGER, Schema, Store

from .test_store import insert, opened, run


def replace(path: Path) -> None:
    shutil.copy(path, path.with_suffix(".copy"))
    os.replace(path.with_suffix(".copy"), path)


def cut(path: Path) -> None:
    os.truncate(path, 0)


async def refusal(store: Store) -> str:
    """Why it takes nothing, as whoever writes is told, and whoever asks for its health."""
    with pytest.raises(StoreUnavailable) as refused:
        await store.write(lambda connection: connection.execute("PRAGMA user_version"))
    assert store.reasons[0].startswith(refused.value.sentence)
    return refused.value.sentence


@pytest.mark.parametrize("made", [LEDGER, layout()], ids=["mcp", "coordinate"])
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("harm", [os.unlink, replace])
def test_without_each_of_its_files_nothing_is_acknowledged(
    tmp_path: Path, made: Schema, suffix: str, harm: Callable[[Path], None]
) -> None:
    """A log that was removed took all that was acknowledged since, and health was healthy."""

    async def work(store: Store) -> str:
        harm(tmp_path / f"{made.name}{suffix}")
        return await refusal(store)

    assert run(tmp_path, work, layout=made).startswith(f"{made.name}{suffix} was ")


def test_a_log_that_was_cut_short_is_noticed(tmp_path: Path) -> None:
    async def work(store: Store) -> str:
        await store.write(insert("t1"))
        cut(tmp_path / "mcp.db-wal")
        return await refusal(store)

    assert "cut short" in run(tmp_path, work)


def zero_head(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(32))


def write_over(path: Path) -> None:
    """As `cp` of an older log onto it does: the same file with the same size."""
    with path.open("r+b") as file:
        file.seek(16)
        file.write(os.urandom(8))


def change_a_byte(path: Path) -> None:
    """Of a page in the middle, which SQLite does not look at again while it runs."""
    with path.open("r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("made", [LEDGER, layout()], ids=["mcp", "coordinate"])
@pytest.mark.parametrize(
    ("suffix", "harm"),
    [("", cut), ("-wal", zero_head), ("-wal", write_over), ("-wal", change_a_byte)],
)
def test_what_is_written_over_in_place_is_noticed(
    tmp_path: Path, made: Schema, suffix: str, harm: Callable[[Path], None]
) -> None:
    """25 outcomes were acknowledged, health was healthy, and a restart found none."""

    async def work(store: Store) -> str:
        await store.write(lambda connection: connection.execute("PRAGMA user_version = 9"))
        harm(tmp_path / f"{made.name}{suffix}")
        return await refusal(store)

    assert run(tmp_path, work, layout=made).startswith(f"{made.name}{suffix} was ")


@pytest.mark.parametrize("harm", [cut, change_a_byte])
def test_what_a_spoilt_log_took_is_said(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """It was acknowledged and is gone; or nothing is, once the database itself has it."""

    async def work(store: Store, settle: bool) -> str:
        await store.write(insert("t1"))
        assert store._writer
        if settle:
            store._writer._settle()
        harm(tmp_path / f"{settle}/mcp.db-wal")
        assert await store.check()
        return store.reasons[0]

    assert "What was acknowledged since " in run(tmp_path / "False", partial(work, settle=False))
    assert "All that was acknowledged is in mcp.db." in run(
        tmp_path / "True", partial(work, settle=True)
    )
    assert left(tmp_path / "True/mcp.db") == 1


def test_other_names_and_rights_of_the_log_are_no_harm(tmp_path: Path) -> None:
    async def work(store: Store) -> list[str]:
        await store.write(insert("t1"))
        os.link(tmp_path / "mcp.db-wal", tmp_path / "kept")
        os.chmod(tmp_path / "mcp.db-wal", 0o640)
        assert not await store.check()
        await store.write(insert("t2"))
        return store.reasons

    assert run(tmp_path, work) == []


def test_what_another_process_commits_is_said(tmp_path: Path) -> None:
    async def work(store: Store) -> list[str]:
        await store.write(insert("t1"))
        with contextlib.closing(connect(tmp_path / "mcp.db")) as other:
            other.execute("UPDATE chain SET digest = 'forged'")
        await store.write(insert("t2"))
        return store.reasons

    (said,) = run(tmp_path, work)
    assert said.startswith("Another process has written to the database")


def test_a_log_that_begins_anew_is_still_ours(tmp_path: Path) -> None:
    async def work(store: Store) -> list[str]:
        for number in range(5):
            await store.write(insert(f"t{number}"))
            store.reader.execute("PRAGMA wal_checkpoint(RESTART)")
        return store.reasons

    assert run(tmp_path, work) == []


def left(path: Path) -> int:
    """The decisions that a server of tomorrow finds there, without the log."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as found:
        return ledger.count_decisions(found)


@pytest.mark.parametrize(("suffix", "harm"), [("-wal", os.unlink), ("", os.unlink), ("", replace)])
def test_what_was_acknowledged_before_is_rescued(
    tmp_path: Path, suffix: str, harm: Callable[[Path], None]
) -> None:
    async def work(store: Store) -> list[int]:
        await asyncio.gather(*(store.write(insert(f"t{number}")) for number in range(55)))
        harm(tmp_path / f"mcp.db{suffix}")
        assert await store.check() and not await store.check()
        assert "All that was acknowledged is in" in store.reasons[0]
        kept = backup.backups(tmp_path) if not suffix else [tmp_path / "mcp.db"]
        return [left(path) for path in kept]

    assert run(tmp_path, work) == [55]


def test_a_directory_that_comes_back_is_written_to_again(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        shutil.move(tmp_path / "data", tmp_path / "away")
        assert "moved or removed" in await refusal(store)
        assert await store.check() and not (tmp_path / "data").exists()
        shutil.move(tmp_path / "away", tmp_path / "data")
        await store.write(insert("t1"))
        assert (await store.check(), store.reasons) == (False, [])

    run(tmp_path / "data", work)


def test_of_two_servers_one_alone_acknowledges(tmp_path: Path) -> None:
    """Both did, once mcp.pid was removed between them."""

    async def work(first: Store) -> None:
        await first.write(insert("t1"))
        async with opened(tmp_path) as second:
            await second.write(insert("t2"))
            assert "Another process has taken" in await refusal(first)
            await second.write(insert("t3"))
            assert ledger.count_decisions(second.reader) == 3

    run(tmp_path, work)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER gone AFTER INSERT ON decision_history BEGIN "
        "DELETE FROM decision_history; END",
        "DROP TABLE checkpoint",
        "DROP INDEX decision_history_agents",
    ],
)
def test_tables_that_others_change_meanwhile_are_not_written_to(
    tmp_path: Path, statement: str
) -> None:
    async def work(store: Store) -> str:
        await store.write(insert("t1"))
        with contextlib.closing(connect(tmp_path / "mcp.db")) as other:
            other.execute(statement)
        said = await refusal(store)
        assert ledger.count_decisions(store.reader) == 1
        return said

    assert "changed the tables" in run(tmp_path, work)
