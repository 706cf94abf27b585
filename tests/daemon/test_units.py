"""Would a service manager understand the unit files, and start the right server?"""

from __future__ import annotations

import plistlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from orchestr8_index.config import Door
from orchestr8_index.daemon import units

from ..serve.asking import settings_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / 'my "trees" 100%'
    folder.mkdir()
    return folder


def line(unit: str, name: str) -> str:
    (found,) = [each for each in unit.splitlines() if each.startswith(f"{name}=")]
    return found.partition("=")[2]


def test_systemd_starts_this_server_with_these_options(root: Path, tmp_path: Path) -> None:
    unit = units.systemd(settings_of(tmp_path / "d", root, port=4711))
    words = [word.replace("%%", "%") for word in shlex.split(line(unit, "ExecStart"))]
    assert words == units.command(settings_of(tmp_path / "d", root, port=4711))
    places = ["--port", "4711", "--data-dir", str(tmp_path / "d")]
    assert words[0] == sys.executable and words[-6:] == [*places, "--host", "127.0.0.1"]
    assert str(root) in words


def test_a_service_that_others_may_reach_keeps_its_door(tmp_path: Path) -> None:
    door = Door("0.0.0.0", ("tools.example",), True, "/c.pem", "/k.pem")
    settings = msgspec.structs.replace(settings_of(tmp_path, tmp_path), door=door)
    said = " ".join(units.command(settings))
    assert "--host 0.0.0.0 --tls-cert /c.pem --tls-key /k.pem" in said
    assert said.endswith("--allow-host tools.example --require-keys")


def test_systemd_restarts_what_crashed_and_not_what_said_why(tmp_path: Path) -> None:
    unit = units.systemd(settings_of(tmp_path, tmp_path))
    assert (line(unit, "Type"), line(unit, "Restart")) == ("notify", "on-failure")
    assert line(unit, "RestartPreventExitStatus") == "1 2"


def test_a_system_unit_has_its_user_and_writes_only_its_data(tmp_path: Path) -> None:
    unit = units.systemd(settings_of(tmp_path / "data", tmp_path), user="mcp")
    assert (line(unit, "User"), line(unit, "ProtectSystem")) == ("mcp", "strict")
    assert line(unit, "ReadWritePaths") == str(tmp_path / "data")
    assert line(unit, "WantedBy") == "multi-user.target"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_systemd_itself_finds_nothing_wrong(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "orchestr8-index.service"
    file.write_text(units.systemd(settings_of(tmp_path / "data", root), user="daemon"))
    done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_launchd_starts_it_at_login_and_after_a_crash(root: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, root)
    told = plistlib.loads(units.launchd(settings).encode())
    assert told["ProgramArguments"] == units.command(settings)
    assert (told["RunAtLoad"], told["KeepAlive"]) == (True, {"SuccessfulExit": False})


def test_windows_gets_a_task(root: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, root)
    task = ElementTree.fromstring(units.windows(settings))
    found = {each.tag.rpartition("}")[2]: each.text or "" for each in task.iter()}
    assert found["Command"] == sys.executable
    assert found["Arguments"] == subprocess.list2cmdline(units.command(settings)[1:])
