"""Who looks after the store? What happens when it cannot be opened, is damaged, or is closed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import digest_of_roots, fixture_root
from orchestr8_index.errors import SnapshotUnreadable
from orchestr8_index.learn.counts import CHECKPOINT
from orchestr8_index.serve import stores as keeping
from orchestr8_index.store import backup, ledger
from orchestr8_index.store.database import NAME, connect
from orchestr8_index.store.store import Store

from .learners import Learner, learn

KEY = digest_of_roots([str(fixture_root())])

REPORT = {"task_id": "t9", "task_description": "x", "agents_used": ["a"], "result": "success"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def in_the_way(data: Path) -> None:
    """A folder where the database should be: even root cannot open it."""
    (data / NAME).mkdir(parents=True)


async def report_one(learner: Learner) -> Any:
    return await learner.report()


def test_what_was_reported_is_there_after_a_restart(data: Path, shipped_index: Index) -> None:
    async def look(learner: Learner) -> Any:
        return (await learner.report())["receipt"]["duplicate"]

    learn(data, shipped_index, report_one)
    assert learn(data, shipped_index, look) is True


def test_a_stop_writes_a_checkpoint(data: Path, shipped_index: Index) -> None:
    learn(data, shipped_index, report_one)
    with contextlib.closing(connect(data / NAME, read_only=True)) as connection:
        assert ledger.read_checkpoint(connection, CHECKPOINT, KEY)


def test_while_it_cannot_be_opened_answers_go_on(data: Path, shipped_index: Index) -> None:
    in_the_way(data)

    async def work(learner: Learner) -> None:
        error = await learner.error("cacheDecision", **REPORT)
        assert (error["code"], "cannot be opened" in error["message"]) == (-32002, True)
        assert await learner.agents("write release notes")
        health = await learner.call("getHealth")
        assert (health["status"], health["database"]["connected"]) == ("degraded", False)
        assert health["reasons"] == [learner.store.trouble]

    learn(data, shipped_index, work)


def test_it_tries_again(data: Path, shipped_index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_way(data)
    monkeypatch.setattr(keeping, "RETRY_SECONDS", 0.0)

    async def work(learner: Learner) -> None:
        assert (await learner.error("cacheDecision", **REPORT))["code"] == -32002
        (data / NAME).rmdir()
        assert (await learner.report())["stored"]
        assert (await learner.call("getHealth"))["status"] == "healthy"

    learn(data, shipped_index, work)


def test_before_it_is_open_nothing_is_wrong(data: Path, shipped_index: Index) -> None:
    async def work(learner: Learner) -> tuple[list[str], int]:
        return learner.store.reasons, learner.store.revision

    assert learn(data, shipped_index, work) == ([], -1)


def test_what_was_lost_is_said_in_health(data: Path, shipped_index: Index) -> None:
    learn(data, shipped_index, report_one)
    made = backup.backup(data)
    (data / NAME).write_bytes(b"\x5a" * 50_000)

    async def look(learner: Learner) -> None:
        assert (await learner.report())["receipt"]["duplicate"]
        health = await learner.call("getHealth")
        assert health["status"] == "degraded"
        (said,) = health["reasons"]
        assert f"the backup {made.name} took its place" in said
        assert "how many are lost is unknown" in said

    learn(data, shipped_index, look)


def test_a_failed_write_is_said_until_one_succeeds(data: Path, shipped_index: Index) -> None:
    async def work(learner: Learner) -> None:
        store = (await learner.store.outcomes()).store
        assert store._writer
        store._writer.connection.execute("PRAGMA query_only = ON")
        assert (await learner.error("cacheDecision", **REPORT))["code"] == -32002
        (said,) = (await learner.call("getHealth"))["reasons"]
        assert said.startswith("The store cannot be written: attempt to write a readonly database.")
        assert "Make the data directory writable" in said
        assert await learner.agents("write release notes")
        store._writer.connection.execute("PRAGMA query_only = OFF")
        await learner.report()
        assert (await learner.call("getHealth"))["reasons"] == []

    learn(data, shipped_index, work)


def test_it_is_backed_up_daily(
    data: Path, shipped_index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "CHECK_SECONDS", 0.01)

    async def backed_up(many: int) -> None:
        while len(backup.backups(data)) < many:
            await asyncio.sleep(0.005)

    async def work(learner: Learner) -> None:
        await learner.report()
        await asyncio.wait_for(backed_up(1), 20)
        os.utime(backup.backups(data)[0], (0, 0))
        await asyncio.wait_for(backed_up(2), 20)

    learn(data, shipped_index, work)
    assert len(backup.backups(data)) == 2


def test_a_backup_that_fails_ends_nothing(
    data: Path, shipped_index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path] = []

    def fail(folder: Path) -> Path:
        tried.append(folder)
        raise OSError("in the way")

    monkeypatch.setattr(keeping, "CHECK_SECONDS", 0.001)
    monkeypatch.setattr(backup, "backup", fail)

    async def work(learner: Learner) -> None:
        await learner.report()
        while len(tried) < 3:
            await asyncio.sleep(0)
        assert (await learner.report("t2"))["stored"]

    learn(data, shipped_index, work)


def test_questions_are_logged_by_names(data: Path, shipped_index: Index) -> None:
    async def work(learner: Learner) -> None:
        await learner.store.outcomes()
        for _ in range(2):
            await learner.call("querySkills", context="write release notes", limit=1)

    learn(data, shipped_index, work)
    store = Store(data)
    store.open_to_read()
    with contextlib.closing(store):
        sql = "SELECT context, agents_returned, cache_hit, method FROM agent_queries ORDER BY id"
        rows = list(store.reader.execute(sql))
    name = '["studio:release-notes"]'
    assert rows == [("write release notes", name, hit, "querySkills") for hit in (0, 1)]


def test_a_database_that_cannot_be_read_refuses_and_says_so(
    data: Path, shipped_index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("no such table: decision_history")

    # it was an internal error, and /health went on saying healthy
    async def work(learner: Learner) -> tuple[int, list[str], list[str]]:
        await learner.report()
        monkeypatch.setattr(ledger, "find_decision", fail)
        error = await learner.error("cacheDecision", **{**REPORT, "task_id": "t1"})
        return error["code"], learner.store.reasons, await learner.agents("release notes")

    code, reasons, agents = learn(data, shipped_index, work)
    assert code == -32002 and agents
    assert "cannot be read" in reasons[-1] and "no such table" in reasons[-1]


def test_what_the_full_check_finds_is_said_in_health(
    data: Path, shipped_index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "orchestr8_index.store.backup.full_check", lambda connection: "row 3 missing from index"
    )

    async def work(learner: Learner) -> list[str]:
        await learner.store.outcomes()
        while not learner.store.reasons:
            await asyncio.sleep(0)
        return learner.store.reasons

    assert "row 3 missing from index" in learn(data, shipped_index, work)[0]


def test_a_damage_that_was_found_outlasts_the_next_write(
    data: Path, shipped_index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the next commit that went well wiped it from /health
    monkeypatch.setattr("orchestr8_index.store.backup.full_check", lambda connection: "page 3")

    async def work(learner: Learner) -> list[str]:
        await learner.store.outcomes()
        while not learner.store.reasons:
            await asyncio.sleep(0)
        await learner.report()
        return learner.store.reasons

    assert "page 3" in learn(data, shipped_index, work)[0]


# --- what was learnt, before the questions know it ----------------------------------------------


def test_reports_are_taken_while_questions_wait_for_what_was_learnt(
    data: Path, shipped_index: Index
) -> None:
    async def learnt(learner: Learner) -> None:
        await learner.report(text="xyzzqv the plughwort")

    async def early(learner: Learner) -> None:
        bound = asyncio.Event()
        learner.store.prepare = lambda experience: bound.wait()  # type: ignore[assignment,return-value]
        await learner.report("t2", "xyzzqv the plughwort")
        assert await learner.agents("xyzzqv the plughwort") == []
        bound.set()
        while not learner.store.experience.wins["agent"]:
            await asyncio.sleep(0)
        assert await learner.agents("xyzzqv the plughwort") == ["docs-writer"]

    learn(data, shipped_index, learnt)
    learn(data, shipped_index, early)


def test_experience_that_could_not_be_bound_beforehand_is_used_all_the_same(
    data: Path, shipped_index: Index
) -> None:
    async def work(learner: Learner) -> None:
        async def fail(_: Any) -> None:
            raise SnapshotUnreadable("The snapshot was truncated while it was open.")

        learner.store.prepare = fail
        await learner.report(text="xyzzqv the plughwort")
        assert await learner.agents("xyzzqv the plughwort") == ["docs-writer"]

    learn(data, shipped_index, work)
