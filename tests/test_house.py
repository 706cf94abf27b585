"""The numbers of the house do not grow, and a change touches few files: CONTRIBUTING.md is true."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from .house import measures
from .house.diffs import apply, copy_package, documented
from .processes import Running, World

METHOD, FIELD = "How to add a method", "How to add a field to a hit"

# --- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", measures.MOST)
def test_nothing_grows_past_what_is_written(name: str) -> None:
    measured = getattr(measures, name)()
    most = measures.MOST[name]
    count = measured if isinstance(measured, int) else len(measured)
    assert count <= most, f"{name}: {count} > {most}. {measured}"


@pytest.mark.parametrize("room", measures.OF_LATER)
def test_a_later_room_does_not_grow_either(room: str) -> None:
    lines, files = measures.size_of(room)
    most_lines, most_files = measures.OF_LATER[room]
    assert lines <= most_lines and files <= most_files, (lines, files)


def test_a_checkout_has_no_link_that_leads_out_of_it() -> None:
    """The pattern `.venv/` ignores a folder: a link of that name once came into every clone."""
    listed = subprocess.run(["git", "ls-files", "-s"], capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout of git")
    assert not [line for line in listed.stdout.splitlines() if line.startswith("120000")]


# --- places to touch ---------------------------------------------------------------------------


@pytest.mark.parametrize(("heading", "most"), [(METHOD, 4), (FIELD, 2)])
def test_a_change_touches_few_files(tmp_path: Path, heading: str, most: int) -> None:
    changed = apply(documented()[heading], copy_package(tmp_path))
    assert len(set(changed)) == len(changed) <= most


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with every change of CONTRIBUTING.md that adds to a face."""
    folder = copy_package(tmp_path_factory.mktemp("changed"))
    for heading in (METHOD, FIELD):
        apply(documented()[heading], folder)
    return folder


@pytest.fixture(scope="module")
def server(changed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with World(tmp_path_factory.mktemp("world")) as world:
        world.env["PYTHONPATH"] = str(changed)
        yield world.serve("--root", str(changed / "plugins_fixture"))


def post(server: Running, path: str, body: Any, **headers: str) -> Any:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"Content-Type": "application/json", **named}
        connection.request("POST", path, json.dumps(body), sent)
        return json.loads(connection.getresponse().read())["result"]


def by_json_rpc(server: Running) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": "getPlugin", "params": {"plugin": "studio"}}
    return post(server, "/", body)


def by_mcp(server: Running) -> Any:
    meta = {"protocolVersion": "2026-07-28", "clientCapabilities": {}}
    named = {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()}
    params = {"name": "get_plugin", "arguments": {"plugin": "studio"}, "_meta": named}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": "tools/call"}
    accept = {"Accept": "application/json, text/event-stream", "Mcp_Name": "get_plugin"}
    return post(server, "/mcp", body, **headers, **accept)["structuredContent"]


def by_python(server: Running, **given: Any) -> Any:
    """What the client answers in a process of its own, which loads the copy."""
    code = """
import json, sys, msgspec, orchestr8_index
with orchestr8_index.Orchestrator(**json.loads(sys.argv[1])) as client:
    print(msgspec.json.encode(client.get_plugin("studio")).decode())
"""
    command = [sys.executable, "-c", code, json.dumps(given)]
    env, folder = server.world.env, server.world.work
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def by_the_client(server: Running) -> Any:
    return by_python(server, data_dir=str(server.world.data))


def by_the_embedded_index(server: Running) -> Any:
    fixture = Path(server.world.env["PYTHONPATH"], "plugins_fixture")
    return by_python(server, embedded=True, roots=[str(fixture)])


def by_the_command_line(server: Running) -> Any:
    done = server.world.run("call", "get_plugin", "plugin=studio")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


FACES = [by_json_rpc, by_mcp, by_the_client, by_the_embedded_index, by_the_command_line]


@pytest.mark.parametrize("face", FACES)
def test_a_new_method_is_answered_on_every_face(server: Running, face: Any) -> None:
    result = face(server)
    assert "docs-writer" in result["agents"] and "release-notes" in result["skills"]


def test_a_new_method_is_in_the_openrpc_document(server: Running) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "rpc.discover"}
    assert "getPlugin" in [method["name"] for method in post(server, "/", body)["methods"]]


def test_a_new_field_of_a_hit_reaches_a_caller(server: Running) -> None:
    run = server.world.run("call", "query_agents", "context=write documentation", "limit=1")
    assert json.loads(run.stdout)["agents"][0]["file_name"].endswith(".md")
