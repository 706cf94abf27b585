"""Who answers a question on the command line, and in which shape?"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from orchestr8_index.catalog.worker import Builder
from orchestr8_index.cli import asking
from orchestr8_index.daemon.http import HttpClient, HttpResponse, NoAnswer

from ..processes import Running, World
from ..trees import MakeTree, agent
from .conftest import ROOT, Run, in_a_child

TEXT = "write release notes"
RESULT = {"reasoning", "confidence", "cache_hit", "generation", "source"}


# --- who answers -------------------------------------------------------------------------------


def test_without_a_server_the_last_snapshot_answers(offline: Run) -> None:
    said = offline("query", TEXT, "--root", ROOT)
    assert (said.status, "studio:release-notes" in said.out) == (0, True)
    assert said.err == f"(no server asked; from the last snapshot over {ROOT}, --root)\n"


def test_without_a_snapshot_one_is_made(run: Run, make_tree: MakeTree) -> None:
    root = str(make_tree({"agents/one.md": agent("one", "Brews tea.")}))
    said = run("query", "tea", "--root", root)
    assert "tree:one" in said.out
    assert said.err == f"(no server asked; indexed on the spot over {root}, --root)\n"


def test_a_server_is_asked(online: Run, server: Running) -> None:
    said = online("query", TEXT)
    assert "studio:release-notes" in said.out
    where = f"http://127.0.0.1:{server.port}"
    assert said.err == f"(from the server on {where}, project plugins_fixture)\n"


def test_a_server_is_found_by_its_port(run: Run, server: Running) -> None:
    said = run("query", TEXT, "--port", str(server.port))
    assert said.err.startswith("(from the server on")


def test_a_server_of_these_roots_is_asked(online: Run) -> None:
    assert online("query", TEXT, "--root", ROOT).err.startswith("(from the server on")


def test_a_server_of_other_roots_is_not_asked(online: Run, make_tree: MakeTree) -> None:
    root = str(make_tree({"skills/tea.md": "# Release tea\n\nWrite release notes on tea."}))
    said = online("query", TEXT, "--root", root, "--kind", "skill")
    assert said.err.startswith("(no server asked; indexed on the spot")
    assert ("tree:tea" in said.out, "studio" in said.out) == (True, False)


def test_a_server_that_is_starting_is_not_asked(
    offline: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting = {"status": "starting", "generation": 0, "reasons": []}
    monkeypatch.setattr(asking, "get_health", lambda port: starting)
    said = offline("query", TEXT, "--root", ROOT, "--port", "4711")
    assert said.err.startswith("(no server of these roots answers on port 4711; ")


# --- shapes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["offline", "online"])
def test_without_a_kind_there_are_three_short_lists(
    asked: str, request: pytest.FixtureRequest
) -> None:
    told = request.getfixturevalue(asked)("query", TEXT, "--root", ROOT, "--json").json
    assert list(told) == ["agents", "skills", "workflows"]
    for name, result in told.items():
        assert RESULT | {name} <= set(result)
        assert len(result[name]) <= 3


def test_one_kind_has_five_rows_at_most(offline: Run) -> None:
    told = offline("query", "data review", "--root", ROOT, "--kind", "agent", "--json").json
    assert list(told) == ["agents"]
    assert len(told["agents"]["agents"]) == 5


def test_the_limit_rules(offline: Run) -> None:
    told = offline("query", "data", "--root", ROOT, "--limit", "1", "--json").json
    assert [len(result[name]) for name, result in told.items()] == [1, 1, 1]


def test_with_and_without_a_server_the_rows_are_the_same(
    offline: Run, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = offline("query", TEXT, "--root", ROOT, "--kind", "agent", "--json").json
    there = offline("query", TEXT, "--port", str(server.port), "--kind", "agent", "--json").json
    assert here["agents"]["agents"] == there["agents"]["agents"]


def test_json_goes_alone_to_standard_output(offline: Run) -> None:
    said = offline("query", TEXT, "--root", ROOT, "--json")
    assert (said.err, said.out.count("\n")) == ("", 1)


def test_no_match_is_no_failure(offline: Run) -> None:
    said = offline("query", "qqqzzzxxx", "--root", ROOT)
    assert (said.status, said.out.count("none")) == (0, 3)


# --- what cannot be asked ----------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "x" * 501])
@pytest.mark.parametrize("asked", ["offline", "online"])
def test_a_text_that_cannot_be_asked_is_wrong_usage(
    asked: str, text: str, request: pytest.FixtureRequest
) -> None:
    """With a server it was a failure, 1, and without one wrong usage, 2."""
    said = request.getfixturevalue(asked)("query", text)
    assert (said.status, "TEXT cannot be asked: it must" in said.err) == (2, True)
    assert "`" not in said.err.splitlines()[-1]


@pytest.mark.parametrize("asked", ["offline", "online"])
def test_bytes_that_are_no_utf8_are_asked_all_the_same(
    asked: str, request: pytest.FixtureRequest
) -> None:
    """The request to the server could not be encoded, and the command crashed."""
    said = request.getfixturevalue(asked)("query", "release caf\udce9 notes", "--root", ROOT)
    assert (said.status, "studio:release-notes" in said.out) == (0, True)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--kind", "plugin"],
        ["--limit", "0"],
        ["--limit", "21"],
        ["--port", "70000"],
        ["--nonsense"],
        ["--root", "/nowhere/at/all"],
    ],
)
def test_wrong_usage_is_2(run: Run, wrong: list[str]) -> None:
    assert run("query", TEXT, *wrong).status == 2


def test_a_root_that_is_no_folder_is_named(run: Run) -> None:
    said = run("query", TEXT, "--root", "nowhere")
    assert said.err == "Error: --root nowhere is not a folder. Name a folder that exists.\n"


# --- a server that fails -----------------------------------------------------------------------


def test_a_server_that_breaks_off_is_a_sentence(
    online: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a traceback."""

    def broken(*_: Any) -> Any:
        raise NoAnswer("it broke the connection")

    monkeypatch.setattr(asking, "call", broken)
    said = online("query", TEXT)
    assert said.status == 1
    assert said.err.endswith("broke off: it broke the connection.\n")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [({"data": {"cure": "Ask later."}}, "No. Ask later."), ({}, "No.")],
)
def test_a_servers_error_is_told(
    online: Run, monkeypatch: pytest.MonkeyPatch, data: dict[str, Any], sentence: str
) -> None:
    reply = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "No.", **data}}
    response = HttpResponse(500, msgspec.json.encode(reply))
    monkeypatch.setattr(HttpClient, "send", lambda *_: response)
    monkeypatch.setattr(asking, "get_health", lambda _: {"status": "healthy"})
    said = online("query", TEXT)
    assert (said.status, said.err) == (1, f"Error: {sentence}\n")


def test_a_build_that_fails_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Builder, "run", in_a_child)
    monkeypatch.setenv("MCP_DATA_DIR", "/dev/null/data")
    said = run("query", TEXT, "--root", ROOT)
    assert said.status == 1
    assert said.err.startswith("Error: The index could not be built: Not a directory")


def test_elsewhere_the_last_servers_trees_are_meant(
    world: World, make_tree: MakeTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was stopped is not forgotten: its roots are asked, and not an example's."""
    root = str(make_tree({"agents/one.md": agent("one", "Brews tea.")}))
    world.serve("--root", root).stop()
    said = world.run("query", "tea")
    assert "tree:one" in said.stdout
    assert said.stderr.endswith(f"over {root}, the roots of the last server)\n")
    served = world.serve()
    assert served.health["indexes"]["agents"] == 1
