"""Can a user enter the server in a host, see what is done, and take it out again?"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.config import read_settings
from orchestr8_index.daemon.pidfile import SERVER_NAME, PidFile
from orchestr8_index.hosts import jsonc

from .conftest import Run

PORT = ("--port", "3799")
FILES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "claude": (".mcp.json", "mcpServers", {"type": "http", "url": "U"}),
    "cursor": (".cursor/mcp.json", "mcpServers", {"url": "U"}),
    "vscode": (".vscode/mcp.json", "servers", {"type": "http", "url": "U"}),
    "gemini": (".gemini/settings.json", "mcpServers", {"httpUrl": "U"}),
    "opencode": ("opencode.json", "mcp", {"type": "remote", "url": "U", "enabled": True}),
    "copilot": (".github/mcp.json", "mcpServers", {"type": "http", "url": "U", "tools": ["*"]}),
}


@pytest.fixture(autouse=True)
def no_programs(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but what a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CODEX_HOME", raising=False)
    return folder


@pytest.mark.parametrize("host", FILES)
def test_each_host_gets_its_own_form(host: str, run: Run) -> None:
    said = run("connect", host, "--no-hooks", *PORT)
    file, group, entry = FILES[host]
    written = json.loads(Path(file).read_text())
    address = "http://127.0.0.1:3799/mcp"
    wanted = {name: address if value == "U" else value for name, value in entry.items()}
    assert said.status == 0
    assert written == {group: {"orchestr8": wanted}}
    assert "+" in said.out


@pytest.mark.parametrize("face", ["coordinate", "all", "context", "cache?all"])
def test_a_face_is_entered_as_address_and_as_command(face: str, run: Run) -> None:
    def entry(*how: str) -> Any:
        assert run("connect", "claude", "--face", face, *how, *PORT).status == 0
        return json.loads(Path(".mcp.json").read_text())["mcpServers"]["orchestr8"]

    assert entry()["url"] == f"http://127.0.0.1:3799/mcp/{face}"
    assert entry("--stdio")["args"][-2:] == ["--face", face]


def test_codex_gets_a_table(run: Run) -> None:
    assert run("connect", "codex", *PORT).status == 0
    written = tomllib.loads(Path(".codex/config.toml").read_text())
    assert written == {"mcp_servers": {"orchestr8": {"url": "http://127.0.0.1:3799/mcp"}}}


def test_the_users_own_file_lies_in_the_home(run: Run, tmp_path: Path) -> None:
    run("connect", "codex", "--user", *PORT)
    assert (tmp_path / "home" / ".codex" / "config.toml").exists()


def test_as_a_command_it_names_the_program_by_its_whole_path(run: Run, tmp_path: Path) -> None:
    run("connect", "cursor", "--stdio", *PORT, "--data-dir", "mine")
    entry = json.loads(Path(".cursor/mcp.json").read_text())["mcpServers"]["orchestr8"]
    assert os.path.isabs(entry["command"])
    tail = ["mcp", "--port", "3799", "--data-dir", str(tmp_path / "work" / "mine")]
    assert entry["args"][-5:] == tail


def test_without_a_name_those_that_are_here_are_found(run: Run, no_programs: Path) -> None:
    Path(".cursor").mkdir()
    Path(".cursor/mcp.json").write_text("{}")
    (no_programs / "gemini").write_text("#!/bin/sh\n")
    (no_programs / "gemini").chmod(0o755)
    done = run("connect", "--json", *PORT).json
    assert [row["host"] for row in done] == ["cursor", "cursor", "gemini", "gemini"]
    assert {row["action"] for row in done} == {"added"}


def test_without_any_host_it_says_which_there_could_be(run: Run) -> None:
    said = run("connect", *PORT)
    assert said.status == 1
    assert "claude, codex, cursor" in said.err
    said = run("disconnect")
    assert (said.status, "nothing to take out" in said.err) == (0, True)


@pytest.mark.parametrize(
    ("folder", "host"),
    [
        (".claude/agents", "claude"),
        (".codex", "codex"),
        (".cursor/rules", "cursor"),
        (".gemini", "gemini"),
        (".github/agents", "copilot"),
        (".opencode/command", "opencode"),
    ],
)
def test_what_a_project_has_for_a_host_says_that_it_is_used(
    folder: str, host: str, run: Run
) -> None:
    Path(folder).mkdir(parents=True)
    assert {row["host"] for row in run("connect", "--dry-run", "--json", *PORT).json} == {host}


def test_a_server_of_another_project_is_no_surprise(run: Run, tmp_path: Path) -> None:
    Path(".claude/agents").mkdir(parents=True)
    Path(".claude/agents/a.md").write_text("---\nname: a\ndescription: b\n---\n")
    Path(".git").mkdir()
    file = PidFile(tmp_path / "data" / SERVER_NAME)
    assert file.acquire()
    own = read_settings().project_key
    for project, explicit, is_told in (("x", True, 0), (own, False, 0), ("x", False, 1)):
        file.write(port=3799, project=project, explicit=explicit)
        assert run("connect", "claude").err.count("/p/NAME before /mcp") == is_told
    file.release()


def test_a_dry_run_changes_nothing(run: Run) -> None:
    said = run("connect", "claude", "--dry-run", *PORT)
    assert "would be added to" in said.out
    assert not Path(".mcp.json").exists()


def test_nothing_is_coloured_where_nobody_looks(run: Run) -> None:
    assert "\x1b" not in run("connect", "claude", *PORT).out


def test_a_broken_file_fails_and_the_other_hosts_go_on(run: Run) -> None:
    Path(".mcp.json").write_text('{\n"a" 1}')
    said = run("connect", "claude", "cursor", *PORT)
    assert said.status == 1
    assert "line 2" in said.err
    assert Path(".mcp.json").read_text() == '{\n"a" 1}'
    assert Path(".cursor/mcp.json").exists()


def test_disconnect_takes_out_ours_alone(run: Run) -> None:
    Path(".mcp.json").write_text('{"mcpServers": {"other": {"command": "x"}}}\n')
    run("connect", "claude", *PORT)
    said = run("disconnect", "claude")
    assert said.status == 0
    assert Path(".mcp.json").read_text() == '{"mcpServers": {"other": {"command": "x"}}}\n'
    assert "is not in" in run("disconnect", "claude").out.lower()


@pytest.mark.parametrize(("host", "made"), [("claude", ".mcp.json"), ("codex", ".codex")])
def test_after_a_second_connect_a_file_of_ours_goes_all_the_same(
    host: str, made: str, run: Run, tmp_path: Path
) -> None:
    run("connect", host, *PORT)
    run("connect", host, "--face", "all", *PORT)
    assert Path(made).exists()
    run("disconnect", host)
    assert not Path(made).exists()
    assert not list((tmp_path / "data" / "hosts").iterdir())


def test_without_a_port_and_a_server_it_says_what_to_do(run: Run) -> None:
    said = run("connect", "claude")
    assert said.status == 1
    assert "orchestr8-index up" in said.err


def test_the_running_servers_port_is_written(online: Run) -> None:
    assert online("connect", "claude").status == 0
    url = json.loads(Path(".mcp.json").read_text())["mcpServers"]["orchestr8"]["url"]
    assert url.startswith("http://127.0.0.1:") and not url.startswith("http://127.0.0.1:0/")


def test_the_address_that_a_command_replaced_is_ours_on_any_port(online: Run) -> None:
    """It was given back as the user's own entry."""
    for arguments in (["connect"], ["connect", "--stdio"], ["disconnect"]):
        assert online(*arguments, "claude").status == 0
    assert not Path(".mcp.json").exists()


HOOK_FILES = {
    "cursor": (".cursor/hooks.json", "beforeSubmitPrompt"),
    "gemini": (".gemini/settings.json", "BeforeAgent"),
    "copilot": (".github/hooks/orchestr8.json", "userPromptSubmitted"),
    "vscode": (".github/hooks/orchestr8.json", "preToolUse"),
}


@pytest.mark.parametrize("host", HOOK_FILES)
def test_a_host_with_hooks_gets_them_beside_its_users_own(
    host: str, run: Run, tmp_path: Path
) -> None:
    name, event = HOOK_FILES[host]
    file = Path(name)
    file.parent.mkdir(parents=True)
    before = '{\n  // mine\n  "hooks": {"stop": [{"command": "./say.sh"}]},\n  "other": 1\n}\n'
    file.write_text(before)
    for _ in range(2):  # the second time changes nothing
        assert run("connect", host, "--port", "4711").status == 0
    hooks = jsonc.read(file.read_text())["hooks"]
    assert hooks["stop"] == [{"command": "./say.sh"}]
    assert len(hooks[event]) == 1
    assert " hook " in json.dumps(hooks[event]) and " --port 4711" in json.dumps(hooks[event])
    assert run("disconnect", host).status == 0
    assert file.read_text() == before
    assert not list((tmp_path / "data" / "hosts").iterdir())


@pytest.mark.parametrize("scope", ["--project", "--user"])
def test_hooks_that_two_hosts_read_stay_for_the_one_that_stays(
    scope: str, run: Run, tmp_path: Path
) -> None:
    """The one that went took the other's along."""
    folder = Path(".github") if scope == "--project" else tmp_path / "home" / ".copilot"
    file = folder / "hooks" / "orchestr8.json"
    run("connect", "copilot", "vscode", scope, *PORT)
    for more in (["--dry-run"], []):
        said = run("disconnect", "copilot", scope, *more)
        assert (
            f"Copilot CLI: Hooks stay for another connected host in {file.absolute()}" in said.out
        )
    assert "Removed" in run("disconnect", "vscode", scope).out and not file.exists()
    run("connect", "copilot", "vscode", scope, *PORT)
    run("disconnect", "copilot", "vscode", scope)
    assert not file.exists()
    run("connect", "copilot", "vscode", scope, "--no-hooks", *PORT)
    assert "Hooks" not in run("disconnect", "copilot", scope).out


def test_hooks_can_be_left_out_and_a_file_of_hooks_alone_goes_again(run: Run) -> None:
    run("connect", "cursor", "--port", "4711", "--no-hooks")
    assert not Path(".cursor/hooks.json").exists()
    run("connect", "cursor", "--port", "4711")
    assert json.loads(Path(".cursor/hooks.json").read_text())["version"] == 1
    run("disconnect", "cursor")
    assert not Path(".cursor").exists()


def test_claude_codes_own_command_writes_its_user_file(
    run: Run, no_programs: Path, tmp_path: Path
) -> None:
    program = no_programs / "claude"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\n')
    program.chmod(0o755)
    assert run("connect", "claude", "--user", *PORT).status == 0
    assert (tmp_path / "called").read_text().startswith("mcp add-json --scope user orchestr8 {")
    assert not (tmp_path / "home" / ".claude.json").exists()


CLAUDE = """
import json, pathlib, sys
file = pathlib.Path.home() / ".claude.json"
whole = json.loads(file.read_text())
_, what, _, _, name, *entry = sys.argv[1:]
whole["mcpServers"].pop(name, None)
whole["mcpServers"].update({name: json.loads(entry[0])} if what == "add-json" else {})
file.write_text(json.dumps(whole))
"""


@pytest.mark.parametrize("own", [{"orchestr8": {"command": "mine"}}, {}])
@pytest.mark.parametrize("stays", [True, False])
def test_what_claude_codes_command_replaced_comes_back(
    own: dict[str, Any], stays: bool, run: Run, no_programs: Path, tmp_path: Path
) -> None:
    """It was gone, but where the program is not there and the file is written here."""
    program, file = no_programs / "claude", tmp_path / "home" / ".claude.json"
    program.write_text(f"#!{sys.executable}{CLAUDE}")
    program.chmod(0o755)
    file.write_text(json.dumps({"history": [1], "mcpServers": own}))
    for face in ((), ("--face", "all")):
        assert run("connect", "claude", "--user", *face, *PORT).status == 0
    kept = [each.read_text() for each in (tmp_path / "data").glob("hosts/*")]
    assert not any("history" in each for each in kept)
    program.chmod(0o755 if stays else 0)
    said = run("disconnect", "claude", "--user").out
    assert said.startswith(f"Claude Code: Re{'stored to your own' if own else 'moved'}")
    assert json.loads(file.read_text()).get("mcpServers", {}) == own
    assert not list((tmp_path / "data").glob("hosts/*")) or not (stays or own)


@pytest.mark.parametrize("own", [{"command": "mine"}, {"command": "orchestr8-index"}])
def test_an_entry_stays_where_claude_codes_command_takes_it_out_and_puts_none_in(
    own: dict[str, Any], run: Run, no_programs: Path, tmp_path: Path
) -> None:
    """It was gone, and `disconnect` found nothing to give back."""
    program, file = no_programs / "claude", tmp_path / "home" / ".claude.json"
    program.write_text(f"#!{sys.executable}{CLAUDE}".replace("name, *entry = ", "name = "))
    program.write_text(program.read_text() + "sys.exit(what != 'remove')\n")
    program.chmod(0o755)
    file.write_text(json.dumps({"history": [1], "mcpServers": {"orchestr8": own}}))
    before = json.loads(file.read_text())
    assert run("connect", "claude", "--user", *PORT).status == 1
    assert json.loads(file.read_text()) == before
    kept = [each.read_text() for each in (tmp_path / "data").glob("hosts/*")]
    assert "mine" not in "".join(kept)


def test_an_own_entry_that_came_after_ours_is_kept_too(run: Run, tmp_path: Path) -> None:
    for command in ("first", "second"):
        Path(".mcp.json").write_text(
            json.dumps({"mcpServers": {"orchestr8": {"command": command}}})
        )
        assert run("connect", "claude", *PORT).status == 0
    run("disconnect", "claude")
    assert json.loads(Path(".mcp.json").read_text())["mcpServers"]["orchestr8"] == {
        "command": "second"
    }


def test_nothing_is_kept_where_everybody_can_write(run: Run, tmp_path: Path) -> None:
    """Who can write there would say what `disconnect` gives back to the host."""
    Path(".mcp.json").write_text("{}")
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    said = run("connect", "claude", *PORT)
    assert said.status == 1 and "written by everybody" in said.err
    assert Path(".mcp.json").read_text() == "{}"


def test_what_a_hosts_command_says_is_passed_on(run: Run, no_programs: Path) -> None:
    program = no_programs / "claude"
    program.write_text("#!/bin/sh\necho no such thing >&2\nexit 3\n")
    program.chmod(0o755)
    said = run("connect", "claude", "--user", *PORT)
    assert said.status == 1
    assert "no such thing" in said.err


def test_the_folder_of_claude_code_is_followed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config"
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(folder))
    assert run("connect", "claude", "--user", *PORT).status == 0
    assert "orchestr8" in json.loads((folder / ".claude.json").read_text())["mcpServers"]


def test_a_strangers_file_is_shown_without_what_a_terminal_obeys(run: Run) -> None:
    Path(".mcp.json").write_text('{\n  // \x1b]0;title\x07\u202e\n  "mcpServers": {}\n}\n')
    said = run("connect", "claude", *PORT)
    assert said.status == 0 and "// title" not in said.out and "//" in said.out
    assert not {"\x1b", "\x07", "\u202e"} & {*said.out}
    named = json.loads(run("connect", "claude", "--json", *PORT).out)
    assert named[0]["action"] == "unchanged"


def test_a_projects_file_that_leads_out_of_it_is_left_as_it_is(run: Run, tmp_path: Path) -> None:
    """A tree that was cloned wrote into the user's own files."""
    (tmp_path / "home" / "own.json").write_text("{}")
    Path(".mcp.json").symlink_to(tmp_path / "home" / "own.json")
    Path(".cursor").symlink_to(tmp_path / "home")
    said = run("connect", "claude", "cursor", *PORT)
    assert said.status == 1 and said.err.count("leads out of this folder") == 3
    assert (tmp_path / "home" / "own.json").read_text() == "{}"
    assert not (tmp_path / "home" / "mcp.json").exists()
    Path(".mcp.json").unlink()
    Path("real.json").write_text("{}")
    Path(".mcp.json").symlink_to("real.json")
    assert run("connect", "claude", *PORT).status == 0 and "3799" in Path("real.json").read_text()
