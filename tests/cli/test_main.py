"""How does a command end, whatever happens to it?"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import cast

import click
import pytest

from orchestr8_index import __version__
from orchestr8_index.changeable import POLICIES
from orchestr8_index.cli import COMMANDS as EVERY
from orchestr8_index.cli import cli
from orchestr8_index.config import REPOSITORY
from orchestr8_index.daemon import supervise
from orchestr8_index.errors import InternalError, OperationError
from orchestr8_index.team import start as team

from ..processes import World
from .conftest import ROOT, Run

# those whose commands have their own help
GROUPS = {"config", "database", "key", "project", "session", "shared"}
BELOW = [
    f"{group} {name}"
    for group in sorted(GROUPS - {"config"} | {"claims"})
    for name, each in cast(click.Group, cli.get_command(click.Context(cli), group)).commands.items()
    if not each.hidden and name not in POLICIES
]
COMMANDS = ["serve", "up", "down", "status", "query", "roles", "doctor", "reindex"]


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """`down` meets this error."""

    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(supervise, "stop", fail)


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_the_commands(run: Run, option: str) -> None:
    said = run(option)
    assert said.status == 0
    assert all(f"\n  {command} " in said.out for command in COMMANDS)


@pytest.mark.parametrize("command", [*sorted(EVERY.keys() - GROUPS - {"hook"}), *BELOW])
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    said = run(*command.split(), "--help")
    assert (said.status, f"orchestr8-index {command}" in said.out) == (0, True)
    assert "--data-dir" in said.out


@pytest.mark.parametrize("command", ["who", "locks", "shared get", "audit", "servers"])
def test_a_command_offers_no_option_that_it_has_no_use_for(run: Run, command: str) -> None:
    said = run(*command.split(), "--help").out
    assert not any(option in said for option in ("--root", "--host", "--tls-cert"))


def test_the_page_of_commands_has_those_that_help_lists() -> None:
    page = Path(REPOSITORY, "docs", "commands.md").read_text("utf-8")
    assert "## claims install" in page and "## claims check" not in page


def test_the_version_is_told(run: Run) -> None:
    assert __version__ in run("--version").out


@pytest.mark.parametrize("wrong", [["nonsense"], ["--nonsense"], ["status", "extra"], ["query"]])
def test_wrong_usage_is_2(run: Run, wrong: list[str]) -> None:
    said = run(*wrong)
    assert (said.status, said.err.startswith("Usage:")) == (2, True)


def test_a_misspelt_command_gets_the_near_one(run: Run) -> None:
    assert "No such command 'qurey'. Did you mean 'query'?" in run("qurey", "x").err


def test_a_setting_that_cannot_be_used_is_2(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_CACHE_TTL", "soon")
    said = run("status")
    assert (said.status, "MCP_CACHE_TTL=soon" in said.err) == (2, True)


LONG = "/" + "x" * 300
HOSTILE = [
    ("HOME", LONG, "too long"),
    ("HOME", "some/where", "no absolute path"),
    ("HOME", "", "no absolute path"),
    ("HOME", "/\udcff", "not a UTF-8 path"),
    ("MCP_DATA_DIR", "~nobody/x", "is no path here"),
    ("MCP_ROOTS", "~nobody/x", "is no path here"),
    ("MCP_WORKSPACE", "~no-such-user/x", "is no path here"),
    ("CODEX_HOME", "~nobody/x", "is no path here"),
    ("CLAUDE_CONFIG_DIR", "~nobody/x", "is no path here"),
    ("GEMINI_CLI_HOME", "~nobody/x", "is no path here"),
    ("XDG_CONFIG_HOME", "~nobody/x", "is no path here"),
    ("MCP_HOST", "\udcff", "cannot be used"),
    ("MCP_API_KEY", "a\nX-Other: b", "cannot be used"),
]


@pytest.mark.parametrize(("name", "value", "said"), HOSTILE)
@pytest.mark.parametrize("command", ["status", "query x"])
def test_an_environment_that_cannot_be_used_is_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    told = run(*command.split())
    assert told.status == 2 and said in told.err, told.err
    assert len(told.err.splitlines()) == 1


@pytest.mark.parametrize("command", ["connect claude", "mcp", "key list"])
@pytest.mark.parametrize("value", [LONG, "some/where", ""])
def test_a_home_that_is_none_is_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str, value: str
) -> None:
    monkeypatch.setenv("HOME", value)
    told = run(*command.split())
    assert told.status == 2 and told.err.startswith("Error: ") and told.err.count("\n") == 1


@pytest.mark.parametrize("command", ["status", "connect claude"])
def test_a_current_folder_that_was_removed_is_a_sentence(
    run: Run, tmp_path: Path, command: str
) -> None:
    (tmp_path / "work").rmdir()
    told = run(*command.split())
    assert told.status == 2 and "current folder is not there" in told.err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no device that is full")
@pytest.mark.parametrize(
    ("command", "status"),
    [("projects", 1), ("hook claude", 0), ("--help", 1), ("query --help", 1), ("--version", 1)],
)
def test_an_output_without_room_is_no_defect(world: World, command: str, status: int) -> None:
    told = shell(world, f"{command} </dev/null >/dev/full")
    assert told.returncode == status and b"Traceback" not in told.stderr
    assert (b"The output cannot be written" in told.stderr) == bool(status)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no device that is full")
@pytest.mark.parametrize("command", ["nonsense", "status --data-dir '~nobody/x'"])
def test_a_complaint_without_room_changes_no_exit_status(world: World, command: str) -> None:
    assert shell(world, f"{command} 2>/dev/full").returncode == 2


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["doctor", "hook claude", "key list"])
def test_streams_that_are_closed_are_no_defect(world: World, command: str, closed: str) -> None:
    """The next file that was opened had their numbers: what was said went there."""
    told = shell(world, f"{command} {closed}")
    assert told.returncode == 0, told
    assert b"Traceback" not in told.stderr


def shell(world: World, command: str) -> subprocess.CompletedProcess[bytes]:
    line = [f'exec "$0" -P -m orchestr8_index {command}', sys.executable]
    return subprocess.run(["sh", "-c", *line], env=world.env, capture_output=True, check=False)


@pytest.mark.parametrize(("is_new", "said"), [(True, "It has no tables yet"), (False, "lack 2")])
def test_a_database_without_tables_is_not_one_to_migrate(
    run: Run, monkeypatch: pytest.MonkeyPatch, is_new: bool, said: str
) -> None:
    found = team.DatabaseState("15.2", "o8", "o8", steps=2, is_new=is_new, durable=True)
    monkeypatch.setattr(team, "check", lambda *_: found)
    assert said in run("database", "check", "--database", "postgresql://o8@127.0.0.1:1/o8").out


def test_servers_of_no_team_is_a_sentence(run: Run) -> None:
    assert "No database is named" in run("servers").err


@pytest.mark.parametrize("command", ["servers", "audit", "usage"])
def test_what_is_of_a_team_names_what_is_missing(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "orchestr8_index.team.registry", raising=False)
    monkeypatch.setenv("MCP_DATABASE_URL", "postgresql://o8@127.0.0.1:1/o8")
    said = run(command)
    assert (said.status, "pip install 'orchestr8-index[team]'" in said.err) == (2, True)


@pytest.mark.parametrize(
    "error", [OperationError("No.", "Mend it."), InternalError("No.", "Mend it.")]
)
def test_a_failure_is_1_with_its_sentence(
    run: Run, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(error, monkeypatch)
    said = run("down")
    assert (said.status, said.err) == (1, "Error: No. Mend it.\n")


def test_an_interrupt_is_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(KeyboardInterrupt(), monkeypatch)
    assert run("down").status == 130


def test_a_defect_is_told_apart_from_a_failure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(ValueError("a defect"), monkeypatch)
    said = run("down")
    assert (said.status, "ValueError: a defect" in said.err) == (70, True)


# --- colours -----------------------------------------------------------------------------------


def seen_on_a_terminal(world: World, **environment: str) -> str:
    """What `status` shows there."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "orchestr8_index", "query", "data", "--root", ROOT]
    env = {k: v for k, v in world.env.items() if k != "NO_COLOR"} | {"TERM": "xterm"}
    with os.fdopen(controller, "rb"), os.fdopen(terminal, "wb") as shown:
        subprocess.run(command, env=env | environment, cwd=world.work, stdout=shown, stderr=shown)
        return os.read(controller, 65536).decode()


def test_a_terminal_gets_colours(world: World) -> None:
    assert "\x1b[" in seen_on_a_terminal(world)


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("NO_COLOR", ""), ("TERM", "dumb")])
def test_who_wants_no_colours_gets_none(world: World, name: str, value: str) -> None:
    assert "\x1b[3" not in seen_on_a_terminal(world, **{name: value})


# --- as a process ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [["status"], ["query", "data", "--root", ROOT], ["--help"], ["query", "--help"]]
)
def test_a_reader_that_has_seen_enough_is_no_failure(world: World, arguments: list[str]) -> None:
    """`… | head` ended with 1."""
    process = world.start(*arguments)
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert "Traceback" not in process.stderr.read() and "BrokenPipe" not in process.stderr.read()


def test_a_terminal_that_is_gone_is_no_failure(world: World) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "orchestr8_index", "query", "data", "--root", ROOT]
    with os.fdopen(writing, "wb") as gone:
        done = subprocess.run(command, env=world.env, cwd=world.work, stdout=gone, stderr=gone)
    assert done.returncode == 0
