"""One browser and one server over a copy of the fixture, for the tests of a module."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestr8_index.config import fixture_root

from ..processes import Running, World
from .looking import browsing, looking

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """No longer than a module: while it is open, no other event loop can run in this thread."""
    with browsing() as opened:
        yield opened


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(fixture_root(), tmp_path_factory.mktemp("tree") / "fixture"))


@pytest.fixture(scope="module")
def server(browser: Browser, tree: Path, tmp_path_factory: Any) -> Iterator[Running]:
    with World(tmp_path_factory.mktemp("world")) as world:
        yield world.serve("--root", str(tree))


@pytest.fixture
def tab(browser: Browser, server: Running) -> Iterator[Callable[..., Page]]:
    """Opens tabs on the server's page."""
    with ExitStack() as tabs:
        base = f"http://127.0.0.1:{server.port}"
        yield lambda **options: tabs.enter_context(looking(browser, base, **options))


@pytest.fixture
def page(tab: Callable[..., Page]) -> Page:
    return tab()
