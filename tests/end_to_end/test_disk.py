"""What if the disk betrays a server? It answers, or is back within moments, and says why."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from orchestr8_index.config import fixture_root
from orchestr8_index.daemon.http import get_health

from ..processes import Running, World, call, wait_for

ROOT = str(fixture_root())
REPORT = {"task_description": "x", "agents_used": ["docs-writer"], "result": "success"}


def segments(world: World, generation: int) -> list[Path]:
    return sorted(world.data.glob(f"snapshots/*/{generation:06d}/*.segment"))


def asked(port: int, text: str = "write release notes") -> list[str]:
    told = call(port, "querySkills", {"context": text})
    return [row["name"] for row in told["result"]["skills"]]


def answered(world: World) -> list[str] | None:
    try:
        return asked(world.owner()["port"], "how do I roll a release back")
    except (OSError, KeyError):
        return None


def test_what_is_read_of_a_truncated_snapshot_has_it_built_again(world: World) -> None:
    """Each question was an internal error, until the trees changed."""
    world.up("--root", ROOT)
    for segment in segments(world, 1):
        os.truncate(segment, 4096)
    assert wait_for(lambda: answered(world))
    health = get_health(world.owner()["port"])
    assert health and (health["status"], health["generation"]) == ("healthy", 2)


def test_what_is_mapped_of_a_truncated_snapshot_ends_the_server_once(world: World) -> None:
    """SIGBUS: the watcher starts it again, and that generation is rejected."""
    world.up("--root", ROOT)
    first = world.owner()["pid"]
    assert asked(world.owner()["port"])
    for segment in segments(world, 1):
        os.truncate(segment, 0)
    assert wait_for(lambda: answered(world))
    health = get_health(world.owner()["port"])
    assert health and (health["status"], health["generation"]) == ("healthy", 2)
    assert world.owner()["pid"] != first
    (told,) = [line for line in world.log() if line["logger"] == "orchestr8.watch"]
    assert f"status {-signal.SIGBUS}" in told["message"]


def test_a_snapshot_with_a_changed_byte_is_built_again(world: World) -> None:
    """The sizes were right, so it was served for good."""
    world.serve("--root", ROOT).stop()
    segment = segments(world, 1)[0]
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0x40
    segment.write_bytes(data)
    server = world.serve("--root", ROOT)
    health = wait_for(lambda: server.health if server.health["generation"] == 2 else None)
    assert health["reasons"] == [] and asked(server.port)


def test_a_data_directory_that_is_gone_refuses_outcomes_and_answers(world: World) -> None:
    """They were acknowledged, into a file that nobody would ever read again."""
    server = world.serve("--root", ROOT).checked()
    assert stored(server, "t1")
    shutil.move(world.data, world.data.with_name("moved"))
    told = call(server.port, "cacheDecision", {"task_id": "t2", **REPORT})["error"]
    assert told["code"] == -32002 and "moved or removed" in told["message"]
    assert asked(server.port)[0] == "release-notes"
    assert server.health["status"] == "degraded" and "restart" in server.health["reasons"][0]
    shutil.rmtree(world.data, ignore_errors=True)  # what was made since: a backup, a log
    shutil.move(world.data.with_name("moved"), world.data)
    wait_for(lambda: server.health["reasons"] == [])
    assert stored(server, "t2")


def stored(server: Running, task: str) -> bool:
    told = call(server.port, "cacheDecision", {"task_id": task, **REPORT})
    return bool(told["result"]["stored"])


def test_a_database_of_a_newer_version_is_left_alone(world: World) -> None:
    server = world.serve("--root", ROOT)
    assert stored(server, "t1")
    server.stop()
    with closing(sqlite3.connect(world.data / "mcp.db")) as newer:
        newer.execute("PRAGMA user_version = 99")
        newer.execute("ALTER TABLE decision_history RENAME TO decisions_of_tomorrow")
    before = (world.data / "mcp.db").read_bytes()
    server = world.serve("--root", ROOT)
    told = call(server.port, "cacheDecision", {"task_id": "t2", **REPORT})["error"]
    assert told["code"] == -32002 and "newer version: its schema is 99" in told["message"]
    assert asked(server.port) and "Install that version" in server.health["reasons"][0]
    learned = world.run("learned")
    assert (learned.returncode, "newer version" in learned.stderr) == (1, True)
    server.stop()
    assert (world.data / "mcp.db").read_bytes() == before


@pytest.mark.parametrize("command", ["serve", "up"])
def test_a_data_directory_that_is_a_file_is_a_sentence(world: World, command: str) -> None:
    world.data.write_text("in the way")
    done = world.run(command, "--root", ROOT)
    assert (done.returncode, "cannot be used" in done.stderr) == (1, True)
    assert "--data-dir" in done.stderr and "Traceback" not in done.stderr


def test_where_files_cannot_grow_it_answers_and_says_so(world: World) -> None:
    """A full disk, by the limit on the size of files: the index stands, outcomes are refused."""
    world.serve("--root", ROOT).stop()
    code = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
    code += "import sys; sys.argv[0] = 'x'; from orchestr8_index.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--root", ROOT], env=world.env, cwd=world.work
    )
    world._started.append(process)  # type: ignore[arg-type]
    port = wait_for(lambda: world.owner().get("port"))
    wait_for(lambda: get_health(port))
    assert asked(port)[0] == "release-notes"
    told = call(port, "cacheDecision", {"task_id": "t2", **REPORT})
    assert told["error"]["code"] == -32002
    health = get_health(port)
    assert health and health["status"] == "degraded" and health["reasons"]
