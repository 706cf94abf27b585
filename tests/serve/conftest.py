"""A server's state over plugins_fixture, with nothing built and nothing listening."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import Door, fixture_root
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.state import State

from .asking import settings_of, state_of
from .sites import Run, Site, on_site


@pytest.fixture
def state(tmp_path: Path, shipped_index: Index) -> State:
    return state_of(settings_of(tmp_path / "data", fixture_root()), shipped_index)


@pytest.fixture
def starting(tmp_path: Path) -> State:
    """A state before the first generation."""
    return state_of(settings_of(tmp_path / "data", fixture_root()), None)


@pytest.fixture
def locked(tmp_path: Path, shipped_index: Index) -> State:
    """A server that needs keys."""
    door = Door(require_keys=True)
    settings = settings_of(tmp_path, fixture_root(), door=door, local_key="o8_mine")
    return state_of(settings, shipped_index)


@pytest.fixture
def app(state: State) -> ASGIApp:
    return make_web(state)


@pytest.fixture(scope="module")
def module_state(tmp_path_factory: pytest.TempPathFactory, shipped_index: Index) -> State:
    """A state for all tests of a file."""
    data_dir = tmp_path_factory.mktemp("data")
    return state_of(settings_of(data_dir, fixture_root(), watch=False), shipped_index)


@pytest.fixture
def run(tmp_path: Path, shipped_index: Index) -> Run:
    """Runs work with a server that has shared state; each time another one on the same files."""

    def running(work: Callable[[Site], Awaitable[Any]], **given: Any) -> Any:
        settings = settings_of(tmp_path / "data", fixture_root(), watch=False, **given)
        return asyncio.run(on_site(settings, shipped_index, work))

    return running
