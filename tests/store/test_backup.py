"""What if the disk lies? Backups, and what takes a damaged database's place."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from orchestr8_index.errors import OperationError
from orchestr8_index.store import backup, ledger, schema
from orchestr8_index.store.database import NAME, connect, transaction
from orchestr8_index.store.store import Store

from ..learn.reporting import decision


def fill(folder: Path, *tasks: str) -> None:
    """A closed store with these decisions, beside those that are there."""
    store = Store(folder)
    store.open()
    store.close()
    with contextlib.closing(connect(folder / NAME)) as connection:
        for task in tasks:
            ledger.insert_decision(connection, decision(task))


def spoil(path: Path, start: int = 0) -> None:
    """Write nonsense over the file from `start` on."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\x5a" * (size - start))


def tasks_of(path: Path) -> list[str]:
    with contextlib.closing(connect(path, read_only=True)) as connection:
        return [each.task_id for each in ledger.decisions(connection)]


def reopened(folder: Path) -> backup.Repair | None:
    store = Store(folder)
    store.open()
    store.close()
    return store.repaired


def test_a_backup_is_a_good_database_of_its_owner_alone(tmp_path: Path) -> None:
    fill(tmp_path, "t1")
    made = backup.backup(tmp_path)
    assert backup.is_good(made) and tasks_of(made) == ["t1"]
    assert made.stat().st_mode & 0o777 == 0o600


def test_a_backup_holds_what_is_only_in_the_log(tmp_path: Path) -> None:
    fill(tmp_path)
    with contextlib.closing(connect(tmp_path / NAME)) as writing:
        ledger.insert_decision(writing, decision("t1"))
        assert tasks_of(backup.backup(tmp_path)) == ["t1"]


def test_a_backup_is_consistent_while_others_write(tmp_path: Path) -> None:
    async def run() -> Path:
        store = Store(tmp_path)
        store.open()
        store.start()
        made_of = [decision(f"t{n:03}") for n in range(300)]
        writes = [store.write(partial(ledger.insert_decision, decision=d)) for d in made_of]
        made = await asyncio.to_thread(backup.backup, tmp_path)
        await asyncio.gather(*writes)
        await store.stop()
        return made

    made = asyncio.run(run())
    found = tasks_of(made)
    assert backup.is_good(made) and found == [f"t{n:03}" for n in range(len(found))]


def test_seven_backups_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    (tmp_path / "backups").mkdir()
    for day in range(1, 10):
        (tmp_path / "backups" / f"mcp-2026-01-0{day}T000000.000.db").touch()
    made = backup.backup(tmp_path)
    kept = backup.backups(tmp_path)
    assert (len(kept), kept[-1], kept[0].name) == (7, made, "mcp-2026-01-04T000000.000.db")


def test_a_file_of_another_name_is_no_backup_of_ours(tmp_path: Path) -> None:
    """Its copy `mcp-1-before.db` of a user's was removed, and `mcp-old.db` taken for the newest."""
    fill(tmp_path, "a")
    names = {"mcp-1-before.db", "mcp-old.db"}
    backup.backup(tmp_path)
    for name in names:
        (tmp_path / backup.FOLDER / name).write_text("of the user's")
    made = [backup.backup(tmp_path) for _ in range(backup.KEPT)]
    assert backup.backups(tmp_path) == made
    assert names < {each.name for each in (tmp_path / backup.FOLDER).iterdir()}


def test_a_backup_that_fails_leaves_no_half(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.Error):
        backup.backup(tmp_path)
    assert list((tmp_path / "backups").iterdir()) == []


def test_the_age_is_that_of_the_newest(tmp_path: Path) -> None:
    assert backup.age_seconds(tmp_path) == float("inf")
    fill(tmp_path)
    made = backup.backup(tmp_path)
    os.utime(made, (0, 0))
    assert backup.age_seconds(tmp_path) > 86_400


@pytest.mark.parametrize("start", [0, 100, 4096])
def test_a_damaged_database_makes_way_for_the_newest_good_backup(
    tmp_path: Path, start: int
) -> None:
    fill(tmp_path, "t1", "t2")
    made = backup.backup(tmp_path)
    fill(tmp_path, "t3")
    spoil(tmp_path / NAME, start)
    repair = reopened(tmp_path)
    assert repair and (repair.restored, tasks_of(tmp_path / NAME)) == (made.name, ["t1", "t2"])
    assert (tmp_path / repair.aside).exists() and made.name in repair.sentence()


HOSTILE = {
    "of another program": "DROP TABLE decision_history; CREATE TABLE decision_history (id)",
    "that refuses failures": "PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = "
    "replace(sql, 'digest TEXT', 'digest TEXT CHECK (result <> ''failure'')') "
    "WHERE name = 'decision_history'; PRAGMA writable_schema = 0",
    "with a table for a view": "DROP TABLE decision_history; CREATE VIEW decision_history AS "
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i AS id FROM n",
    "with an index that costs": "CREATE INDEX more ON decision_history (length(zeroblob(9)))",
    "of a later version": "PRAGMA user_version = 99",
    "of no version": "PRAGMA user_version = 0",
}


@pytest.mark.parametrize("how", HOSTILE)
def test_what_no_server_could_begin_with_is_not_restored(tmp_path: Path, how: str) -> None:
    """It took the database's place; the next start set it aside for an older backup."""
    fill(tmp_path, "t1")
    made = backup.backup(tmp_path)
    hostile = tmp_path / "hostile.db"
    made.rename(hostile)
    fill(tmp_path, "t2")
    with contextlib.closing(sqlite3.connect(hostile)) as altering:
        altering.executescript(HOSTILE[how])
    with pytest.raises(OperationError, match="not a good backup"):
        backup.restore(tmp_path, hostile)
    assert tasks_of(tmp_path / NAME) == ["t1", "t2"] and reopened(tmp_path) is None
    assert not list(tmp_path.glob("*.ready*"))


def test_a_trigger_in_a_backup_is_not_restored(tmp_path: Path) -> None:
    fill(tmp_path, "t1")
    made = backup.backup(tmp_path)
    with contextlib.closing(sqlite3.connect(made)) as altering:
        altering.executescript(
            "CREATE TRIGGER more AFTER INSERT ON audit BEGIN DELETE FROM decision_history; END"
        )
    backup.restore(tmp_path, made)
    with contextlib.closing(connect(tmp_path / NAME, read_only=True)) as restored:
        assert schema.strangers(restored) == []
    assert tasks_of(tmp_path / NAME) == ["t1"]


def test_a_bad_backup_is_skipped(tmp_path: Path) -> None:
    fill(tmp_path, "t1")
    good, bad = backup.backup(tmp_path), tmp_path / "backups" / "mcp-9999-01-01T000000.000.db"
    bad.write_bytes(good.read_bytes()[:5000])
    spoil(tmp_path / NAME)
    repair = reopened(tmp_path)
    assert repair and repair.restored == good.name


def test_without_a_backup_a_new_one_begins(tmp_path: Path) -> None:
    fill(tmp_path, "t1")
    spoil(tmp_path / NAME)
    repair = reopened(tmp_path)
    assert repair and (repair.restored, repair.lost) == ("", None)
    assert "a new one began; 0 decisions were read back" in repair.sentence()
    assert tasks_of(tmp_path / NAME) == []


def test_what_the_damaged_file_still_says_is_saved(tmp_path: Path) -> None:
    fill(tmp_path, "t1")
    backup.backup(tmp_path)
    fill(tmp_path, "t2", "t3")
    repair = backup.mend(tmp_path, "a test")
    assert (repair.saved, repair.lost) == (2, 0)
    assert tasks_of(tmp_path / NAME) == ["t1", "t2", "t3"]
    assert "2 decisions were read back" in repair.sentence() and "0 are lost" in repair.sentence()


def test_a_mending_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    fill(tmp_path, "t1")
    (tmp_path / NAME).rename(tmp_path / f"{NAME}.ready")
    assert reopened(tmp_path) is None
    assert tasks_of(tmp_path / NAME) == ["t1"]


def test_a_mending_that_had_not_begun_to_replace_starts_afresh(tmp_path: Path) -> None:
    fill(tmp_path, "t1")
    for name in (f"{NAME}.ready", f"{NAME}.ready.part"):
        (tmp_path / name).write_text("half")
    assert reopened(tmp_path) is None
    assert (tasks_of(tmp_path / NAME), [*tmp_path.glob("*.ready*")]) == (["t1"], [])


def test_a_mending_that_fails_leaves_the_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "t1")

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(backup, "migrate", full)
    with pytest.raises(sqlite3.OperationalError):
        backup.mend(tmp_path, "a test")
    assert tasks_of(tmp_path / NAME) == ["t1"]
    assert [*tmp_path.glob("*.ready*"), *tmp_path.glob("*.damaged*")] == []


def test_a_torn_tail_of_the_log_is_no_damage(tmp_path: Path) -> None:
    """What was half written was never acknowledged."""
    fill(tmp_path, "t1")
    with contextlib.closing(connect(tmp_path / NAME)) as writing:
        with transaction(writing):
            ledger.insert_decision(writing, decision("t2"))
        copies = {s: (tmp_path / f"{NAME}{s}").read_bytes() for s in ("", "-wal")}
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / NAME).write_bytes(copies[""])
    (torn / f"{NAME}-wal").write_bytes(copies["-wal"][:-100])
    assert reopened(torn) is None
    assert tasks_of(torn / NAME) == ["t1"]


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    assert reopened(tmp_path) is None
    assert tasks_of(tmp_path / NAME) == []


def test_a_locked_database_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)

    def busy(*_: object) -> str:
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error

    monkeypatch.setattr(backup, "quick_check", busy)
    assert backup.damage_of(tmp_path / NAME) == ""


def test_restoring_keeps_the_present_file(tmp_path: Path) -> None:
    fill(tmp_path, "t1")
    made = backup.backup(tmp_path)
    fill(tmp_path, "t2")
    aside = backup.restore(tmp_path, made)
    assert tasks_of(tmp_path / NAME) == ["t1"]
    assert tasks_of(tmp_path / aside) == ["t1", "t2"]


def test_a_bad_backup_is_not_restored(tmp_path: Path) -> None:
    fill(tmp_path, "t1")
    bad = tmp_path / "bad.db"
    bad.write_bytes(b"no database")
    with pytest.raises(OperationError, match="not a good backup"):
        backup.restore(tmp_path, bad)
    assert tasks_of(tmp_path / NAME) == ["t1"]


# --- clocks, and what a kill leaves ------------------------------------------------------------


def test_a_clock_set_back_makes_no_backup_the_oldest(tmp_path: Path) -> None:
    """The new one sorted first, and was the first to be removed."""
    fill(tmp_path, "t1")
    (tmp_path / backup.FOLDER).mkdir()
    future = [f"mcp-2999-01-0{day}T000000.000.db" for day in range(1, 8)]
    for name in future:
        (tmp_path / backup.FOLDER / name).write_bytes(b"")
    made = backup.backup(tmp_path)
    assert backup.backups(tmp_path)[-1] == made and tasks_of(made) == ["t1"]
    assert made.name == "mcp-2999-01-07T000000.001.db"


def test_a_backup_from_the_future_is_not_young_for_ever(tmp_path: Path) -> None:
    fill(tmp_path, "t1")
    made = backup.backup(tmp_path)
    os.utime(made, (4e9, 4e9))
    assert backup.age_seconds(tmp_path) > 86_400


def test_what_a_killed_backup_left_goes_once_it_is_old(tmp_path: Path) -> None:
    fill(tmp_path, "t1")
    folder = tmp_path / backup.FOLDER
    folder.mkdir()
    for name in (".mcp-old.part", ".mcp-old.part-journal", ".mcp-new.part"):
        (folder / name).write_bytes(b"half")
    for name in (".mcp-old.part", ".mcp-old.part-journal"):
        os.utime(folder / name, (1, 1))
    reopened(tmp_path)
    assert [path.name for path in folder.iterdir()] == [".mcp-new.part"]
