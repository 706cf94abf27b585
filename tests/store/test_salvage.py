"""What can still be read of a damaged file?"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.store import backup, ledger
from orchestr8_index.store.database import NAME, connect
from orchestr8_index.store.salvage import bring_back, read_damaged

from ..drawn import COSTLY
from ..learn.reporting import decision
from .test_backup import fill, spoil, tasks_of

PAGE = 4096
MANY = tuple(f"t{number:04}" for number in range(400))


def pages_of(path: Path, table: str) -> list[int]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT pageno FROM dbstat WHERE name = ?", (table,))
        return [page for (page,) in rows]


def overwrite(path: Path, page: int, seed: int = 7) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(random.Random(seed).randbytes(PAGE))


def test_a_damaged_page_of_the_query_log_costs_no_decision(tmp_path: Path) -> None:
    fill(tmp_path, *MANY)
    overwrite(tmp_path / NAME, pages_of(tmp_path / NAME, "agent_queries")[0])
    repair = backup.mend(tmp_path, "a test")
    assert (repair.saved, repair.lost) == (len(MANY), 0)


def test_a_damaged_page_of_decisions_costs_its_own_rows(tmp_path: Path) -> None:
    fill(tmp_path, *MANY)
    leaf = pages_of(tmp_path / NAME, "decision_history")[3]
    overwrite(tmp_path / NAME, leaf)
    repair = backup.mend(tmp_path, "a test")
    assert len(MANY) - 40 < repair.saved < len(MANY)
    assert repair.lost == len(MANY) - repair.saved


def test_the_backup_fills_what_the_damaged_file_lacks(tmp_path: Path) -> None:
    fill(tmp_path, *MANY)
    backup.backup(tmp_path)
    fill(tmp_path, "new")
    overwrite(tmp_path / NAME, pages_of(tmp_path / NAME, "decision_history")[3])
    repair = backup.mend(tmp_path, "a test")
    assert (repair.saved, repair.lost) == (1, 0)
    assert tasks_of(tmp_path / NAME) == [*MANY, "new"]


def test_what_was_forgotten_since_the_backup_stays_forgotten(tmp_path: Path) -> None:
    fill(tmp_path, "t1", "t2")
    backup.backup(tmp_path)
    with contextlib.closing(connect(tmp_path / NAME)) as connection:
        ledger.delete_decisions(connection, [1])
    backup.mend(tmp_path, "a test")
    assert tasks_of(tmp_path / NAME) == ["t2"]


def test_what_was_amended_since_the_backup_stays_amended(tmp_path: Path) -> None:
    fill(tmp_path, "t1")
    backup.backup(tmp_path)
    with contextlib.closing(connect(tmp_path / NAME)) as connection:
        before = next(ledger.decisions(connection))
        ledger.replace_decision(connection, decision("t1", result="failure", id=before.id))
    backup.mend(tmp_path, "a test")
    with contextlib.closing(connect(tmp_path / NAME, read_only=True)) as connection:
        assert [each.result for each in ledger.decisions(connection)] == ["failure"]


def test_a_row_that_was_altered_is_not_brought_back(tmp_path: Path) -> None:
    fill(tmp_path, "t1", "t2")
    with contextlib.closing(connect(tmp_path / NAME)) as connection:
        connection.execute("UPDATE decision_history SET result = 'failure' WHERE id = 1")
    found = read_damaged(tmp_path / NAME)
    assert (list(found.decisions), found.whole) == ([2], False)


def test_of_a_file_without_a_first_page_nothing_is_read(tmp_path: Path) -> None:
    fill(tmp_path, "t1")
    spoil(tmp_path / NAME)
    found = read_damaged(tmp_path / NAME)
    assert (found.decisions, found.whole) == ({}, False)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("filled")
    fill(folder, *MANY)
    return (folder / NAME).read_bytes()


@COSTLY
@given(st.lists(st.tuples(st.integers(2, 60), st.integers(0, 99)), min_size=1, max_size=4))
def test_whatever_is_overwritten_what_comes_back_was_there(
    filled: bytes, tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / NAME).write_bytes(filled)
    for page, seed in damage:
        overwrite(folder / NAME, min(page, len(filled) // PAGE), seed)
    found = read_damaged(folder / NAME)
    assert {one.task_id for one in found.decisions.values()} <= set(MANY)
    fill(folder / "sound")
    with contextlib.closing(connect(folder / "sound" / NAME)) as sound:
        assert bring_back(sound, found) == len(found.decisions)
