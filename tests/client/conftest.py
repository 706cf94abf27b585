"""Two senders, with a server and without: the same four times."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.client import embedded
from orchestr8_index.config import fixture_root

from ..processes import Running, World
from .asking import SENDERS, Asker
from .strange import Strange

MakeAsker = Callable[..., Asker]


@pytest.fixture(autouse=True)
def _nobody_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home and a folder of its own, and no setting of the machine's."""
    for name in [name for name in os.environ if name.startswith("MCP_")]:
        monkeypatch.delenv(name)
    for folder in ("home", "work"):
        (tmp_path / folder).mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(embedded, "PATIENCE", 60.0)  # a first build may take long where much runs


@pytest.fixture(params=SENDERS)
def sender(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_asker(sender: str) -> Iterator[MakeAsker]:
    """A client of either kind, closed after the test."""
    with ExitStack() as opened:
        yield lambda *args, **named: opened.enter_context(SENDERS[sender](*args, **named))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, snapshots: Path) -> Iterator[Running]:
    with World(tmp_path_factory.mktemp("client-server"), snapshots) as world:
        yield world.serve("--root", str(fixture_root()))


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory, snapshots: Path) -> Path:
    """A data directory with a snapshot of plugins_fixture, where no server is."""
    return Path(shutil.copytree(snapshots.parent, tmp_path_factory.mktemp("client") / "indexed"))


@pytest.fixture(params=["server", "embedded"])
def asker(request: pytest.FixtureRequest, make_asker: MakeAsker) -> Asker:
    """A client over plugins_fixture."""
    options: dict[str, Any] = {"roots": [fixture_root()]}
    if request.param == "server":
        return make_asker(data_dir=request.getfixturevalue("server").world.data, **options)
    return make_asker(data_dir=request.getfixturevalue("indexed"), embedded=True, **options)


@pytest.fixture
def strange() -> Iterator[Strange]:
    with Strange() as made:
        yield made
