"""up, down, status: the server in the background, watched, and gone without a trace."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestr8_index.config import fixture_root
from orchestr8_index.daemon.http import get_health
from orchestr8_index.daemon.pidfile import PidFile

from ..house.diffs import copy_package
from ..processes import World, alive, call, wait_for

ROOT = str(fixture_root())
UNWATCHED = {"MCP_AUTO_RESTART": "false"}


def test_up_serves_and_down_ends_it(world: World) -> None:
    assert world.run("status").returncode == 3
    done = world.run("up", "--root", ROOT)
    port, pids = world.owner()["port"], [owner["pid"] for owner in world.owners()]
    expected = f"Serving 24 agents, 8 skills, 8 workflows on http://127.0.0.1:{port}.\n"
    assert (done.returncode, done.stdout) == (0, expected)
    assert call(port, "querySkills", {"context": "release notes"})["result"]
    done = world.run("down")
    assert (done.returncode, done.stdout) == (0, "Stopped.\n")
    assert world.owners() == []
    assert [line["message"] for line in world.log()][-1] == "stopped"  # not cut off by its watcher
    wait_for(lambda: not any(map(alive, pids)))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, snapshots: Path) -> Iterator[World]:
    """With a server in the background, for the tests that leave it as it is."""
    with World(tmp_path_factory.mktemp("started"), snapshots) as world:
        world.up("--root", ROOT)
        yield world


def test_what_up_writes_is_its_owners_alone(started: World) -> None:
    """The data directory was readable by everybody, and so was what the server said last."""
    for path in [started.data, *started.data.rglob("*")]:
        expected = 0o700 if path.is_dir() else 0o600
        assert (path, path.stat().st_mode & 0o777) == (path, expected)


def test_up_twice_is_one_server(started: World) -> None:
    done = started.run("up", "--root", ROOT)
    running = f"Already running on http://127.0.0.1:{started.owner()['port']}. Here it serves the "
    assert (done.returncode, done.stdout.startswith(running)) == (0, True)
    assert len(started.owners()) == 2


def test_up_replaces_a_server_whose_program_was_changed(world: World, tmp_path: Path) -> None:
    """After an upgrade the old code went on running, and nothing said so."""
    code = copy_package(tmp_path / "code") / "orchestr8_index"
    watcher = code / "daemon" / "watcher.py"
    text = watcher.read_text()
    watcher.write_text(text.replace("LOOK_SECONDS = 0.05, 2.0", "LOOK_SECONDS = 0.05, 0.0"))
    world.env["PYTHONPATH"] = str(code.parent)
    world.up("--root", ROOT)
    first = world.owner()["pid"]
    assert "! The program was" not in world.run("status").stdout
    (code / "views.py").write_text((code / "views.py").read_text() + "\n")
    assert "! The program was changed after this start: restart" in world.run("status").stdout
    done = world.run("up", "--root", ROOT)
    assert "was ended: its program was changed." in done.stderr and "Serving 24" in done.stdout
    assert world.owner()["pid"] != first and "degraded" not in world.run("status").stdout


def test_two_that_start_at_once_are_one_server(world: World) -> None:
    both = [world.start("up", "--root", ROOT) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert len(world.owners()) == 2


def test_a_failing_start_is_1_and_leaves_nothing(world: World) -> None:
    world.data.mkdir(mode=0o700)
    (world.data / "snapshots").write_text("in the way")
    done = world.run("up", "--root", ROOT)
    assert (done.returncode, done.stdout) == (1, "")
    assert "The index could not be built" in done.stderr
    assert "Nothing was left running." in done.stderr
    assert world.owners() == []


def test_a_taken_port_is_1_and_leaves_nothing(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = world.run("up", "--root", ROOT, "--port", port)
    assert done.returncode == 1
    assert f"Port {port} is taken by " in done.stderr
    assert "Choose another port with --port" in done.stderr
    wait_for(lambda: world.owners() == [])


def test_a_port_of_another_server_of_ours_is_1(started: World) -> None:
    port, other = str(started.owner()["port"]), str(started.data.with_name("other"))
    done = started.run("up", "--root", ROOT, "--port", port, "--data-dir", other)
    assert (done.returncode, "another data directory" in done.stderr) == (1, True)


def test_a_killed_server_comes_back(world: World) -> None:
    world.up("--root", ROOT)
    first = world.owner()["pid"]
    os.kill(first, signal.SIGKILL)
    second = wait_for(lambda: _other_than(world, first))
    assert wait_for(lambda: get_health(second["port"]))["generation"] == 1
    (told,) = [line for line in world.log() if line["logger"] == "orchestr8.watch"]
    assert "status -9" in told["message"]


def _other_than(world: World, pid: int) -> dict[str, int] | None:
    owner = world.owner()
    return owner if owner.get("pid") not in (None, pid) else None


def _watcher(world: World) -> int | None:
    return (PidFile(world.data / "mcp.watch").owner() or {}).get("pid")


def test_a_killed_watcher_is_told_and_down_and_up_mend_it(world: World) -> None:
    world.up("--root", ROOT)
    server, watcher = world.owner()["pid"], _watcher(world)
    assert watcher
    os.kill(watcher, signal.SIGKILL)
    wait_for(lambda: "its watcher was ended" in world.run("status").stdout)
    assert world.owner()["pid"] == server
    assert world.run("down").stdout == "Stopped.\n"
    world.up("--root", ROOT)
    assert _watcher(world) not in (None, watcher)
    assert "degraded" not in world.run("status").stdout


def test_without_auto_restart_a_killed_server_stays_away(world: World) -> None:
    world.up("--root", ROOT, **UNWATCHED)
    (owner,) = world.owners()
    os.kill(owner["pid"], signal.SIGKILL)
    wait_for(lambda: world.owners() == [])


def test_a_killed_server_that_rests_can_be_stopped(world: World) -> None:
    world.up("--root", ROOT)
    pid = world.owner()["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid))
    assert world.run("down").returncode == 0
    assert world.owners() == []


def test_a_server_that_is_told_to_end_stays_away(world: World) -> None:
    world.up("--root", ROOT)
    os.kill(world.owner()["pid"], signal.SIGTERM)
    wait_for(lambda: world.owners() == [])


def test_status_tells_of_it(started: World) -> None:
    told, port = json.loads(started.run("status", "--json").stdout), started.owner()["port"]
    assert (told["status"], told["port"], told["roots"]) == ("healthy", port, [ROOT])


def test_it_does_not_hold_its_starters_terminal(started: World) -> None:
    """`up | cat` would never end."""
    watcher = started.owners()[0]["pid"]
    assert os.getsid(watcher) == watcher != os.getsid(0)


@pytest.mark.parametrize("command", ["reindex", "doctor"])
def test_other_commands_find_it_from_anywhere(started: World, command: str) -> None:
    done = started.run(command)
    assert done.returncode == 0, done.stderr


def test_two_that_start_at_once_on_one_port_are_one_server(world: World) -> None:
    """The second one called the first a server with another data directory."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    several = [world.start("up", "--root", ROOT, "--port", port) for _ in range(2)]
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in several]
    assert [status for _, status in ended] == [0, 0], ended
    assert len(world.owners()) == 2


def test_up_finds_its_server_though_the_lock_was_removed(world: World) -> None:
    port = world.up("--root", ROOT, **UNWATCHED)
    pid = world.owner()["pid"]
    (world.data / "mcp.pid").unlink()
    done = world.run("up", "--root", ROOT, "--port", str(port), **UNWATCHED)
    assert (done.returncode, f"127.0.0.1:{port}" in done.stdout) == (0, True)
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not alive(pid))


def test_a_service_manager_is_told_when_it_serves_and_when_it_stops(
    world: World, tmp_path: Path
) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(20)
        server = world.start("serve", "--root", ROOT, NOTIFY_SOCKET=address)
        assert manager.recv(1024) == b"READY=1\nSTATUS=Serving."
        assert get_health(world.owner()["port"])
        server.terminate()
        assert manager.recv(1024) == b"STOPPING=1"
        assert server.wait(20) == 0


@pytest.mark.parametrize("name", ["mcp.watch", "logs/serve.stderr", "logs/mcp.log"])
def test_up_writes_to_nobody_elses_file(world: World, name: str) -> None:
    victim = world.home / "victim"
    victim.write_text("kept")
    (world.data / name).parent.mkdir(parents=True)
    (world.data / name).symlink_to(victim)
    done = world.run("up", "--root", ROOT)
    assert done.returncode == 1 and "is a link" in done.stderr and "Traceback" not in done.stderr
    assert victim.read_text() == "kept"


@pytest.mark.parametrize("command", [["key", "add", "x"], ["serve"], ["reindex"]])
def test_no_command_uses_a_data_directory_that_everybody_can_write(
    world: World, command: list[str]
) -> None:
    world.data.mkdir()
    world.data.chmod(0o777)
    done = world.run(*command)
    assert done.returncode == 1 and "Error: " in done.stderr and "Traceback" not in done.stderr
    assert list(world.data.iterdir()) == []
