"""Write the audit and the usage to the store."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import Any

from ..errors import StoreUnavailable
from ..store.notes import write_audit
from ..store.usage import write_usage
from .state import State


async def keep_audit(state: State) -> None:
    """Write the events since the last write. They wait while the store is not open, and are lost
    when the write fails. Raises StoreUnavailable and sqlite3.Error."""
    outcomes, shared = state.store.ready, state.shared.ready
    if outcomes is None or not (rows := state.gate.audit.take()):
        return
    await outcomes.store.write(partial(write_audit, rows=rows))
    if shared is not None:
        await shared.keep_audit(rows)


async def keep_usage(state: State) -> None:
    """Write the counts since the last write, to the team's database if there is one. After a
    failure they are counted again. Raises StoreUnavailable and sqlite3.Error."""
    usage, is_team = state.gate.audit.usage, bool(state.settings.database_url)
    target: Any = state.shared if is_team else state.store
    if target.ready is None or not (rows := usage.take()):
        return
    try:
        if is_team:
            await target.ready.keep_usage(rows)
        else:
            await target.ready.store.write(partial(write_usage, rows=rows))
    except (StoreUnavailable, sqlite3.Error):
        usage.put_back(rows)
        raise
