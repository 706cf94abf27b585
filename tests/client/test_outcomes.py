"""Does every reported outcome arrive, once, in order, whoever is away or killed meanwhile?"""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index import Orchestrator
from orchestr8_index.config import fixture_root
from orchestr8_index.daemon.locate import Address
from orchestr8_index.errors import InvalidParams

from ..processes import Running, World, wait_for
from .asking import report
from .conftest import MakeAsker
from .strange import Strange, error

ROOT = str(fixture_root())


def stored(world: World) -> list[tuple[str, str]]:
    """(task, result) of all decisions, in their order."""
    reading = sqlite3.connect(world.data / "mcp.db")
    try:
        return list(reading.execute("SELECT task_id, result FROM decision_history ORDER BY id"))
    finally:
        reading.close()


def moments(world: World) -> list[str]:
    with contextlib.closing(sqlite3.connect(world.data / "mcp.db")) as reading:
        rows = reading.execute("SELECT timestamp FROM decision_history ORDER BY id")
        return [moment for (moment,) in rows]


def serve(world: World) -> Running:
    return world.serve("--root", ROOT)


def test_with_a_server_it_is_stored_at_once(make_asker: MakeAsker, world: World) -> None:
    serve(world)
    told = report(make_asker(data_dir=world.data), "t1")
    assert (told.stored, told.spooled, told.decision_id) == (True, False, 1)
    assert told.receipt and not told.receipt.duplicate


def test_without_one_it_waits_and_goes_at_the_next_contact(
    make_asker: MakeAsker, world: World
) -> None:
    with Orchestrator(data_dir=world.data) as gone:
        told = [report(gone, f"t{number}") for number in range(5)]
    assert {(each.stored, each.spooled) for each in told} == {(False, True)}
    serve(world)
    asker = make_asker(data_dir=world.data)
    asker.health()
    assert asker.flush(30)
    assert [task for task, _ in stored(world)] == [f"t{number}" for number in range(5)]


def test_what_waited_keeps_the_time_at_which_it_was_reported(
    make_asker: MakeAsker, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was dated by its delivery."""
    asker = make_asker(data_dir=world.data)
    with monkeypatch.context() as then:
        then.setattr(time, "time", lambda: 1577934245.0)
        report(asker, "t1")
    report(asker, "t2", occurred_at=86400.5)
    serve(world)
    assert asker.flush(30)
    dated = ["2020-01-02T03:04:05.000+00:00", "1970-01-02T00:00:00.500+00:00"]
    assert moments(world) == dated


def test_a_new_outcome_goes_after_those_that_wait(make_asker: MakeAsker, world: World) -> None:
    asker = make_asker(data_dir=world.data)
    for task in ("t1", "t2"):
        report(asker, task)
    serve(world)
    assert report(asker, "t3").stored
    assert [task for task, _ in stored(world)] == ["t1", "t2", "t3"]


def test_amendments_that_wait_end_as_the_last_one_says(make_asker: MakeAsker, world: World) -> None:
    asker = make_asker(data_dir=world.data)
    for result in ("failure", "partial", "success"):
        report(asker, "t1", result=result)
    serve(world)
    assert asker.flush(30)
    assert stored(world) == [("t1", "success")]


def test_a_delivery_that_is_repeated_counts_once(make_asker: MakeAsker, world: World) -> None:
    """A client that dies between the server's commit and the crossing out delivers again."""
    asker = make_asker(data_dir=world.data)
    for task, result in (("t1", "failure"), ("t2", "success"), ("t1", "success")):
        report(asker, task, result=result)
    spooled = (world.data / "spool.jsonl").read_bytes()
    serve(world)
    assert asker.flush(30)
    before = asker.find_patterns("rotate the certificates", min_similarity=0)
    (world.data / "spool.jsonl").write_bytes(spooled)
    assert asker.flush(30)
    assert stored(world) == [("t1", "success"), ("t2", "success")]
    after = asker.find_patterns("rotate the certificates", min_similarity=0, limit=20)
    counts = [(each.pattern.success_count, each.pattern.failure_count) for each in after]
    assert counts == [(e.pattern.success_count, e.pattern.failure_count) for e in before]
    verified = world.run("verify")
    assert verified.returncode == 0, verified.stdout


def test_a_bad_report_is_raised_and_does_not_wait(make_asker: MakeAsker, tmp_path: Path) -> None:
    with pytest.raises(InvalidParams):
        report(make_asker(data_dir=tmp_path / "data"), "t" * 101)
    assert not (tmp_path / "data" / "spool.jsonl").exists()


@pytest.mark.parametrize("code", [-32001, -32002, -32029, -32603, -32601, 12345])
def test_what_an_ill_server_does_not_take_waits(
    make_asker: MakeAsker, tmp_path: Path, strange: Strange, code: int
) -> None:
    strange.answer = lambda body: error(code)
    told = report(make_asker(strange.url, data_dir=tmp_path / "data"), "t1")
    assert told.spooled
    assert (tmp_path / "data" / "spool.jsonl").read_bytes().count(b"\n") == 1


def test_a_server_that_refuses_it_says_why(
    make_asker: MakeAsker, tmp_path: Path, strange: Strange
) -> None:
    """A server of another version may know better than the client."""
    strange.answer = lambda body: error(-32602, "No such field.")
    with pytest.raises(InvalidParams, match="No such field"):
        report(make_asker(strange.url, data_dir=tmp_path / "data"), "t1")


def test_an_embedded_client_leaves_them_for_the_server(make_asker: MakeAsker, world: World) -> None:
    embedded = make_asker(embedded=True, roots=[ROOT], data_dir=world.data)
    assert report(embedded, "t1").spooled
    serve(world)
    assert make_asker(data_dir=world.data).flush(30)
    assert stored(world) == [("t1", "success")]


# --- processes that are killed -----------------------------------------------------------------

REPORTER = """
import sys
from orchestr8_index import Orchestrator
client = Orchestrator(data_dir=sys.argv[1])
for number in range(int(sys.argv[2]), 10**6):
    told = client.report_outcome(f"t{number}", f"task {number}", ["docs-writer"], "success")
    print(number, flush=True)
"""


def reported(world: World, start: int, least: int) -> int:
    """Report from `start` on in a process that is killed; the number after the last kept one."""
    command = [sys.executable, "-c", REPORTER, str(world.data), str(start)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=world.env
    ) as process:
        assert process.stdout
        said = [process.stdout.readline() for _ in range(least)]
        process.send_signal(signal.SIGKILL)
        said += [line for line in process.stdout if line.endswith(b"\n")]
    return int(said[-1]) + 1


def test_killed_clients_and_servers_lose_nothing_and_count_nothing_twice(world: World) -> None:
    """What was killed before its acknowledgement may have arrived; its reporter sends it again."""
    count = 0
    for _ in range(2):
        count = reported(world, count, 150)
    for _ in range(2):
        running = serve(world)
        with Orchestrator(data_dir=world.data) as client:
            client.health()
            wait_for(lambda: stored(world) or None)
            running.stop(signal.SIGKILL)
    serve(world)
    with Orchestrator(data_dir=world.data) as client:
        client.health()
        assert client.flush(60)
    tasks = [task for task, _ in stored(world)]
    assert tasks[:count] == [f"t{number}" for number in range(count)]
    assert len(tasks) <= count + 1


def test_outcomes_reported_across_a_restart_all_arrive(world: World) -> None:
    running = serve(world)
    with Orchestrator(data_dir=world.data) as client:
        for number in range(60):
            if number == 20:
                running.stop(signal.SIGKILL)
            if number == 40:
                serve(world)
            report(client, f"t{number}")
        assert client.flush(30)
    assert [task for task, _ in stored(world)] == [f"t{number}" for number in range(60)]


# --- threads -----------------------------------------------------------------------------------


def test_threads_may_share_a_client(world: World) -> None:
    serve(world)
    with Orchestrator(data_dir=world.data) as client, ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda n: report(client, f"t{n}"), range(80)))
        answers = list(pool.map(lambda n: client.query_agents(f"question {n % 9}"), range(80)))
    assert all(each.stored for each in told)
    assert {answer.source for answer in answers} == {"index"}
    assert sorted(task for task, _ in stored(world)) == sorted(f"t{n}" for n in range(80))


def test_threads_may_share_a_client_without_a_server(indexed: Path) -> None:
    found: list[Any] = []
    with Orchestrator("http://127.0.0.1:9", data_dir=indexed) as client:
        alone = client.query_agents("slow database queries").agents

        def ask() -> None:
            found.extend(client.query_agents("slow database queries").agents for _ in range(20))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [alone] * 160


def test_nobody_waits_behind_a_delivery_that_is_under_way(tmp_path: Path, strange: Strange) -> None:
    """A server that hangs while it receives would else cost every report its whole patience."""
    data = tmp_path / "data"
    with Orchestrator(data_dir=data) as gone:
        report(gone, "t0")
    strange.answer = lambda body: None
    with Orchestrator(strange.url, data_dir=data) as client:
        assert client._delivery.start(Address(strange.port))
        wait_for(lambda: strange.seen)
        assert [report(client, f"t{n}").spooled for n in range(1, 20)] == [True] * 19
        assert len(strange.seen) == 1
        strange.__exit__(None)
    assert (data / "spool.jsonl").read_bytes().count(b"\n") == 20
