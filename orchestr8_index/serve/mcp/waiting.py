"""A call of the shared state from MCP: whose it is, and progress while it waits for others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from mcp.server.context import ServerRequestContext

from ...table import Method
from ..callers import Principal, caller
from ..calls import perform
from ..shared import speaking
from ..shares import owner_of
from ..state import State

if TYPE_CHECKING:
    from ...coordinate.caller import Caller

Ctx = ServerRequestContext[Any, Any]
T = TypeVar("T")
TOOL_USE = "claudecode/toolUseId"
PROGRESS_SECONDS = 15.0


def hooked(state: State, ctx: Ctx, asks: Principal) -> Caller | None:
    """The agent whose tool use this is, if its hook told of it."""
    meta = (ctx.params or {}).get("_meta") or {}
    use = meta.get(TOOL_USE) if isinstance(meta, dict) else None
    who = state.claims.agent_of(use, asks) if isinstance(use, str) else None
    known = {"scope": asks.right, "kind": asks.kind, "verified": asks.keyed}
    known |= {"writes": asks.writes, "sees_one": bool(asks.projects), "owner": owner_of(asks)}
    return msgspec.structs.replace(who, **known) if who else None


async def perform_shared(state: State, ctx: Ctx, method: Method, raw: bytes) -> bytes:
    """The method's result, with progress while it waits. Raises RequestError."""
    token = speaking.set(hooked(state, ctx, caller.get()))
    try:
        return await with_progress(ctx, perform(state, method.name, raw))
    finally:
        speaking.reset(token)


async def with_progress(ctx: Ctx, work: Awaitable[T]) -> T:
    """What `work` returns; while it waits for others its client hears that it lives."""
    task = asyncio.ensure_future(work)
    waited = 0.0
    try:
        while not (await asyncio.wait({task}, timeout=PROGRESS_SECONDS))[0]:
            waited += PROGRESS_SECONDS
            await ctx.session.report_progress(waited, message="It waits for other agents.")
        return task.result()
    finally:
        task.cancel()
