"""What every test may ask for: a tree of files, an index of it, an index of plugins_fixture."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import fixture_root
from orchestr8_index.text import Terms

from . import hermetic
from .clocks import Clock
from .processes import World
from .trees import Built, Files, MakeTree, build_tree, write_tree

_PRIORITY = os.nice(0) if hasattr(os, "nice") else 0
hermetic.isolate()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a suite in the background, as with nohup
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else no child hears of Ctrl-C
_DRAWN = {"database": None, "deadline": None}
_SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
settings.register_profile(
    "thorough", max_examples=60, suppress_health_check=_SUPPRESSED, **_DRAWN
)  # in .ci/run
settings.register_profile("tests", settings.get_profile("thorough"), max_examples=30)
settings.load_profile("tests")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: no collector need look at it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def as_urgent_as_before() -> Iterator[None]:
    """What lowers its own priority needs a process of its own: all later tests would wait."""
    yield
    assert not hasattr(os, "nice") or os.nice(0) == _PRIORITY


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    """Write {path: text} into a folder of its own and return the folder."""

    def make(files: Files, folder: str = "tree") -> Path:
        return write_tree(tmp_path / folder, files)

    return make


@pytest.fixture
def built(tmp_path: Path, make_tree: MakeTree) -> Callable[[Files], Built]:
    """Write a tree, build it in process, return its index with the reports and findings."""
    return lambda files: build_tree(make_tree(files), data_dir=tmp_path / "data")


@pytest.fixture
def make_index(built: Callable[[Files], Built]) -> Callable[[Files], Index]:
    """Write a tree and return its index."""
    return lambda files: built(files).index


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """plugins_fixture, built once, with its reports and findings."""
    return build_tree(fixture_root(), data_dir=tmp_path_factory.mktemp("shipped"))


@pytest.fixture(scope="session")
def shipped_index(shipped: Built) -> Index:
    return shipped.index


@pytest.fixture(scope="session")
def snapshots(shipped: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of plugins_fixture: what a data directory has of it, once it is indexed."""
    folder = tmp_path_factory.getbasetemp() / "shipped0/snapshots"
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return folder


@pytest.fixture
def world(tmp_path: Path, snapshots: Path) -> Iterator[World]:
    with World(tmp_path, snapshots) as made:
        yield made


@pytest.fixture(scope="session")
def terms() -> Terms:
    return Terms()
