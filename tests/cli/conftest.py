"""The command line in this process, with or without a server beside it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from orchestr8_index.catalog.worker import Builder
from orchestr8_index.cli import main
from orchestr8_index.config import fixture_root

from ..processes import Running, World
from ..serve.asking import Here

ROOT = str(fixture_root())
in_a_child = Builder.run


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


class Run(Protocol):
    def __call__(self, *arguments: str) -> Said: ...


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Run a command with a home, a folder and a data directory of its own; what it indexes, it
    indexes in this process."""
    monkeypatch.setattr(Builder, "run", Here.run)
    for folder in ("home", "work"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in [name for name in os.environ if name.startswith("MCP_") or name == "NO_COLOR"]:
        monkeypatch.delenv(name)
    given = {"HOME": tmp_path / "home", "MCP_DATA_DIR": tmp_path / "data", "MCP_PORT": 0}
    for name, value in given.items():
        monkeypatch.setenv(name, str(value))

    def running(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["orchestr8-index", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code is None or isinstance(ended.value.code, int)
        return Said(ended.value.code or 0, *capsys.readouterr())

    mask = os.umask(0o022)
    yield running
    os.umask(mask)


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory, snapshots: Path) -> Path:
    """A data directory with a snapshot of plugins_fixture."""
    return Path(shutil.copytree(snapshots.parent, tmp_path_factory.mktemp("cli") / "indexed"))


@pytest.fixture
def offline(run: Run, indexed: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Without a server, where plugins_fixture is indexed already."""
    monkeypatch.setenv("MCP_DATA_DIR", str(indexed))
    return run


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, snapshots: Path) -> Iterator[Running]:
    with World(tmp_path_factory.mktemp("server"), snapshots) as world:
        yield world.serve("--root", ROOT)


@pytest.fixture
def online(run: Run, server: Running, monkeypatch: pytest.MonkeyPatch) -> Run:
    """With a server on the data directory, over plugins_fixture."""
    monkeypatch.setenv("MCP_DATA_DIR", str(server.world.data))
    return run


@pytest.fixture(params=["offline", "online"])
def asking(request: pytest.FixtureRequest) -> Run:
    """With a server and without: the answers are the same."""
    found: Run = request.getfixturevalue(request.param)
    return found
