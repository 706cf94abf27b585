"""Writes down what was counted: the audit and the usage."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import Any

from ..errors import StoreUnavailable
from ..store.notes import write_audit
from ..store.usage import write_usage
from .state import State


async def keep_audit(state: State) -> None:
    """Write what happened since the last time. A store that is not open yet keeps it waiting; one
    that fails loses it. Raises StoreUnavailable and sqlite3.Error."""
    outcomes, shared = state.store.ready, state.shared.ready
    if outcomes is None or not (rows := state.gate.audit.take()):
        return
    await outcomes.store.write(partial(write_audit, rows=rows))
    if shared is not None:
        await shared.keep_audit(rows)


async def keep_usage(state: State) -> None:
    """Write what was counted: for all servers where there are several. What cannot be written is
    written with the next. Raises StoreUnavailable and sqlite3.Error."""
    usage, is_team = state.gate.audit.usage, bool(state.settings.database_url)
    keeper: Any = state.shared if is_team else state.store
    if keeper.ready is None or not (rows := usage.take()):
        return
    try:
        if is_team:
            await keeper.ready.keep_usage(rows)
        else:
            await keeper.ready.store.write(partial(write_usage, rows=rows))
    except (StoreUnavailable, sqlite3.Error):
        usage.put_back(rows)
        raise
