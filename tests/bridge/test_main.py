"""Does the bridge come and go as a host expects, start the server, and stay small?"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest

from orchestr8_index import __version__
from orchestr8_index.bridge.main import read_options
from orchestr8_index.daemon.http import get_health

from ..processes import World, wait_for
from .conftest import Bridge
from .standin import StandIn


def test_the_end_of_stdin_ends_the_session_and_the_process(bridge: Bridge, server: StandIn) -> None:
    bridge.shake_hands()
    assert bridge.close() == 0
    assert server.count("DELETE") == 1


def test_what_was_asked_before_the_end_is_answered(bridge: Bridge, server: StandIn) -> None:
    bridge.shake_hands().send({"jsonrpc": "2.0", "id": 1, "method": "slow"})
    wait_for(lambda: server.count("POST", "slow"))
    bridge.end_input()
    server.released.set()
    assert bridge.process.wait(30) == 0
    assert bridge.find(id=1)["result"] == {}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_without_a_traceback(
    number: int, status: int, bridge: Bridge, server: StandIn
) -> None:
    bridge.shake_hands()
    bridge.process.send_signal(number)
    assert bridge.process.wait(30) == status
    assert bridge.process.stderr and bridge.process.stderr.read() == ""
    assert server.count("DELETE") == 1


def test_it_needs_the_standard_library_only() -> None:
    code = "import sys, orchestr8_index.bridge.main as m; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    known = {*sys.stdlib_module_names, "orchestr8_index", "__main__"}
    plain = [sys.executable, "-c", "import sys; print(*sys.modules)"]
    site = subprocess.run(plain, capture_output=True, text=True, check=True).stdout.split()
    assert loaded - known - {name.split(".")[0] for name in site} == set()
    assert not {"http.client", "ssl", "argparse"} & set(done.stdout.split())


def test_the_command_line_is_not_loaded_for_it(world: World, server: StandIn) -> None:
    (world.work / "click.py").write_text("raise SystemExit('click was loaded')")
    path = f"{world.work}:{world.env['PYTHONPATH']}"
    process = world.start("mcp", "--port", str(server.port), PYTHONPATH=path)
    assert Bridge(process).ask(0, "initialize")["result"]


def test_help_and_wrong_usage_are_those_of_the_command_line(world: World) -> None:
    said = world.run("mcp", "--help")
    assert (said.returncode, "--data-dir" in said.stdout) == (0, True)
    assert world.run("mcp", "--wrong").returncode == 2


def test_a_bad_setting_is_said(world: World) -> None:
    said = world.run("mcp", MCP_PORT="many")
    assert (said.returncode, said.stdout) == (2, "")
    assert "MCP_PORT=many" in said.stderr


def test_options_are_read_in_both_forms() -> None:
    read = read_options(["--port=1", "--root", "a", "--root=b", "--face=all", "--agent", "ada"])
    assert read and (read["--port"], read["--root"], read["--data-dir"]) == (["1"], ["a", "b"], [])
    assert (read["--face"], read["--agent"]) == (["all"], ["ada"])


@pytest.mark.parametrize(
    "bad",
    [
        ["-h"],
        ["--wrong"],
        ["--port"],
        ["--port", "65536"],
        ["--port", "²"],
        ["x"],
        ["--face", "x"],
        ["--agent", "a b"],
    ],
)
def test_bad_options_are_left_to_the_command_line(bad: list[str]) -> None:
    assert read_options(bad) is None


def test_it_starts_the_server_which_outlives_it(world: World) -> None:
    bridge = Bridge(world.start("mcp"))
    bridge.send({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}})
    bridge.find(id=1)
    assert bridge.close() == 0
    assert get_health(world.owner()["port"])


def test_up_and_the_bridge_replace_a_server_of_another_version(world: World) -> None:
    changed = world.work / "sitecustomize.py"
    changed.write_text("import orchestr8_index\norchestr8_index.__version__ = '0.0.9'\n")
    old = {"PYTHONPATH": f"{world.work}:{world.env['PYTHONPATH']}"}
    world.up()
    first = world.owner()["pid"]
    said = world.run("up", **old).stderr
    assert f"version {__version__} was ended: this is 0.0.9." in said
    second = world.owner()["pid"]
    bridge = Bridge(world.start("mcp"))
    assert bridge.ask(1, "initialize", protocolVersion="2025-11-25")
    assert bridge.close() == 0 and bridge.process.stderr
    assert f"version 0.0.9 was ended: this is {__version__}." in bridge.process.stderr.read()
    assert len({first, second, world.owner()["pid"]}) == 3


def test_two_bridges_start_one_server(world: World) -> None:
    both = [Bridge(world.start("mcp")) for _ in range(2)]
    for bridge in both:
        bridge.send({"jsonrpc": "2.0", "id": 1, "method": "ping"})
        bridge.find(id=1)
        assert bridge.close() == 0
    assert len(world.owners()) == 2  # one watcher, one server


def test_a_server_that_cannot_be_started_is_told_to_each_request(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        bridge = Bridge(world.start("mcp", "--port", str(taken.getsockname()[1])))
        error = bridge.ask(1, "initialize")["error"]
        assert "could not be started" in error["message"] and "taken" in error["message"]
        assert bridge.close() == 0
