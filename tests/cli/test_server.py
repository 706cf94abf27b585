"""up, down, status and reindex, where no process needs to be started."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestr8_index import app
from orchestr8_index.cli import asking
from orchestr8_index.cli import server as server_commands
from orchestr8_index.config import Settings
from orchestr8_index.daemon import http, locate, supervise
from orchestr8_index.daemon.locate import Address
from orchestr8_index.errors import StartFailed

from ..processes import Running, World
from ..trees import MakeTree, agent
from .conftest import ROOT, Run

COUNTS = {"agents": 1, "skills": 0, "workflows": 1}


@pytest.fixture
def tree(make_tree: MakeTree) -> str:
    return str(make_tree({"agents/one.md": agent("one"), "commands/go.md": "Go."}))


# --- status ------------------------------------------------------------------------------------


def test_not_running_is_3(run: Run) -> None:
    said = run("status")
    assert (said.status, said.out) == (3, "Not running.\n")


def test_not_running_as_json_is_3(run: Run) -> None:
    said = run("status", "--json")
    assert (said.status, said.json) == (3, {"status": "not running"})


def test_a_running_server_is_described(
    run: Run, tmp_path: Path, snapshots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of its own: to another, other tests may have sent what makes it degraded."""
    with World(tmp_path / "own", snapshots) as world:
        server = world.serve("--root", ROOT)
        monkeypatch.setenv("MCP_DATA_DIR", str(world.data))
        said, told = run("status"), run("status", "--json").json
    where = f"healthy on http://127.0.0.1:{server.port}, process {server.process.pid}"
    assert said.status == 0 and where in said.out
    assert "24 agents, 8 skills, 8 workflows" in said.out and ROOT in said.out
    expected = ("healthy", server.port, server.process.pid, [ROOT])
    assert (told["status"], told["port"], told["pid"], told["roots"]) == expected


def test_the_roots_told_are_those_of_the_project_that_answers(
    online: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = online("status", "--json").json
    monkeypatch.setattr(asking, "get_health", lambda where: {**here, "roots_digest": "another"})
    monkeypatch.setattr(
        "orchestr8_index.daemon.pidfile.PidFile.owner", lambda self: {**here, "roots": ["/first"]}
    )
    assert online("status", "--json").json["roots"] == ["/first"]
    monkeypatch.setattr(asking, "get_health", lambda where: here)
    assert online("status", "--json").json["roots"] == [ROOT]


def test_the_folder_of_the_removed_tune_is_named(run: Run, tmp_path: Path) -> None:
    (folder := tmp_path / "data" / "tuned").mkdir(parents=True)
    said = run("status", "--json")
    assert (said.status, said.json) == (3, {"status": "not running"})
    assert f"{folder} is no longer read" in said.err


# --- up and down -------------------------------------------------------------------------------


def test_down_with_nothing_running_is_done(run: Run) -> None:
    said = run("down")
    assert (said.status, said.out) == (0, "Nothing is running.\n")


def test_down_says_when_it_had_to_kill(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "stop", lambda settings: "killed")
    assert "was killed" in run("down").out


def test_up_where_one_runs_is_done(online: Run, server: Running) -> None:
    said = online("up")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(f"Already running on http://127.0.0.1:{server.port}. Here it serves")


def test_up_over_other_roots_has_them_served_as_a_project(online: Run, tree: str) -> None:
    said = online("up", "--root", tree)
    assert "Here it serves the project tree: 1 agent, 0 skills, 1 workflow." in said.out
    assert "project tree" in online("query", "review", "--root", tree).err
    listed = online("projects", "--json").json["projects"]
    assert {each["name"]: each["roots"] for each in listed}["tree"] == [tree]


def test_up_over_the_same_roots_says_no_more(online: Run) -> None:
    assert online("up", "--root", ROOT).err == ""


def test_up_says_what_it_serves(run: Run, tree: str, monkeypatch: pytest.MonkeyPatch) -> None:
    health = {"status": "healthy", "indexes": COUNTS, "files": {"skipped": 2}}
    monkeypatch.setattr(supervise, "start", lambda settings, bar: health)
    said = run("up", "--root", tree, "--port", "4711")
    left_out = "Files left out: 2; `orchestr8-index doctor` says why."
    assert said.err == f"Starting over {tree} (--root).\n{left_out}\n"
    assert said.out == "Serving 1 agent, 0 skills, 1 workflow on http://127.0.0.1:4711.\n"


def test_a_failed_start_is_a_sentence(run: Run, tree: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise StartFailed("It did not start.", "Try again.")

    monkeypatch.setattr(supervise, "start", fail)
    said = run("up", "--root", tree)
    assert (said.status, said.err.splitlines()[-1]) == (1, "Error: It did not start. Try again.")


# --- serve -------------------------------------------------------------------------------------


def test_serve_hands_the_settings_down(
    run: Run, tree: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Settings] = []
    monkeypatch.setattr(app, "run_server", lambda settings, told: given.append(settings))
    assert run("serve", "--root", tree, "--port", "0").status == 0
    assert (given[0].roots, given[0].port) == ((tree,), 0)


# --- reindex -----------------------------------------------------------------------------------


def test_without_a_server_the_next_start_serves_it(run: Run, tree: str) -> None:
    said = run("reindex", "--root", tree)
    assert said.out.startswith("Generation 1: 1 agent, 0 skills, 1 workflow, in ")
    assert said.out.endswith(f"No server runs; the next start over {tree} serves it.\n")


def test_a_reindex_builds_though_nothing_changed(run: Run, tree: str) -> None:
    run("reindex", "--root", tree)
    told = run("reindex", "--root", tree, "--json").json
    assert (told["success"], told["generation"]) == (True, 2)
    assert {name: told[name] for name in COUNTS} == COUNTS
    assert isinstance(told["duration_ms"], int)


def test_with_a_server_the_server_builds(online: Run, server: Running) -> None:
    before = server.health["generation"]
    told = online("reindex", "--json").json
    assert (told["success"], told["generation"]) == (True, before + 1)
    assert online("reindex").out.startswith(f"Generation {before + 2}: 24 agents")


def test_on_a_terminal_a_reindex_says_that_the_server_is_at_it(
    online: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 20,000 files nothing was said for a minute."""
    assert online("reindex").err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "reads its trees anew" in online("reindex").err


@pytest.mark.parametrize(
    ("told", "sentence"),
    [({"success": False, "message": "No space."}, "No space."), (None, "No answer.")],
)
def test_a_reindex_that_fails_in_the_server_is_told(
    online: Run, monkeypatch: pytest.MonkeyPatch, told: object, sentence: str
) -> None:
    response = http.HttpResponse(500, msgspec.json.encode(told) if told else b"<html>")
    monkeypatch.setattr(http.HttpClient, "send", lambda *_: response)
    said = online("reindex")
    assert (said.status, said.err) == (1, f"Error: {sentence}\n")


def test_a_server_that_breaks_off_is_a_sentence(
    online: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a traceback."""

    def broken(*_: Any, **__: Any) -> None:
        raise http.NoAnswer("it does not answer")

    monkeypatch.setattr(http.HttpClient, "send", broken)
    said = online("reindex")
    assert (said.status, "broke off: it does not answer" in said.err) == (1, True)


def test_what_is_written_is_its_owners_alone(run: Run, tree: str, tmp_path: Path) -> None:
    """The data directory that `up` made was readable by everybody."""
    run("reindex", "--root", tree)
    assert os.stat(tmp_path / "data").st_mode & 0o777 == 0o700


def test_down_leaves_a_server_on_another_port_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # it stopped the server of the data directory, whatever port was named
    monkeypatch.setattr(supervise, "running_port", lambda settings: 3700)
    monkeypatch.setattr(supervise, "stop", lambda settings: pytest.fail("stopped"))
    said = run("down", "--port", "3790")
    assert said.out == "Nothing of this data directory runs on 3790 (but on 3700).\n"


@pytest.mark.parametrize(("options", "port"), [((), 3700), (("--port", "3790"), 3790)])
def test_a_port_named_on_purpose_is_the_one_asked(
    run: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], port: int
) -> None:
    asked: list[Address] = []
    monkeypatch.setattr(locate, "owner_address", lambda data_dir, key: Address(3700))
    monkeypatch.setattr(server_commands, "health_of", asked.append)
    assert run("status", *options).status == 3
    assert [address.port for address in asked] == [port]


# --- the last server's roots -------------------------------------------------------------------


def left(data_dir: Path, *roots: object) -> None:
    data_dir.mkdir()
    (data_dir / "mcp.pid").write_bytes(msgspec.json.encode({"pid": 1, "roots": roots}))


@pytest.mark.parametrize("roots", [["/gone"], [3, None], []])
def test_without_one_that_is_still_there_they_are_nothing(
    run: Run, tmp_path: Path, roots: list[object]
) -> None:
    left(tmp_path / "data", *roots)
    assert "the next start over" in run("reindex").out


def test_a_reindex_without_a_server_is_of_the_last_roots(
    run: Run, tree: str, tmp_path: Path
) -> None:
    """It built whatever was found in the current folder, and the next start built again."""
    left(tmp_path / "data", tree)
    assert f"the next start over {tree} serves it" in run("reindex").out
    assert "24 agents" in run("reindex", "--root", ROOT).out


# --- a server that holds the directory ---------------------------------------------------------


def test_up_does_not_attach_to_a_server_that_does_not_answer(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "ATTACH_SECONDS", 0.0)
    monkeypatch.setattr(supervise, "running_address", lambda settings: Address(4711))
    monkeypatch.setattr(supervise, "get_health", lambda port: None)
    said = run("up")
    assert (said.status, "does not answer. End it with" in said.err) == (1, True)


def test_up_waits_for_a_server_that_is_starting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[Settings] = []
    monkeypatch.setattr(supervise, "running_address", lambda settings: Address(4711))
    monkeypatch.setattr(supervise, "answering", lambda settings: {"status": "starting"})
    monkeypatch.setattr(
        supervise, "wait_until_served", lambda settings, bar: waited.append(settings)
    )
    assert run("up").out == "Already running on http://127.0.0.1:4711.\n"
    assert len(waited) == 1


def test_a_variable_that_nobody_reads_is_told_with_the_nearest(
    online: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_LOG_LEVLE", "debug")
    said = online("up")
    assert "MCP_LOG_LEVLE is not a setting and changes nothing. Did you mean MCP_LOG_LEVEL?" in (
        said.err
    )
    assert online("status").err == ""
