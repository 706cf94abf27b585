"""Who gets into a real server, what is left behind, and how does it stop?"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index import AsyncOrchestrator, Orchestrator
from orchestr8_index.bridge.server import ServerConnection
from orchestr8_index.config import fixture_root
from orchestr8_index.daemon.http import request
from orchestr8_index.daemon.locate import Address
from orchestr8_index.environment import ServerPlace
from orchestr8_index.serve.server import GRACE_SECONDS

from ..processes import Running, World, refused, wait_for

ROOT = ("--root", str(fixture_root()))
HERE = Path(__file__).parent
TLS = ("--tls-cert", str(HERE / "tls-cert.pem"), "--tls-key", str(HERE / "tls-key.pem"))


def key_of(world: World, scope: str, name: str = "ci") -> str:
    return world.run("key", "add", name, "--scope", scope).stdout.strip()


def status_with(server: Running, key: str, path: str = "/health") -> int:
    method = "POST" if path == "/reindex" else "GET"
    return request(Address(server.port, key=key), method, path)[0]


@pytest.mark.parametrize(
    ("command", "options"), [("serve", ("--host", "0.0.0.0")), ("up", ("--require-keys",))]
)
def test_without_a_key_nobody_is_let_in(
    world: World, command: str, options: tuple[str, ...]
) -> None:
    done = world.run(command, *ROOT, *options)
    assert done.returncode == 1
    assert "key add" in done.stderr and f"--data-dir {world.data}" in done.stderr
    assert f"leave out {options[0]}" in done.stderr


def test_keys_are_made_used_and_revoked_while_it_runs(world: World) -> None:
    key_of(world, "admin", "first")
    server = world.serve(*ROOT, "--require-keys")
    key = key_of(world, "read")
    wait_for(lambda: status_with(server, key) == 200, seconds=5)
    assert status_with(server, key, "/reindex") == 403
    assert status_with(server, "") == 401
    assert world.run("key", "revoke", "ci").returncode == 0
    wait_for(lambda: status_with(server, key) in (401, 429), seconds=5)


def test_the_command_line_of_the_same_user_needs_no_key(world: World) -> None:
    key_of(world, "read")
    world.up(*ROOT, "--require-keys")
    assert json.loads(world.run("status", "--json").stdout)["status"] == "healthy"
    assert "release-notes" in world.run("query", "write release notes").stdout
    assert world.run("reindex").returncode == 0
    wait_for(lambda: "POST /reindex" in world.run("audit").stdout)
    told = [json.loads(line) for line in world.run("audit", "--json").stdout.splitlines()]
    assert {"command line"} == {row["who"] for row in told if row["what"] == "querySkills"}
    assert world.run("backup").returncode == 0
    assert world.run("down").returncode == 0
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in world.data.rglob("*")}
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


def test_a_key_of_ones_own_is_shown_instead(world: World) -> None:
    key = key_of(world, "read")
    world.serve(*ROOT, "--require-keys")
    refused = world.run("reindex", MCP_API_KEY=key)
    assert refused.returncode == 1 and "needs the scope admin" in refused.stderr
    for command in (["status"], ["who"], ["query", "write release notes"], ["page", "--print"]):
        refused = world.run(*command, MCP_API_KEY="o8_bad")
        assert refused.returncode == 1 and "does not know this key" in refused.stderr


@pytest.mark.parametrize("options", [TLS, ("--require-keys",), (*TLS, "--require-keys")])
def test_commands_bridge_and_client_get_in_over_tls_and_with_keys(
    world: World, options: tuple[str, ...]
) -> None:
    key_of(world, "read")
    world.up(*ROOT, *options)
    scheme, port = "https" if TLS[0] in options else "http", world.owner()["port"]
    url = f"{scheme}://127.0.0.1:{port}"
    assert url in world.run("status").stdout
    assert world.run("page", "--print").stdout == f"{url}/\n"
    assert f"Already running on {url}" in world.run("up", *options).stdout
    assert "listening" in world.run("logs").stdout
    _the_bridge_gets_in(port, world.data)
    with Orchestrator(data_dir=world.data) as client:
        assert client.query_skills("write release notes").source == "index"
        assert client.health().status == "healthy"
    assert asyncio.run(_healthy(world.data)) == "healthy"
    if scheme == "https":
        with pytest.raises(OSError):
            request(port, "GET", "/health")


def _the_bridge_gets_in(port: int, data_dir: Path) -> None:
    connection = ServerConnection(ServerPlace(port, data_dir, False, True), []).connect()
    assert connection is not None
    for _ in range(2):
        reply = connection.ask("POST", [], b"{}")
        assert reply.read() and reply.status not in (401, 403, 421)
        assert connection.usable() is reply.reusable
    connection.close()


async def _healthy(data_dir: Path) -> str:
    async with AsyncOrchestrator(data_dir=data_dir) as client:
        return (await client.health()).status


def test_a_certificate_that_is_none_says_so(world: World) -> None:
    done = world.run("serve", *ROOT, "--tls-cert", "no.pem", "--tls-key", "no.pem")
    assert done.returncode == 1 and "no.pem: No such file" in done.stderr


def test_on_all_addresses_with_a_key_and_a_name(world: World) -> None:
    key_of(world, "read")
    server = world.serve(*ROOT, "--host", "0.0.0.0", "--allow-host", "tools.example")
    assert named(server, "tools.example") == 200
    assert named(server, "127.0.0.1:1") == 200
    assert named(server, "other.example") == 421


def named(server: Running, host: str) -> int:
    """The status for a caller that uses this name."""
    key = server.address.key
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        head = f"GET /health HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n"
        line.sendall(head.encode())
        return int(line.recv(65536).split()[1])


def test_a_second_ctrl_c_ends_it_at_once(world: World) -> None:
    server = world.serve(*ROOT)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
        line.sendall(head + b"Expect: 100-continue\r\n\r\n")
        assert b"100 Continue" in line.recv(1024)
        server.process.send_signal(signal.SIGINT)
        wait_for(lambda: refused(server.port))
        wait_for(lambda: told_again(server) is not None, seconds=GRACE_SECONDS - 1)
    assert server.process.returncode == 1
    assert world.owners() == []


def told_again(server: Running) -> int | None:
    server.process.send_signal(signal.SIGINT)
    return server.process.poll()


def test_the_audit_of_no_database_is_empty(world: World) -> None:
    done: Any = world.run("audit")
    assert (done.returncode, done.stdout) == (0, "")
