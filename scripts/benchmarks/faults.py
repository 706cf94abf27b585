"""Acknowledged outcomes after the worst: kills, a full disk, torn and flipped bytes.

With --coordinate: the tests of what shared values, locks and messages survive, in full numbers
(200 kills, 500 races) where the suite does a few.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from orchestr8_index.store.database import NAME

from .harness import REPOSITORY, Run, progress
from .servers import BROKEN, PROGRAM, Client, Server, beside, outcome, stored

REPORTERS, SEED, PAGE = 8, 7, 4096
Figures = dict[str, Any]


class Tally:
    """Task ids, sent to one store, acknowledged and refused."""

    def __init__(self) -> None:
        self.sent, self.acknowledged, self.refused = set[str](), set[str](), set[str]()

    def report(self, client: Client, task: str) -> bool:
        """Whether it was acknowledged."""
        self.sent.add(task)
        params = outcome(task, f"rotate the certs of gateway {task}", "docs-writer", caller=task)
        acknowledged = "result" in client.call("cacheDecision", params)[0]
        (self.acknowledged if acknowledged else self.refused).add(task)
        return acknowledged

    def report_on(self, port: int, name: str, stop: object = None) -> None:
        """Until the server is gone, or refuses."""
        client, tasks = Client(port), (f"{name}-{number}" for number in count())
        with contextlib.suppress(*BROKEN):
            while self.report(client, next(tasks)):
                pass

    def found(self, data_dir: str) -> Figures:
        rows = stored(data_dir)
        half = sum(not whole for whole in rows.values()) + len(set(rows) - self.sent)
        lost = len(self.acknowledged - set(rows))
        counts = {"acknowledged": len(self.acknowledged), "found": len(rows), "lost": lost}
        sound = verify(data_dir).returncode == 0
        return {**counts, "half_written": half, "verify": "sound" if sound else "NOT SOUND"}


def verify(data_dir: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, "verify", "--data-dir", data_dir]
    return subprocess.run(command, capture_output=True, text=True)


def kills(root: str, data_dir: str, rounds: int) -> Figures:
    tally, draw = Tally(), random.Random(SEED)
    for number in range(rounds):
        server = Server(root, data_dir=data_dir)
        names = [f"{number}-{who}" for who in range(REPORTERS)]
        with beside(*(partial(tally.report_on, server.port, name) for name in names)):
            time.sleep(draw.uniform(0.0, 0.4))
            server.stop(signal.SIGKILL)
        progress(f"{number + 1} of {rounds}")
    return tally.found(data_dir)


def full_disk(root: str, data_dir: str, rounds: int) -> Figures:
    """The server's files may not grow over a limit, a little more of it in every round."""
    tally = Tally()
    Server(root, data_dir=data_dir).stop()
    for number in range(rounds):
        server = Server(root, data_dir=data_dir, largest_file=(400 + 100 * number) * 1000)
        tally.report_on(server.port, f"{number}")
        asked, _ = Client(server.port).call("querySkills", {"context": "write release notes"})
        assert "result" in asked, asked
        server.stop(signal.SIGKILL)
    assert len(tally.refused) == rounds, "a disk was never full"
    return {**tally.found(data_dir), "refused": len(tally.refused)}


def torn(tear: Callable[[Path, int], object], root: str, data_dir: str, rounds: int) -> Figures:
    """What a power cut leaves: each round tears a store of its own. Tells the worst round."""
    draw, healthy, found = random.Random(SEED), 0, list[Figures]()
    for number in range(rounds):
        folder, tally = f"{data_dir}/{number}", Tally()
        server = Server(root, data_dir=folder)
        client = Client(server.port)
        assert all(tally.report(client, f"t{task}") for task in range(50))
        server.stop(signal.SIGKILL)
        tear(Path(folder, NAME), draw.randint(1, PAGE - 1))
        with Server(root, data_dir=folder) as again:
            tally.report(Client(again.port), "t0")
            healthy += again.get("/health")[1]["status"] == "healthy"
        found.append(tally.found(folder))
    return {
        **max(found, key=lambda row: (row["lost"], row["verify"] != "sound")),
        "healthy": healthy,
    }


def add_half(database: Path, size: int) -> None:
    """Half a page at the log's end."""
    log = database.with_name(f"{NAME}-wal")
    log.write_bytes(log.read_bytes() + log.read_bytes()[32:][: PAGE + 24][:size])


def cut_half(database: Path, size: int) -> None:
    """Half of a page that was copied out of the log."""
    database.write_bytes(database.read_bytes()[:-size])


def flipped(root: str, data_dir: str, rounds: int) -> Figures:
    """One bit of a decision's text."""
    tally, found, draw = Tally(), 0, random.Random(SEED)
    with Server(root, data_dir=data_dir) as server:
        client = Client(server.port)
        assert all(tally.report(client, f"t{task:03}") for task in range(200))
    database = Path(data_dir, NAME)
    sure = database.read_bytes()
    for _ in range(rounds):
        raw, task = bytearray(sure), draw.randrange(200)
        text = f"rotate the certs of gateway t{task:03}".encode()
        raw[raw.index(text + b"[") + draw.randrange(len(text))] ^= 1 << draw.randrange(8)
        database.write_bytes(raw)
        found += f"decision {task + 1} was altered" in verify(data_dir).stdout
    return {"found_by_verify": found}


def second(root: str, data_dir: str, rounds: int) -> Figures:
    """A second server over one data directory."""
    command = [*PROGRAM, "serve", "--root", root, "--port", "0", "--data-dir", data_dir]
    with Server(root, data_dir=data_dir):
        done = [subprocess.run(command, capture_output=True, text=True) for _ in range(rounds)]
    lines = [len(one.stderr.strip().splitlines()) for one in done if one.returncode == 1]
    return {"refused_in_one_sentence": lines.count(1)}


FAULTS: dict[str, Callable[[str, str, int], Figures]] = {
    "kill -9": kills,
    "full disk": full_disk,
    "torn tail of the log": partial(torn, add_half),
    "torn last page": partial(torn, cut_half),
    "flipped bit of the payload": flipped,
    "second server": second,
}


SURVIVED = """
test_one_of_32_wins_500_times test_a_paused_holder_cannot_write_after_its_lease
test_no_acknowledged_write_is_lost_in_200_kills test_a_restart_never_gives_an_old_token
test_every_history_is_linearizable test_unread_moves_only_on_ack
test_a_broadcast_is_unread_for_each test_philosophers_eat_or_are_told_the_cycle
test_a_big_set_is_not_starved test_nobody_sees_what_is_private
test_the_log_without_gap_or_repeat_over_restarts
test_the_clock_jumps_an_hour_and_no_lease_does
test_a_full_disk_refuses_writes_and_reads_go_on test_a_torn_or_bent_page_is_found
test_two_that_look_alike_do_not_share_a_lock test_a_retry_does_nothing_twice
test_1000_sleepers_do_not_shut_the_door
test_a_stash_beside_others_is_refused_with_the_right_command
test_a_subagent_that_dies_frees_its_files test_a_subagent_may_edit_what_its_session_claimed
test_the_same_path_in_two_worktrees_is_two_resources TestMachine
""".split()


def survived(name: str) -> Figures:
    """One test of the shared state, with FULL numbers."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", name]
    where, began = ["tests/coordinate", "tests/serve/test_stream.py"], time.monotonic()
    env = {**os.environ, "FULL": "1"}
    done = subprocess.run(
        [*command, *where], cwd=REPOSITORY, env=env, capture_output=True, text=True
    )
    seconds = round(time.monotonic() - began, 1)
    return {"result": "held" if not done.returncode else done.stdout[-2000:], "seconds": seconds}


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, rounds=200, coordinate=False) as run:
        if run.given.coordinate:
            for name in SURVIVED:
                run.row(name, **survived(name))
            return
        few = max(5, run.given.rounds // 20)
        for name, fault in FAULTS.items():
            rounds = run.given.rounds if fault is kills else few
            with tempfile.TemporaryDirectory() as folder:
                run.row(name, rounds=rounds, **fault(run.root, f"{folder}/data", rounds))
