"""service: a unit file on standard output, and nothing installed."""

from __future__ import annotations

import plistlib
from pathlib import Path

from ..trees import MakeTree, agent
from .conftest import Run


def test_each_manager_gets_its_own(run: Run, make_tree: MakeTree, tmp_path: Path) -> None:
    root = str(make_tree({"agents/a.md": agent("a")}))
    unit = run("service", "systemd", "--root", root, "--port", "4711").out
    assert f"serve --root {root} --port 4711 --data-dir {tmp_path / 'data'}" in unit
    task = plistlib.loads(run("service", "launchd", "--root", root).out.encode())
    assert root in task["ProgramArguments"]
    assert root in run("service", "windows", "--root", root).out
    assert not (tmp_path / "data").exists()


def test_a_server_that_others_may_reach_has_its_options(run: Run) -> None:
    unit = run("service", "systemd", "--host", "0.0.0.0", "--require-keys").out
    assert "--host 0.0.0.0 --require-keys" in unit


def test_a_system_user_is_for_systemd(run: Run) -> None:
    assert "User=mcp" in run("service", "systemd", "--system-user", "mcp").out
    assert run("service", "launchd", "--system-user", "mcp").status == 2


def test_help_says_how_to_install_it(run: Run) -> None:
    told = run("service", "--help").out
    assert all(word in told for word in ("systemctl --user", "launchctl", "schtasks"))
