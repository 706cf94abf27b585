"""Do the recipes of docs/recipes.md work? Their code runs here, against a real server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import orchestr8_index
from orchestr8_index import Orchestrator
from orchestr8_index.config import DEFAULT_PORT, REPOSITORY, fixture_root

from .processes import World

PAGE = (REPOSITORY / "docs" / "recipes.md").read_text("utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(heading: str, language: str) -> list[str]:
    """The fenced code of a language under a heading."""
    _, _, after = PAGE.partition(f"\n## {heading}\n")
    assert after, f"there is no heading {heading}"
    return [code for kind, code in FENCE.findall(after.partition("\n## ")[0]) if kind == language]


@pytest.fixture
def port(world: World) -> int:
    return world.serve("--root", str(fixture_root())).port


def run(world: World, port: int, *command: str, code: str) -> str:
    code = code.replace(str(DEFAULT_PORT), str(port))
    env = {**world.env, "MCP_PORT": str(port), "OTEL_SDK_DISABLED": "true"}
    done = subprocess.run(
        [*command, code], env=env, capture_output=True, text=True, timeout=60, cwd=world.work
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def learned(world: World) -> dict[str, int]:
    """The wins of each entry."""
    told = json.loads(world.run("learned", "--json").stdout)
    return {row["entry"]: row["wins"] for row in told["entries"]}


def test_curl(world: World, port: int) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    who, how, health = (run(world, port, "bash", "-c", code=c) for c in blocks("curl", "bash"))
    assert len(json.loads(who)["result"]["agents"]) == 2
    assert json.loads(how)["result"]["receipt"]["unknown"] == []
    assert health == ""


def test_plain_python(world: World, port: int) -> None:
    said = run(world, port, sys.executable, "-c", code="\n".join(blocks("Plain Python", "python")))
    assert said.startswith("data-desk:pipeline-builder (0.")
    assert learned(world) == {"data-desk:pipeline-builder": 1}


@pytest.mark.skipif(not hasattr(orchestr8_index, "Orchestrator"), reason="there is no client")
def test_the_client(world: World, port: int) -> None:
    (code,) = blocks("The client", "python")
    assert "data-desk pipeline-builder" in run(world, port, sys.executable, "-c", code=code)
    assert learned(world) == {"data-desk:pipeline-builder": 1}


@pytest.mark.parametrize(("heading", "library"), [("LangGraph", "langgraph"), ("CrewAI", "crewai")])
def test_a_framework(world: World, port: int, heading: str, library: str) -> None:
    """Where the library is installed; scripts/try-recipes installs it for RECIPES_PYTHON."""
    python = python_with(library)
    code = blocks("Plain Python", "python")[0] + "\n" + blocks(heading, "python")[0]
    assert "pipeline-builder" in run(world, port, python, "-c", code=code)
    assert learned(world) == ({"data-desk:pipeline-builder": 1} if library == "langgraph" else {})


def python_with(library: str) -> str:
    """The interpreter that has the library; else the test is skipped."""
    python = os.environ.get("RECIPES_PYTHON", sys.executable)
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{library}') is None)"
    if subprocess.run([python, "-c", look]).returncode:
        pytest.skip(f"{library} is not installed")
    return python


def test_langgraphs_store(world: World, port: int) -> None:
    python, cases = python_with("langgraph"), Path(__file__).with_name("langgraph_cases.py")
    (code,) = blocks("LangGraph's store", "python")
    assert len(code.splitlines()) <= 120
    code = code.replace("Orchestrator()", f'Orchestrator("http://127.0.0.1:{port}")')
    said = run(world, port, python, "-c", code=f"{code}\n{cases.read_text('utf-8')}")
    assert said.splitlines() == ["plums", "25 cases hold"]


def test_a_crew_on_shared_files(world: World) -> None:
    python = python_with("crewai")
    port = world.serve("--root", str(fixture_root()), "--workspace", str(world.work)).port
    said = run(world, port, python, "-c", code=blocks("CrewAI", "python")[1])
    assert said == "Held while it is written.\n"
    assert (Path(world.work) / "task-42/notes.md").read_text() == said.strip()


@pytest.mark.parametrize("heading", ["Claude Code", "Codex", "Cursor"])
def test_a_hosts_recipe_names_the_servers_address(heading: str) -> None:
    text = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert f"http://127.0.0.1:{DEFAULT_PORT}/mcp" in text


def test_cursors_entry_is_json() -> None:
    (entry,) = blocks("Cursor", "json")
    assert json.loads(entry)["mcpServers"]["orchestr8"]["url"]


def test_agents_that_share_a_repository(world: World, port: int) -> None:
    """The ten lines of docs/coordinate.md, while nobody and while another holds the file."""
    page = (REPOSITORY / "docs" / "coordinate.md").read_text("utf-8")
    [code] = [code for kind, code in FENCE.findall(page) if kind == "python"]
    assert len(code.splitlines()) <= 10
    code = code.replace("wait=30", "wait=0.05").replace("wait=1)", "wait=0)")
    with Orchestrator(f"http://127.0.0.1:{port}", agent="bob", tree=world.work) as bob:
        run(world, port, sys.executable, "-c", code=code)
        assert bob.read_shared("task/42")["items"][0]["by"] == "coder"
        bob.send_message("coder", "Take the lexer, too.")
        with bob.lock("src/parser.py"):
            assert run(world, port, sys.executable, "-c", code=code) == "bob Take the lexer, too.\n"
        assert "I wait" in bob.read_inbox()["messages"][0]["body"]
