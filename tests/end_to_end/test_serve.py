"""The server as a process: it answers, ends well, and shares its place with nobody."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.config import fixture_root
from orchestr8_index.daemon.http import request

from ..processes import Running, World, call, refused, wait_for

ROOT = str(fixture_root())
BODY = b'{"jsonrpc":"2.0","id":1,"method":"querySkills","params":{"context":"release notes"}}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, snapshots: Path) -> Iterator[Running]:
    """For the tests that leave it as it is."""
    with World(tmp_path_factory.mktemp("server"), snapshots) as world:
        yield world.serve("--root", ROOT)


def test_it_serves_the_last_snapshot(server: Running) -> None:
    told = call(server.port, "querySkills", {"context": "write release notes"})["result"]
    assert told["skills"][0]["name"] == "release-notes"
    health = server.checked().health
    assert (health["generation"], health["indexes"]["agents"]) == (1, 24)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_final_metrics(world: World, number: int) -> None:
    server = world.serve("--root", ROOT)
    call(server.port, "querySkills", {"context": "write release notes"})
    assert server.stop(number) == 0
    assert world.owners() == []
    (told,) = [line for line in world.log() if line["message"] == "final metrics"]
    assert told["metrics"]["queries"] == {"total": 1, "by_method": {"querySkills": 1}}


@pytest.fixture
def half_sent(world: World) -> Iterator[tuple[Any, socket.socket]]:
    """A server, and a connection whose request it has begun to read."""
    server = world.serve("--root", ROOT)
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(BODY)}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sending:
        sending.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert b"100 Continue" in sending.recv(1024)
        yield server, sending


def test_a_request_that_runs_is_answered_before_the_end(
    half_sent: tuple[Any, socket.socket],
) -> None:
    server, sending = half_sent
    server.process.terminate()
    wait_for(lambda: refused(server.port))
    sending.sendall(BODY)
    answer = http.client.HTTPResponse(sending)
    answer.begin()
    assert (answer.status, b'"result"' in answer.read()) == (200, True)
    assert server.process.wait(timeout=20) == 0


def test_a_second_server_on_the_data_directory_is_refused(server: Running) -> None:
    second = server.world.run("serve", "--root", ROOT)
    assert (second.returncode, second.stdout) == (1, "")
    assert f"process {server.process.pid} on port {server.port}" in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1
    assert server.health["status"] == "healthy"


def test_a_taken_port_is_named_with_the_option(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = world.run("serve", "--root", ROOT, "--port", port)
    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr and "--port" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_only_this_machine_reaches_it(server: Running) -> None:
    status, _ = request(server.port, "GET", "/health")
    listening = Path("/proc/net/tcp").read_text() if sys.platform == "linux" else ""
    assert status == 200
    assert f"00000000:{server.port:04X}" not in listening


def test_a_reindex_serves_what_is_new(world: World, tmp_path: Path) -> None:
    (tmp_path / "tree" / "skills").mkdir(parents=True)
    server = world.serve("--root", str(tmp_path / "tree"))
    (tmp_path / "tree" / "skills" / "new.md").write_text("# Brew tea\n\nHow to brew tea.")
    status, told = request(server.port, "POST", "/reindex")
    assert (status, told["generation"], told["skills"]) == (200, 2, 1)
    found = call(server.port, "querySkills", {"context": "brew tea"})["result"]["skills"]
    assert [row["name"] for row in found] == ["new"]


def test_a_failed_reindex_keeps_the_old_generation(world: World) -> None:
    server = world.serve("--root", ROOT).checked()
    snapshots = world.data / "snapshots"
    snapshots.rename(world.data / "moved")
    snapshots.write_text("in the way")
    status, told = request(server.port, "POST", "/reindex")
    assert (status, told["success"], told["generation"]) == (500, False, 1)
    assert server.health["status"] == "degraded" and server.health["reasons"]
    assert "result" in call(server.port, "querySkills", {"context": "release notes"})


def test_a_server_that_cannot_build_says_starting_and_why(world: World) -> None:
    world.data.mkdir(mode=0o700)
    (world.data / "snapshots").write_text("in the way")
    world.start("serve", "--root", ROOT)
    port = wait_for(lambda: world.owner().get("port"))
    told = wait_for(lambda: _with_reasons(port))
    assert (told["status"], told["generation"]) == ("starting", 0)
    answer = call(port, "querySkills", {"context": "release notes"})
    assert answer["error"]["code"] == -32001


def _with_reasons(port: int) -> dict[str, Any] | None:
    status, told = request(port, "GET", "/health")
    assert status == 503
    return told if told["reasons"] else None


ASK = """
import asyncio, sys
from pathlib import Path
from tests.serve.asking import ask, call, settings_of, state_of
from orchestr8_index.catalog.worker import Builder
from orchestr8_index.serve.http import make_web
settings = settings_of(Path(sys.argv[1]), Path(sys.argv[2]))
state = state_of(settings, None, Builder(settings))
app = make_web(state)
assert ask(app, "POST", "/reindex").json()["success"]
assert call(state, "queryAgents", role="reviewer", context="review this change")["result"]
assert call(state, "querySkills", context="write release notes")["result"]
assert call(state, "queryWorkflows", goal="ship a feature")["result"]
assert ask(app, "GET", "/metrics?format=prometheus").status_code == 200
print(sorted({"numpy", "scipy", "sklearn", "yaml"} & set(sys.modules)))
"""


def test_a_small_catalogue_needs_no_numpy(world: World) -> None:
    repository = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(world.data), ROOT],
        env={**world.env, "PYTHONPATH": str(repository)},
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_the_running_server_has_not_loaded_numpy(server: Running) -> None:
    call(server.port, "querySkills", {"context": "write release notes"})
    mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "msgspec" in mapped
    assert not [name for name in ("/numpy/", "/scipy/", "/sklearn/") if name in mapped]
