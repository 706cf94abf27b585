"""The files in docs/service: their managers read them, and they start the server as meant."""

from __future__ import annotations

import plistlib
import shlex
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from orchestr8_index import app
from orchestr8_index.cli import COMMANDS, cli
from orchestr8_index.config import REPOSITORY, Settings

FOLDER = REPOSITORY / "docs" / "service"
UNITS = ("orchestr8-index.service", "orchestr8-index-system.service")
TREES = ("/.claude", "/plugins")
PLIST = "dev.orchestr8.index.plist"


def unit(name: str) -> ConfigParser:
    parser = ConfigParser(interpolation=None, comment_prefixes="#", delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(FOLDER / name, "utf-8")
    return parser


def agent() -> dict[str, object]:
    told: dict[str, object] = plistlib.loads((FOLDER / PLIST).read_bytes())
    return told


def command(name: str) -> list[str]:
    if name == PLIST:
        words = agent()["ProgramArguments"]
        assert isinstance(words, list)
        return words
    return shlex.split(unit(name)["Service"]["ExecStart"])


@pytest.mark.parametrize("name", [*UNITS, PLIST])
def test_the_command_is_an_absolute_path_to_the_server_in_the_foreground(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program, *words = command(name)
    assert program.startswith(("/", "%h/")) and program.endswith("/orchestr8-index")
    assert words[0] == "serve" and words[0] in COMMANDS
    monkeypatch.setenv("MCP_DATA_DIR", str(tmp_path))
    (tmp_path / "tree").mkdir()
    words = [str(tmp_path / "tree") if word.endswith(TREES) else word for word in words]
    words = [str(tmp_path) if word.startswith("/var/") else word for word in words]
    given: list[Settings] = []
    monkeypatch.setattr(app, "run_server", lambda settings, told: given.append(settings))
    assert not cli.main(words, standalone_mode=False)
    assert given[0].roots == (str(tmp_path / "tree"),)


@pytest.mark.parametrize("name", UNITS)
def test_systemd_restarts_what_crashed_and_not_what_said_why(name: str) -> None:
    service = unit(name)["Service"]
    assert (service["Type"], service["Restart"]) == ("notify", "on-failure")
    assert service["RestartPreventExitStatus"] == "1 2"
    assert service["UMask"] == "0077"


def test_the_machines_unit_has_a_user_and_writes_only_its_data() -> None:
    told = unit(UNITS[1])
    service = told["Service"]
    assert (service["User"], service["ProtectSystem"]) == ("mcp", "strict")
    assert service["ReadWritePaths"] in service["ExecStart"].split()
    assert told["Install"]["WantedBy"] == "multi-user.target"


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_systemd_itself_finds_nothing_wrong(name: str, tmp_path: Path) -> None:
    program = shutil.which("true") or "/bin/true"
    text = (FOLDER / name).read_text("utf-8").replace(command(name)[0], program)
    (tmp_path / name).write_text(text.replace("User=mcp", "User=daemon"), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / name], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_launchd_starts_it_at_login_and_after_a_crash() -> None:
    told = agent()
    assert (told["RunAtLoad"], told["KeepAlive"]) == (True, {"SuccessfulExit": False})
    assert (told["Label"], told["Umask"]) == (PLIST.removesuffix(".plist"), 0o077)
