"""What the shared state survives: kills, pauses, bad disks, old backups."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.coordinate import journal
from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.coordinate.journal import set_note
from orchestr8_index.coordinate.statements import MIGRATIONS, NAME, noted
from orchestr8_index.errors import Compacted, StoreUnavailable
from orchestr8_index.queries import NoParams
from orchestr8_index.store import backup
from orchestr8_index.store.database import connect

from .served import Served
from .worlds import Agent, Hand, opened, rounds, run, shared, until

KILLS, KEYS, CLIENTS = rounds(3, 200), 5, 8
CRASHES, CALLS = rounds(3, 60), 150  # how often, and the calls of all clients between


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path / "data")
    yield made
    made.kill()


async def write_until_killed(served: Served, client: int, acked: dict[str, int]) -> None:
    """Each write is noted once it is acknowledged; the last may be lost with the process."""
    for n in range(100_000):
        op = {"key": f"c{client}/n", "value": n}
        try:
            answer = await served.call(f"c{client}", "write_shared", ops=[op])
        except ConnectionError:
            return
        assert "result" in answer
        acked[f"c{client}/n"] = n


def test_no_acknowledged_write_is_lost_in_200_kills(served: Served) -> None:
    """The suite kills a few times; with FULL=1 it does so 200 times."""

    async def once() -> None:
        acked: dict[str, int] = {}
        served.start()
        writers = [
            asyncio.ensure_future(write_until_killed(served, client, acked)) for client in range(4)
        ]
        while not acked:
            await asyncio.sleep(0.005)
        await asyncio.sleep(random.uniform(0, 0.1))
        served.kill()
        await asyncio.gather(*writers)
        served.start()
        answer = await served.call("reader", "read_shared", prefix="")
        found = {each["key"]: each["value"] for each in answer["result"]["items"]}
        assert all(found[key] >= n for key, n in acked.items())
        served.kill()

    for _ in range(KILLS):
        asyncio.run(once())


@dataclass
class Ran:
    """One call of a history: `rev` is what it read or wrote, None where nobody knows."""

    key: str
    started: float
    ended: float
    wrote: bool
    value: Any
    rev: int | None


def test_every_history_is_linearizable(served: Served) -> None:
    """8 clients read, write and compare-and-set 5 keys while the process is killed now and then."""
    history: list[Ran] = []

    async def client(number: int) -> None:
        chance, known = random.Random(number), dict.fromkeys(range(KEYS), 0)
        for n in range(100_000):
            if served.kills == CRASHES:
                return
            key = chance.randrange(KEYS)
            ran = await perform(number, n, key, chance.random(), known)
            history.append(ran)

    async def perform(number: int, n: int, key: int, chance: float, known: dict[int, int]) -> Ran:
        name, value, started = f"k{key}", f"{number}.{n}", time.monotonic()
        wrote = chance < 0.6
        op: dict[str, Any] = {"key": name, "value": value}
        if chance < 0.3:
            op["if_rev"] = known[key]
        try:
            if wrote:
                answer = await served.call(f"c{number}", "write_shared", ops=[op])
            else:
                answer = await served.call(f"c{number}", "read_shared", keys=[name])
        except ConnectionError:
            await asyncio.sleep(0.02)
            return Ran(name, started, float("inf"), wrote, value, None)
        ended = time.monotonic()
        if answer.get("error") == "Conflict":
            known[key] = answer["data"]["rev"]
            return Ran(name, started, ended, False, None, known[key])
        if wrote:
            known[key] = answer["result"]["rev"]
            return Ran(name, started, ended, True, value, known[key])
        items = answer["result"]["items"]
        known[key] = items[0]["rev"] if items else 0
        return Ran(name, started, ended, False, items[0]["value"] if items else "", known[key])

    def answered(wanted: int) -> bool:
        return len(history) >= wanted

    async def work() -> None:
        served.start()
        clients = [asyncio.ensure_future(client(number)) for number in range(CLIENTS)]
        for crash in range(CRASHES):
            await until(functools.partial(answered, (crash + 1) * CALLS))
            served.kill()
            served.start()
        await asyncio.gather(*clients)

    asyncio.run(work())
    assert served.kills == CRASHES
    for key in range(KEYS):
        check_register([ran for ran in history if ran.key == f"k{key}"])


def check_register(history: list[Ran]) -> None:
    """Revisions are the order: each read sees the write of its revision, and no call sees less
    than what had ended before it began."""
    written = {ran.rev: ran.value for ran in history if ran.wrote and ran.rev is not None}
    unknown = {ran.value for ran in history if ran.wrote and ran.rev is None}
    for ran in history:
        if not ran.wrote and ran.rev and ran.value is not None:
            assert written.get(ran.rev) == ran.value or ran.value in unknown
    known = [ran for ran in history if ran.rev is not None]
    by_end, seen, newest = sorted(known, key=lambda ran: ran.ended), 0, 0
    for ran in sorted(known, key=lambda ran: ran.started):
        while seen < len(by_end) and by_end[seen].ended < ran.started:
            newest = max(newest, by_end[seen].rev or 0)
            seen += 1
        assert ran.rev is not None
        assert ran.rev > newest if ran.wrote else ran.rev >= newest


def test_a_register_that_forgets_is_found() -> None:
    """The checker itself: a read that misses an earlier write, and a value from nowhere."""
    wrote = Ran("k", 1.0, 2.0, True, "a", 5)
    with pytest.raises(AssertionError):
        check_register([wrote, Ran("k", 3.0, 4.0, False, "", 0)])
    with pytest.raises(AssertionError):
        check_register([wrote, Ran("k", 3.0, 4.0, False, "b", 5)])
    check_register([wrote, Ran("k", 1.5, 4.0, False, "", 0)])


HOLDER = """
import sys
print("held", flush=True)
for line in sys.stdin:
    print("write", flush=True)
"""


def test_a_paused_holder_cannot_write_after_its_lease(tmp_path: Path) -> None:
    """A process that holds a lock is stopped; when it goes on, its lease is over and another's."""
    from orchestr8_index.errors import StaleToken
    from orchestr8_index.sharing import Fence

    hand = Hand()
    code = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin and holder.stdout and holder.stdout.readline() == "held\n"

        async def work(state: Coordination) -> None:
            assert holder.stdin and holder.stdout
            held = await Agent(state, "holder").lock("a.py", ttl_s=5)
            holder.send_signal(signal.SIGSTOP)
            holder.stdin.write("go on\n")
            holder.stdin.flush()
            hand.move(5)
            taken = await Agent(state, "other").lock("a.py", ttl_s=5)
            holder.send_signal(signal.SIGCONT)
            assert await asyncio.to_thread(holder.stdout.readline) == "write\n"
            with pytest.raises(StaleToken):
                await Agent(state, "holder").write({"x": 1}, fence=[Fence("a.py", held["token"])])
            await Agent(state, "other").write({"x": 2}, fence=[Fence("a.py", taken["token"])])

        run(tmp_path, work, hand)
        holder.stdin.close()


def number_of(token: str) -> int:
    return int(token.split(".")[0])


@pytest.mark.parametrize("sync", ["full", "fast"])
def test_a_restart_never_gives_an_old_token(tmp_path: Path, sync: str) -> None:
    """Also after a backup was restored, or the database was deleted."""
    given: list[int] = []

    async def take(state: Coordination) -> None:
        tokens = [(await Agent(state, "a").lock(f"n:{n}"))["token"] for n in range(5)]
        given.extend(number_of(token) for token in tokens)
        given.extend(each["rev"] for each in await Agent(state, "a").locks())

    run(tmp_path, take, sync=sync)
    kept = backup.backup(tmp_path, name=NAME)

    def delete() -> None:
        for path in tmp_path.glob(f"{NAME}*"):
            path.unlink()

    async def free(state: Coordination) -> None:
        from orchestr8_index.sharing import BreakLock

        for n in range(5):
            await state.break_lock(
                Agent(state, "a").caller, BreakLock(resource=f"n:{n}", reason="test")
            )

    for between in (lambda: None, lambda: backup.restore(tmp_path, kept, NAME, MIGRATIONS), delete):
        run(tmp_path, free, sync=sync)
        between()
        before = max(given)
        run(tmp_path, free, sync=sync)
        given.clear()
        run(tmp_path, take, sync=sync)
        assert min(given) > before


def test_a_cursor_from_before_a_restored_backup_is_refused(tmp_path: Path) -> None:
    async def write(state: Coordination) -> int:
        return int((await Agent(state, "a").write({"x": 1}))["rev"])

    async def follow(state: Coordination) -> None:
        with pytest.raises(Compacted):
            await Agent(state, "a").read("x", changed_after=lost)

    run(tmp_path, write)
    kept = backup.backup(tmp_path, name=NAME)
    run(tmp_path, write)
    lost = run(tmp_path, write)
    backup.restore(tmp_path, kept, NAME, MIGRATIONS)
    run(tmp_path, follow)


def test_the_log_without_gap_or_repeat_over_restarts(tmp_path: Path) -> None:
    """One reader follows the log; every write is seen once, in order, whatever ended meanwhile."""
    wrote: list[int] = []
    seen: list[int] = []

    async def go(state: Coordination, after: int) -> int:
        async def write() -> None:
            for _ in range(20):
                wrote.append(len(wrote))
                await Agent(state, "w").write({"n": wrote[-1]})

        writing = asyncio.ensure_future(write())
        target = len(seen) + 20
        while len(seen) < target:
            page = await Agent(state, "r").read("n", changed_after=after, limit=3, wait_ms=20_000)
            seen.extend(each["value"] for each in page["events"])
            after = page["rev"]
        await writing
        return after

    after = 0
    for _ in range(4):
        after = run(tmp_path, lambda state, after=after: go(state, after))  # type: ignore[misc]
    assert seen == list(range(80))


@shared
async def test_a_full_disk_refuses_writes_and_reads_go_on(state: Coordination) -> None:
    a = Agent(state, "a")
    await a.write({"x": 1})
    pages = state.store.reader.execute("PRAGMA page_count").fetchone()[0]

    def limit(connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    await state.store.write(limit)
    with pytest.raises(StoreUnavailable, match="full"):
        for n in range(100):
            await a.write({f"k{n}": "x" * 10_000})
    assert "Free space on the disk" in state.store.trouble
    assert await a.get("x") == 1
    await state.store.write(lambda connection: connection.execute("PRAGMA max_page_count = 99999"))
    await a.write({"x": 2})
    assert (await a.get("x"), state.store.trouble) == (2, "")


async def fill(state: Coordination) -> None:
    a = Agent(state, "a")
    for n in range(40):
        await a.write({f"key/{n:03}": f"value {n} " * 60})
    await a.send("b", body="mail")
    await a.lock("a.py", ttl_s=3600)


def damage(path: Path, at: int, garbage: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(garbage)


def test_a_torn_or_bent_page_is_found(tmp_path: Path) -> None:
    """A bit that is not what was written is refused when it is read, not handed on."""
    run(tmp_path, fill)
    path = tmp_path / NAME
    found = path.read_bytes().find(b"value 7 value 7")
    damage(path, found, b"v\xe1lue")

    async def read(state: Coordination) -> None:
        a = Agent(state, "a")
        assert await a.get("key/008") == "value 8 " * 60
        with pytest.raises(StoreUnavailable, match=r"key/007 is damaged"):
            await a.get("key/007")
        await a.write({"key/007": "again"})
        assert await a.get("key/007") == "again"

    run(tmp_path, read)


@pytest.mark.parametrize("with_backup", [True, False])
def test_a_damaged_file_gives_way_to_a_backup_and_what_can_be_read(
    tmp_path: Path, with_backup: bool
) -> None:
    run(tmp_path, fill)
    if with_backup:
        backup.backup(tmp_path, name=NAME)
    path = tmp_path / NAME
    with contextlib.closing(connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'event_key'"
        page = connection.execute(query).fetchone()[0]
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(path, (page - 1) * size, b"\xff" * size)

    async def read(state: Coordination) -> None:
        repaired = state.store.repaired
        assert repaired and bool(repaired.restored) is with_backup
        assert len((await Agent(state, "a").read(prefix="key/"))["items"]) == 40
        assert (await Agent(state, "b").inbox())["messages"][0]["body"] == "mail"
        assert [each["holder"] for each in await Agent(state, "b").locks()] == ["a"]

    run(tmp_path, read)


def test_a_file_of_noise_gives_way(tmp_path: Path) -> None:
    run(tmp_path, fill)
    kept = backup.backup(tmp_path, name=NAME)
    (tmp_path / NAME).write_bytes(random.Random(1).randbytes(100_000))

    async def read(state: Coordination) -> None:
        assert state.store.repaired and state.store.repaired.restored == kept.name
        assert len((await Agent(state, "a").read(prefix="key/"))["items"]) == 40

    run(tmp_path, read)


@pytest.mark.parametrize("said", ["nonsense", "9" * 5000, "9007199254740992", "-1", "²"])
def test_the_file_of_revisions_is_written_again_while_it_runs(tmp_path: Path, said: str) -> None:
    """Else a restart with an older backup gave revisions twice."""

    async def work(state: Coordination) -> str:
        path, before = tmp_path / journal.NAME, (tmp_path / journal.NAME).read_text()
        path.write_text(said)
        await state.save_clock()
        assert path.read_text() == before
        path.unlink()
        await state.save_clock()
        return path.read_text()

    assert run(tmp_path, work)


@pytest.mark.parametrize("said", ["nonsense", "9" * 5000, "9007199254740992", "-1", "²"])
def test_revisions_go_on_without_their_file(tmp_path: Path, said: str) -> None:
    before = run(tmp_path, lambda state: Agent(state, "a").write({"x": 1}))["rev"]
    (tmp_path / journal.NAME).write_text(said)
    after = run(tmp_path, lambda state: Agent(state, "a").write({"x": 1}))["rev"]
    assert after > before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE item SET value = 'x' WHERE key = '@clock'",
        "UPDATE item SET value = X'FF' WHERE key = '@block'",
        "UPDATE item SET value = '-1' WHERE key = '@oldest'",
        "UPDATE item SET value = '[[' WHERE key LIKE '@%' AND project <> ''",
        "UPDATE item SET value = X'FF' WHERE key LIKE '@agent/%'",
        "UPDATE item SET value = '9007199254740991' WHERE key = '@block'",
        "UPDATE item SET id = 'x', at = 'y'",
        "UPDATE event SET at = 'y'",
        "UPDATE event SET value = '{' WHERE kind = 4",
        "UPDATE hold SET since = 1e300",
        "UPDATE hold SET ends = 9223372036854775807",
        "INSERT INTO event VALUES (9223372036854775807, 'p', 0, 'k', '1', 'x', 0, NULL, 0)",
        "INSERT INTO event VALUES (-5, 'p', 0, 'k', '1', 'x', 0, NULL, 0)",
        "UPDATE hold SET ends = 'never'",
        "UPDATE delivery SET due = X'00'",
        "DROP TABLE lease",
        "DROP INDEX hold_ends",
        "CREATE TRIGGER t AFTER INSERT ON event BEGIN DELETE FROM item; END",
    ],
)
def test_one_bent_value_closes_nothing(tmp_path: Path, statement: str) -> None:
    run(tmp_path, fill)
    with contextlib.closing(connect(tmp_path / NAME)) as connection:
        connection.execute(statement)

    async def work(state: Coordination) -> None:
        someone = Agent(state, "c")
        assert (await someone.lock("another"))["token"]
        await someone.send("b")
        await someone.locks()
        await Agent(state, "b").inbox()
        await state.coordination(someone.caller, NoParams())
        assert len((await someone.read(prefix="key/"))["items"]) == 40

    run(tmp_path, work)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE item SET value = '[[' WHERE key LIKE '@%' AND project <> ''",
        "UPDATE item SET id = 'x'",
    ]
    + ["UPDATE item SET at = 'y'", "UPDATE event SET at = 'y'", "UPDATE hold SET since = 1e300"],
)
@shared
async def test_what_is_bent_meanwhile_closes_nothing(
    state: Coordination, tmp_path: Path, statement: str
) -> None:
    await fill(state)
    with contextlib.closing(connect(tmp_path / NAME)) as connection:
        connection.execute(statement)
    someone = Agent(state, "c")
    await someone.send("b")
    assert (await someone.locks())[0]["holder"] == "a"
    assert len((await someone.read(prefix="key/"))["items"]) == 40
    await state.coordination(someone.caller, NoParams())


def test_a_deleted_folder_is_told(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path / "data") as state:
            await Agent(state, "a").write({"x": 1})
            shutil.rmtree(tmp_path / "data")
            with pytest.raises(StoreUnavailable, match="moved or removed"):
                await Agent(state, "a").write({"x": 2})

    asyncio.run(work())


def test_what_is_noted_for_others_is_there_after_a_restart(tmp_path: Path) -> None:
    """How far the log was written on had no checksum, and was dropped as bent at each start."""

    async def note(state: Coordination) -> None:
        await state.store.write(lambda on: set_note(on, "default", "@written/redis", "7"))

    async def find(state: Coordination) -> None:
        assert await state.read(noted, "default", "@written/redis") == "7"

    run(tmp_path, note)
    run(tmp_path, find)
