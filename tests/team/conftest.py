"""One PostgreSQL for the tests of a worker; each test has a schema of its own in it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.coordinate.core import Coordination

from ..coordinate.worlds import made_by
from .engines import Postgres, Running, postgres


@pytest.fixture(scope="session")
def quick_postgres() -> Iterator[Postgres]:
    """It syncs nothing: for tests that kill nothing."""
    if url := os.environ.get("TEAM_POSTGRES_URL"):
        yield Running(url)  # type: ignore[misc]
        return
    with postgres() as engine:
        yield engine


def schema_of(folder: Path) -> str:
    """The schema that stands for a data directory."""
    return "o8_" + hashlib.sha256(str(folder).encode()).hexdigest()[:12]


@pytest.fixture
def on_postgres(quick_postgres: Postgres) -> Iterator[Callable[..., Coordination]]:
    """Within the test, shared state is opened in PostgreSQL: a schema for each folder."""
    from orchestr8_index.team.core import TeamCoordination

    def make(folder: Path, clock: Any = None, most_waiting: int = 1000, **_: Any) -> Coordination:
        url, schema = quick_postgres.url, schema_of(folder)
        return TeamCoordination(url, most_waiting, schema=schema, clock=clock)

    token = made_by.set(make)
    yield make
    made_by.reset(token)
