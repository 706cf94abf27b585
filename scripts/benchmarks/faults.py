"""Is every acknowledged outcome there after the worst? Kills, a full disk, torn and flipped bytes.

scripts/bench faults [--rounds 200] [--root DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machine import Client, Server, describe

from orchestr8_index.store import ledger
from orchestr8_index.store.database import NAME, connect

FIXTURE = Path(__file__).resolve().parents[2] / "plugins_fixture"
REPORTERS = 8
PAGE = 4096


@dataclass
class Tally:
    """Task ids, sent and acknowledged; what is found later is compared with them."""

    sent: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    refused: int = 0
    rounds: int = 0

    def line(self, name: str, data_dir: str) -> str:
        with contextlib.closing(connect(Path(data_dir, NAME), read_only=True)) as connection:
            found = {d.task_id: intact for d, intact in ledger.checked_decisions(connection)}
        lost = len(self.acknowledged - set(found))
        half = sum(not whole for whole in found.values()) + len(set(found) - self.sent)
        return (
            f"{name:28} {self.rounds:4} rounds  acknowledged {len(self.acknowledged):7,}  "
            f"found {len(found):7,}  lost {lost}  half-written {half}"
        )


def report(task: str) -> dict[str, Any]:
    text = f"rotate the certs of gateway {task}"
    named = {"task_id": task, "task_description": text, "caller": task}
    return {**named, "agents_used": ["docs-writer"], "result": "success"}


def reporting(port: int, tally: Tally, name: str) -> None:
    client = Client(port)
    with contextlib.suppress(OSError, ValueError, *_broken()):
        for number in range(10**9):
            task = f"{name}-{number}"
            tally.sent.add(task)
            reply, _ = client.call("cacheDecision", report(task))
            if "error" in reply:
                tally.refused += 1
                return
            tally.acknowledged.add(task)


def _broken() -> tuple[type[Exception], ...]:
    import http.client

    return (http.client.HTTPException,)


def verify(data_dir: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestr8_index", "verify", "--data-dir", data_dir]
    return subprocess.run(command, capture_output=True, text=True)


def sound(data_dir: str) -> str:
    return "verify: sound" if verify(data_dir).returncode == 0 else "verify: NOT SOUND"


def round_of(root: str, data_dir: str, tally: Tally, draw: random.Random) -> None:
    server = Server([root], data_dir)
    name = f"{tally.rounds}"
    threads = [
        threading.Thread(target=reporting, args=(server.port, tally, f"{name}-{who}"))
        for who in range(REPORTERS)
    ]
    for thread in threads:
        thread.start()
    time.sleep(draw.uniform(0.0, 0.4))
    server.stop(signal.SIGKILL)
    for thread in threads:
        thread.join()
    tally.rounds += 1


def kills(root: str, data_dir: str, rounds: int) -> str:
    tally, draw = Tally(), random.Random(7)
    for number in range(rounds):
        round_of(root, data_dir, tally, draw)
        if sys.stderr.isatty():
            print(f"\r  {number + 1} of {rounds}", end="", file=sys.stderr)
    return f"{tally.line('kill -9', data_dir)}  {sound(data_dir)}"


def full_disk(root: str, data_dir: str, rounds: int) -> str:
    """The server's files may not grow over a limit, a little more of it in every round."""
    tally = Tally()
    Server([root], data_dir).stop()
    for number in range(rounds):
        server = Server([root], data_dir, largest_file=(400 + 100 * number) * 1000)
        reporting(server.port, tally, f"{number}")
        asked, _ = Client(server.port).call("querySkills", {"context": "write release notes"})
        assert "result" in asked, asked
        server.stop(signal.SIGKILL)
        tally.rounds += 1
    assert tally.refused == rounds, "a disk was never full"
    return f"{tally.line('full disk', data_dir)}  refused {tally.refused}  {sound(data_dir)}"


def torn(root: str, data_dir: str, rounds: int) -> list[str]:
    """What a power cut leaves: half a page at the log's end, or half of one copied out of it."""
    told = []
    for name, tear in (("torn tail of the log", add_half), ("torn last page", cut_half)):
        tally, draw, healthy = Tally(), random.Random(7), 0
        for number in range(rounds):
            folder = f"{data_dir}/{name}-{number}"
            server = Server([root], folder)
            tally.sent.clear(), tally.acknowledged.clear()
            client = Client(server.port)
            for task in range(50):
                tally.sent.add(f"t{task}")
                client.call("cacheDecision", report(f"t{task}"))
                tally.acknowledged.add(f"t{task}")
            server.stop(signal.SIGKILL)
            tear(Path(folder, NAME), draw.randint(1, PAGE - 1))
            again = Server([root], folder)
            Client(again.port).call("cacheDecision", report("t0"))
            healthy += again.get("/health")[1]["status"] == "healthy"
            again.stop()
            assert verify(folder).returncode == 0
            tally.rounds += 1
        told.append(f"{tally.line(name, folder)}  healthy {healthy}")
    return told


def add_half(database: Path, size: int) -> None:
    log = database.with_name(f"{NAME}-wal")
    page = log.read_bytes()[32:][: PAGE + 24]
    with log.open("ab") as file:
        file.write(page[:size])


def cut_half(database: Path, size: int) -> None:
    with database.open("r+b") as file:
        file.truncate(database.stat().st_size - size)


def flipped(root: str, data_dir: str, rounds: int) -> str:
    server = Server([root], data_dir)
    client = Client(server.port)
    for task in range(200):
        client.call("cacheDecision", report(f"t{task:03}"))
    server.stop()
    sure, found, draw = Path(data_dir, NAME).read_bytes(), 0, random.Random(7)
    for _ in range(rounds):
        raw, task = bytearray(sure), draw.randrange(200)
        text = f"rotate the certs of gateway t{task:03}".encode()
        raw[raw.index(text + b"[") + draw.randrange(len(text))] ^= 1 << draw.randrange(8)
        Path(data_dir, NAME).write_bytes(raw)
        found += f"decision {task + 1} was altered" in verify(data_dir).stdout
    Path(data_dir, NAME).write_bytes(sure)
    return f"{'flipped bit of the payload':28} {rounds:4} rounds  found by verify {found}"


def second(root: str, data_dir: str, rounds: int) -> str:
    server, refused = Server([root], data_dir), 0
    command = [sys.executable, "-m", "orchestr8_index", "serve", "--root", root, "--port", "0"]
    for _ in range(rounds):
        done = subprocess.run([*command, "--data-dir", data_dir], capture_output=True, text=True)
        refused += done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1
    server.stop()
    return f"{'second server':28} {rounds:4} rounds  refused in one sentence {refused}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=str(FIXTURE))
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    few, root = max(5, arguments.rounds // 20), arguments.root
    print(f"machine  {describe()}\nroot     {root}")
    folder = tempfile.mkdtemp()
    try:
        print(kills(root, f"{folder}/kills", arguments.rounds), flush=True)
        print(full_disk(root, f"{folder}/full", few), flush=True)
        for line in torn(root, folder, few):
            print(line, flush=True)
        print(flipped(root, f"{folder}/flipped", few), flush=True)
        print(second(root, f"{folder}/second", few), flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
