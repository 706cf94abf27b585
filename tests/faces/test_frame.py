"""What every face is: a table over the core's methods, at its own address, paid by who asks it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestr8_index.environment import ADDRESSES, FACES
from orchestr8_index.methods import METHODS
from orchestr8_index.serve import faces
from orchestr8_index.serve.mcp.endpoint import FACES as PATHS

from ..processes import Running, World
from ..source import NAME, PACKAGE, imports, room
from .worker import Cache

FILES = sorted((PACKAGE / "faces").glob("*.py"))
MOST_LINES, MOST_FILES, LONGEST = 1_868, 10, 300  # as counted; the goal is 1,600 lines


def test_a_face_knows_the_cores_methods_and_nothing_else_of_it() -> None:
    """Words that say what is asked and what is refused; the methods themselves by their names."""
    known = {f"{NAME}.{word}" for word in ("errors", "sharing", "opening", "faces")}
    own = [each for each in imports() if room(each.source) == "faces"]
    strange = {
        each.target
        for each in own
        if each.target.startswith(NAME) and ".".join(each.target.split(".")[:2]) not in known
    }
    assert strange == set()
    foreign = {each.target.split(".")[0] for each in own} - set(sys.stdlib_module_names) - {NAME}
    assert foreign <= {"msgspec", "cachetools"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_face_calls_methods_of_the_table(file: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    core = [call for call in calls if ast.unparse(call.func) == "core.call"]
    named = {call.args[0].value for call in core if isinstance(call.args[0], ast.Constant)}
    assert named <= set(METHODS) and all(isinstance(c.args[0], ast.Constant) for c in core)


def test_a_face_is_small() -> None:
    sizes = {file.stem: len(file.read_text().splitlines()) for file in FILES}
    assert max(sizes.values()) <= LONGEST, sizes
    assert len(sizes) <= MOST_FILES and sum(sizes.values()) <= MOST_LINES


@pytest.mark.parametrize("name", FACES)
def test_a_face_has_an_address_and_tools_of_different_names(name: str) -> None:
    face = faces.load(name)
    names = [tool.name for tool in face.tools]
    assert len(set(names)) == len(names) and PATHS[f"/mcp/{name}"] == name and name in ADDRESSES
    for tool in face.tools:
        assert set(tool.needs) <= set(tool.fields) and tool.description.endswith(".")


def test_nobody_pays_for_a_face_that_nobody_asked() -> None:
    code = (
        "import sys, orchestr8_index.app, orchestr8_index.serve.server\n"
        "import orchestr8_index.serve.http\n"
        "print([name for name in sys.modules if name.startswith('orchestr8_index.faces')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# --- served, with keys -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, snapshots: Path) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("faces"), snapshots) as made:
        yield made


@pytest.fixture(scope="module")
def keys(world: World) -> dict[str, str]:
    made = {}
    for name, scope in (("guest", "read"), ("ada", "report"), ("boss", "admin")):
        told = world.run("key", "add", name, "--scope", scope, "--json")
        made[name] = json.loads(told.stdout)["key"]
    return made


@pytest.fixture(scope="module")
def server(world: World, keys: dict[str, str]) -> Running:
    return world.serve("--root", str(world.work), "--require-keys", MCP_RATE="0")


def test_who_a_caller_is_comes_from_its_key(server: Running, keys: dict[str, str]) -> None:
    with (
        Cache(server.port, "cli", keys["ada"], "context") as ada,
        Cache(server.port, "cli", keys["guest"], "context") as guest,
        Cache(server.port, "cli", keys["boss"], "context") as boss,
    ):
        ident = ada.call("create_session", purpose="p")["session_id"]
        said = {"session_id": ident, "content": "x"}
        assert ada.call("add_message", **said, sender="ada")["sender"] == "ada/cli"
        assert ada.call("add_message", **said, sender="boss")["code"] == "PERMISSION_DENIED"
        assert guest.call("add_message", **said)["code"] == "PERMISSION_DENIED"
        hidden = {**said, "content": "for admins", "visibility": "admin_only"}
        assert ada.call("add_message", **hidden)["code"] == "PERMISSION_DENIED"
        assert boss.call("add_message", **hidden)["success"]
        seen = [len(who.call("get_messages", session_id=ident)["messages"]) for who in (ada, boss)]
        assert seen == [1, 2]


def test_the_audit_is_read_by_admins_alone(server: Running, keys: dict[str, str]) -> None:
    with (
        Cache(server.port, "cli", keys["ada"], "context") as ada,
        Cache(server.port, "cli", keys["boss"], "context") as boss,
    ):
        ada.call("create_session", purpose="noted")
        (text,) = boss.ask("resources/read", {"uri": "audit://200"})["result"]["contents"]
        rows = json.loads(text["text"])["rows"]
        assert ("ada", "session", "ok") in {(r["who"], r["what"], r["outcome"]) for r in rows}
        refused = ada.ask("resources/read", {"uri": "audit://200"})["error"]
        assert refused["code"] == -32031


def test_without_a_key_there_is_no_face(server: Running) -> None:
    for face in FACES:
        with pytest.raises(KeyError, match="result"):
            Cache(server.port, "cli", face=face).__enter__()
