"""A server in this process over plugins_fixture: the only file here that imports internals."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import AsyncMock, patch

import httpx2

from orchestr8_index.app import make_state
from orchestr8_index.catalog.generations import Refresh
from orchestr8_index.config import Door, Settings, fixture_root
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.keys import KeyFile
from orchestr8_index.serve.renewal import Calibrating
from orchestr8_index.serve.state import State
from orchestr8_index.serve.stores import ServerStore

from ..serve.asking import Here, client, living, settings_of

FIXTURE = fixture_root()


def _state(settings: Settings) -> State:
    return make_state(settings, Refresh(settings, Here(settings)), ServerStore(settings))


@contextlib.asynccontextmanager
async def serving(data_dir: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A server with an index and a store, whose confidence its outcomes do not shift: when they
    do, the clock says."""
    state = _state(settings_of(data_dir, FIXTURE, watch=False))
    app = make_web(state)
    with patch.object(Calibrating, "step", AsyncMock()):
        async with living(app), client(app) as asking:
            while not (await asking.get("/health")).json()["database"]["connected"]:
                await asyncio.sleep(0.005)
            while (await asking.get("/health")).status_code != 200:
                await asyncio.sleep(0.005)
            while state.store and state.store.revision_of("skill") < 0:  # until it is bound
                await asyncio.sleep(0)
            yield asking


@contextlib.asynccontextmanager
async def starting(data_dir: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A server before its first index and its store."""
    async with client(make_web(_state(settings_of(data_dir, FIXTURE)))) as asking:
        yield asking


@contextlib.asynccontextmanager
async def locked(data_dir: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A server that wants keys, asked with one that may only read."""
    state = _state(settings_of(data_dir, FIXTURE, door=Door(require_keys=True)))
    key = KeyFile(state.settings.data_dir).add("reader", "read")
    async with client(make_web(state)) as asking:
        asking.headers["authorization"] = f"Bearer {key}"
        yield asking
