"""init.sh, stop.sh, status.sh: from nothing to a first answer, and a sentence where that fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestr8_index.config import REPOSITORY, fixture_root

from ..processes import DEADLINE, World

ROOT = str(fixture_root())
TOOLS = ["bash", "cat", "cksum", "cut", "dirname", "env", "mkdir", "rm", "touch"]


class Checkout:
    """A copy of the scripts, whose virtual environment is a stand-in for the running one."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder, self.venv = world, folder, folder / "venv"
        (folder / "scripts").mkdir(parents=True)
        copied = ["init.sh", "stop.sh", "status.sh", "scripts/install", "pyproject.toml"]
        for name in [*copied, "requirements.lock", "requirements-dev.lock"]:
            shutil.copy(REPOSITORY / name, folder / name)

    def install(self) -> None:
        """What scripts/install would have made, its stamp included."""
        (self.venv / "bin").mkdir(parents=True)
        command = f'#!/bin/sh\nexec "{sys.executable}" -m orchestr8_index "$@"\n'
        program = self.venv / "bin" / "orchestr8-index"
        program.write_text(command)
        program.chmod(0o755)
        self.stamp().touch()

    def stamp(self) -> Path:
        files = "requirements.lock pyproject.toml"
        shell = f"echo $(cat {files} | cksum | cut -d' ' -f1)-$(pwd | cksum | cut -d' ' -f1)"
        told = subprocess.check_output(["bash", "-c", shell], cwd=self.folder, text=True)
        return self.venv / f".orchestr8-{told.strip()}"

    def run(self, script: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        given = {**self.world.env, "VIRTUAL_ENV": str(self.venv), **env}
        return subprocess.run(
            ["bash", str(self.folder / script), *arguments],
            env={name: value for name, value in given.items() if value},
            cwd=self.world.work,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )


@pytest.fixture
def checkout(world: World, tmp_path: Path) -> Checkout:
    return Checkout(world, tmp_path / "checkout")


@pytest.fixture
def installed(checkout: Checkout) -> Checkout:
    checkout.install()
    return checkout


@pytest.fixture
def poor(tmp_path: Path) -> Path:
    """A folder with the few programs that a machine without Python has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (folder / tool).symlink_to(found)
    return folder


def python_that(poor: Path, script: str) -> None:
    python = poor / "python3"
    python.write_text(f"#!{shutil.which('bash')}\n{script}\n")
    python.chmod(0o755)


# --- where it works ----------------------------------------------------------------------------


def test_the_three_scripts_go_together(installed: Checkout) -> None:
    """The file of a host that is connected lies in the folder that the user stands in."""
    entry = installed.world.work / ".cursor" / "mcp.json"
    entry.parent.mkdir()
    entry.write_text("{}")
    done = installed.run("init.sh", "--root", ROOT, "--connect")
    assert done.returncode == 0, done.stderr
    assert '"orchestr8"' in entry.read_text()
    assert "Serving 24 agents, 8 skills, 8 workflows" in done.stdout
    assert "A first question: " in done.stdout and "code-reviewer" in done.stdout
    assert "(from the server on" in done.stderr
    again = installed.run("init.sh", "--root", ROOT)
    assert (again.returncode, "Already running" in again.stdout) == (0, True)
    assert "healthy" in installed.run("status.sh").stdout
    assert installed.run("stop.sh").stdout == "Stopped.\n"
    assert installed.run("status.sh").returncode == 3
    assert installed.run("stop.sh").returncode == 0


def test_a_relative_root_means_the_callers_folder(installed: Checkout) -> None:
    agents = installed.world.work / "mine" / "agents"
    agents.mkdir(parents=True)
    (agents / "guard.md").write_text("---\nname: guard\n---\nReviews changes for security.\n")
    data_dir = str(installed.world.work / "data")
    done = installed.run("init.sh", "--root", "mine", "--data-dir", data_dir)
    assert "mine:guard" in done.stdout
    assert f"./init.sh --data-dir {data_dir} --root DIR" in done.stdout
    installed.run("stop.sh", "--data-dir", data_dir)


def test_a_failed_start_is_told_by_its_status(installed: Checkout) -> None:
    done = installed.run("init.sh", "--root", "nowhere")
    assert (done.returncode, "--root nowhere is not a folder" in done.stderr) == (2, True)


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_installs_and_starts_nothing(checkout: Checkout, option: str) -> None:
    done = checkout.run("init.sh", option)
    assert (done.returncode, "--root DIR" in done.stdout) == (0, True)
    assert not checkout.venv.exists()


# --- where it does not -------------------------------------------------------------------------


def test_without_an_installation_nothing_runs(checkout: Checkout) -> None:
    status, stop = checkout.run("status.sh"), checkout.run("stop.sh")
    assert (status.returncode, stop.returncode) == (3, 0)
    assert "./init.sh" in status.stderr and "./init.sh" in stop.stderr


def test_without_python_it_says_so_and_starts_nothing(checkout: Checkout, poor: Path) -> None:
    done = checkout.run("init.sh", "--root", ROOT, PATH=str(poor), VIRTUAL_ENV="")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Python 3.11 or newer was not found: install it")
    assert "Nothing was started." in done.stderr
    assert checkout.world.owners() == []


def test_a_python_that_is_too_old_is_not_used(checkout: Checkout, poor: Path) -> None:
    python_that(poor, "exit 1")
    done = checkout.run("init.sh", PATH=str(poor), VIRTUAL_ENV="")
    assert (done.returncode, "Python 3.11 or newer was not found" in done.stderr) == (1, True)
    assert not (checkout.folder / ".venv").exists()


def test_a_python_without_venv_names_the_package(checkout: Checkout, poor: Path) -> None:
    python_that(poor, '[ "$1" = -c ]')
    done = checkout.run("init.sh", PATH=str(poor), VIRTUAL_ENV="")
    assert (done.returncode, "apt install python3-venv" in done.stderr) == (1, True)


def test_packages_that_cannot_be_had_are_a_sentence(checkout: Checkout, poor: Path) -> None:
    (checkout.venv / "bin").mkdir(parents=True)
    python = checkout.venv / "bin" / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    done = checkout.run("init.sh", PATH=str(poor))
    assert (done.returncode, done.stdout) == (1, "")
    assert "could not be installed: check the network" in done.stderr


def test_a_program_that_is_missing_is_said(installed: Checkout) -> None:
    (installed.venv / "bin" / "orchestr8-index").unlink()
    done = installed.run("init.sh", "--root", ROOT)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"Remove {installed.venv} and run ./init.sh again" in done.stderr


@pytest.mark.parametrize(
    ("command", "cure"),
    [("connect", "then run: "), ("query", "See why: ")],
    ids=["connect", "query"],
)
def test_a_step_after_the_start_that_fails_is_told(
    installed: Checkout, command: str, cure: str
) -> None:
    program = installed.venv / "bin" / "orchestr8-index"
    program.write_text(f'#!/bin/sh\n[ "$1" != {command} ]\n')
    done = installed.run("init.sh", "--root", ROOT, "--connect")
    assert done.returncode == 1
    assert "The server runs, but" in done.stderr and cure in done.stderr


def test_a_checkout_that_is_not_whole_is_said(checkout: Checkout) -> None:
    (checkout.venv / "bin").mkdir(parents=True)
    (checkout.folder / "requirements.lock").unlink()
    done = checkout.run("init.sh")
    assert (done.returncode, done.stdout) == (1, "")
    assert "requirements.lock is missing here: get the whole checkout" in done.stderr


def test_a_folder_with_a_blank_in_its_name_is_installed_into(
    checkout: Checkout, poor: Path
) -> None:
    """The command to install with was taken apart at blanks."""
    checkout.venv = checkout.folder / "my venv"
    (checkout.venv / "bin").mkdir(parents=True)
    python = checkout.venv / "bin" / "python"
    python.write_text('#!/bin/sh\necho "$@" >> "${0%/*}/asked"\n')
    python.chmod(0o755)
    assert checkout.run("scripts/install", PATH=str(poor)).returncode == 0
    assert "-m pip install" in (checkout.venv / "bin" / "asked").read_text()


def test_what_is_installed_is_not_installed_again(installed: Checkout, poor: Path) -> None:
    done = installed.run("scripts/install", PATH=str(poor))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_changed_lock_is_installed_again(installed: Checkout, poor: Path) -> None:
    with open(installed.folder / "requirements.lock", "a") as lock:
        lock.write("\n# changed\n")
    assert installed.run("scripts/install", PATH=str(poor)).returncode == 1


@pytest.mark.parametrize("script", ["init.sh", "stop.sh", "status.sh", "scripts/install"])
def test_the_scripts_can_be_run(script: str) -> None:
    assert os.access(REPOSITORY / script, os.X_OK)
