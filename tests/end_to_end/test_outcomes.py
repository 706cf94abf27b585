"""Is what was acknowledged there after the worst? Real servers, killed while many report."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import signal
import threading
from pathlib import Path
from typing import Any

from orchestr8_index.config import fixture_root
from orchestr8_index.store import ledger
from orchestr8_index.store.database import NAME, connect

from ..processes import Running, World, call, wait_for

ROOT = str(fixture_root())
REPORTERS = 6


def report(task_id: str, text: str = "rotate the TLS certs") -> dict[str, Any]:
    named = {"task_id": task_id, "task_description": text, "caller": task_id}
    return {**named, "agents_used": ["docs-writer"], "result": "success"}


class Reporters:
    """Threads that report tasks of their own, one after the other, until the server is gone."""

    def __init__(self, port: int, name: str) -> None:
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self._threads = [
            threading.Thread(target=self._report, args=(port, f"{name}-{who}"))
            for who in range(REPORTERS)
        ]
        for thread in self._threads:
            thread.start()

    def _report(self, port: int, name: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            contextlib.closing(connection),
        ):
            for number in range(100_000):
                task = f"{name}-{number}"
                self.sent.add(task)
                params = report(task, f"task {number % 9} of {name}")
                sent = {"jsonrpc": "2.0", "id": 1, "method": "cacheDecision", "params": params}
                connection.request("POST", "/", json.dumps(sent))
                if json.loads(connection.getresponse().read())["result"]["stored"]:
                    self.acknowledged.add(task)

    def wait_for(self, many: int) -> None:
        wait_for(lambda: len(self.acknowledged) >= many)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(timeout=30)


def stored(world: World) -> dict[str, bool]:
    """Every task that is there, and whether its row is whole."""
    with contextlib.closing(connect(world.data / NAME, read_only=True)) as connection:
        return {d.task_id: intact for d, intact in ledger.checked_decisions(connection)}


def test_no_acknowledged_outcome_is_lost_to_a_kill(world: World) -> None:
    acknowledged, sent, draw = set[str](), set[str](), random.Random(7)
    for number in range(3):
        server = world.serve("--root", ROOT)
        reporters = Reporters(server.port, f"r{number}")
        enough = draw.randint(1, 120)
        reporters.wait_for(enough)
        server.stop(signal.SIGKILL)
        reporters.join()
        acknowledged |= reporters.acknowledged
        sent |= reporters.sent
    found = stored(world)
    assert acknowledged <= set(found) <= sent
    assert all(found.values())
    assert world.run("verify").returncode == 0


def one(world: World) -> Running:
    server = world.serve("--root", ROOT)
    assert call(server.port, "cacheDecision", report("t1"))["result"]["stored"]
    return server


def test_experience_survives_a_kill(world: World) -> None:
    server = one(world)
    call(server.port, "cacheDecision", report("t2", "xyzzqv the plughwort"))
    server.stop(signal.SIGKILL)
    again = world.serve("--root", ROOT)
    assert call(again.port, "cacheDecision", report("t2", "xyzzqv the plughwort"))["result"][
        "receipt"
    ]["duplicate"]
    rows = call(again.port, "queryAgents", {"context": "xyzzqv the plughwort"})["result"]["agents"]
    assert [row["name"] for row in rows] == ["docs-writer"]


def test_a_full_disk_refuses_outcomes_and_answers_go_on(world: World) -> None:
    """The size of every file that the server writes is limited; root has no other full disk."""
    limited = f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, ({250_000}, {250_000}))"
    site = world.home / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import sys\nif 'serve' in sys.argv:\n    import signal\n"
        f"    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n    {limited}\n"
    )
    pythonpath = f"{site}:{world.env['PYTHONPATH']}"
    server = world.serve("--root", ROOT, PYTHONPATH=pythonpath)
    acknowledged, refused = _fill(server)
    assert refused["code"] == -32002
    asked = call(server.port, "querySkills", {"context": "write release notes"})
    assert asked["result"]["skills"] and server.health["status"] == "degraded"
    server.stop(signal.SIGKILL)
    found = stored(world)
    assert acknowledged == set(found) and all(found.values())
    assert world.run("verify").returncode == 0


def _fill(server: Running) -> tuple[set[str], dict[str, Any]]:
    acknowledged: set[str] = set()
    for number in range(4000):
        told = call(server.port, "cacheDecision", report(f"t{number}", f"{number} " + "x" * 900))
        if "error" in told:
            return acknowledged, told["error"]
        acknowledged.add(f"t{number}")
    raise AssertionError("the disk was never full")


def test_a_damaged_database_is_mended_and_health_says_so(world: World) -> None:
    server = one(world)
    assert world.run("backup").returncode == 0
    server.stop()
    (world.data / NAME).write_bytes(b"\x5a" * 20_000)
    again = world.serve("--root", ROOT)
    assert call(again.port, "cacheDecision", report("t1"))["result"]["receipt"]["duplicate"]
    assert again.health["status"] == "degraded"
    assert "how many are lost is unknown" in again.health["reasons"][0]
    assert len(list(world.data.glob("mcp.db.damaged-*"))) == 1


def test_a_torn_page_loses_nothing_that_was_acknowledged(world: World) -> None:
    """Half a page at the log's end, and half of the last page that was copied out of it."""
    one(world).stop(signal.SIGKILL)
    database, log = world.data / NAME, world.data / f"{NAME}-wal"
    with log.open("r+b") as file:
        half = file.read(2000)[32:]
        file.seek(0, 2)
        file.write(half)
    with database.open("r+b") as file:
        file.truncate(database.stat().st_size - 100)
    again = world.serve("--root", ROOT)
    assert call(again.port, "cacheDecision", report("t1"))["result"]["receipt"]["duplicate"]
    assert again.health["status"] == "healthy"


def test_a_flipped_bit_of_the_payload_is_found(world: World) -> None:
    one(world).stop()
    assert world.run("verify").returncode == 0
    flip(world.data / NAME, b"rotate the TLS certs")
    done = world.run("verify")
    assert (done.returncode, "decision 1 was altered on the disk" in done.stdout) == (1, True)


def flip(path: Path, text: bytes) -> None:
    raw = bytearray(path.read_bytes())
    places = [at for at in range(len(raw)) if raw.startswith(text, at)]
    for at in places:
        raw[at] ^= 0x80
    assert places
    path.write_bytes(raw)


def test_a_restore_does_not_disturb_a_running_server(world: World) -> None:
    server = one(world)
    done = world.run("restore")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
    assert call(server.port, "cacheDecision", report("t1"))["result"]["receipt"]["duplicate"]
