"""What the page and the command line see of servers and of what is asked of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from .. import __version__
from ..coordinate.clock import iso
from ..errors import StoreUnavailable
from ..overview import ServerList, UsageAnswer, UsageQuery
from ..queries import NoParams
from ..store.database import NAME, connect_to_read
from ..store.notes import saved_by_day
from ..store.usage import read_usage, summed, write_usage
from ..views import SavedDay
from .callers import caller
from .state import State

Rows = TypeVar("Rows")


async def keep_usage(state: State) -> None:
    """Write what was counted: for all servers where there are several. Raises StoreUnavailable,
    and what could not be written is written with the next."""
    usage, is_team = state.gate.audit.usage, bool(state.settings.database_url)
    keeper: Any = state.shared if is_team else state.store
    kept = keeper.ready
    if kept is None or not (rows := usage.take()):
        return
    try:
        if is_team:
            await kept.keep_usage(rows)
        else:
            await kept.store.write(partial(write_usage, rows=rows))
    except (StoreUnavailable, sqlite3.Error):
        usage.put_back(rows)
        raise


async def get_usage(state: State, wanted: UsageQuery) -> UsageAnswer:
    """With what was asked of this server a moment ago, and of the others some seconds ago."""
    caller.get().must_see_all()
    await keep_usage(state)
    if state.settings.database_url:
        rows = await (await state.shared.state()).read(read_usage, wanted.days)
    else:
        await state.store.outcomes()  # or why there are none
        path = state.settings.data_dir / NAME
        rows = await asyncio.to_thread(_read_apart, path, read_usage, wanted.days)
    saved = [msgspec.structs.astuple(day) for day in await saved_days(state, wanted.days)]
    return msgspec.convert(summed(rows, saved), UsageAnswer)


async def saved_days(state: State, days: int) -> list[SavedDay]:
    """The tokens that the project's reports of the last `days` say were saved."""
    outcomes = state.store.ready
    if outcomes is None:
        return []
    path = state.settings.data_dir / NAME
    rows = await asyncio.to_thread(_read_apart, path, saved_by_day, days, outcomes.project)
    return [SavedDay(*row) for row in rows]


def _read_apart(path: Path, read: Callable[..., Rows], *given: Any) -> Rows:
    """For a thread of its own, as a million decisions take a while: on a connection of its own."""
    with contextlib.closing(connect_to_read(path)) as reading:
        return read(reading, *given)


async def list_servers(state: State, _: NoParams) -> ServerList:
    """All servers of the team; this one alone where there is none, or its database is away."""
    caller.get().must_see_all()
    shared = state.shared
    with contextlib.suppress(StoreUnavailable):
        if state.settings.database_url:
            team = await shared.state()
            return ServerList(servers=await team.servers(), own=team.server)  # type: ignore[attr-defined]
    name, uptime = socket.gethostname(), time.monotonic() - state.started
    row: dict[str, Any] = {"server": name, "version": __version__, "here": True, "silent_ms": 0}
    row |= {"started": iso(int((time.time() - uptime) * 1000)), "lag_ms": 0, **state.facts()}
    row["waiters"] = shared.figures.get("waiters", 0)
    local = {} if state.settings.database_url else {"sqlite": "connected"}
    row["stores"] = {**local, **shared.stores}
    return ServerList(servers=[row], own=name)
