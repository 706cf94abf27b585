"""The handler of each method of the table in the server: `async (state, params) -> result`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ..errors import StoreUnavailable
from ..methods import METHODS
from ..queries import ContextQuery, NoParams
from ..reports import PatternGoal
from ..search.methods import ANSWERS, Knowledge, answer_method
from .health import health, metrics
from .learning import cache_decision, find_patterns, forget_decisions, get_pattern, store_pattern
from .state import State

PARTLY = "The project's own part is still being read: ask again in a moment."
Handler = Callable[[State, Any], Awaitable[Any]]


def from_index(name: str) -> Handler:
    """The handler of a method that the index answers alone."""

    async def handler(state: State, params: Any) -> Any:
        return _answered(state, name, params)

    return handler


def _answered(state: State, name: str, params: Any, pattern: dict[str, Any] | None = None) -> Any:
    result = answer_method(state.index, name, params, knowledge(state, pattern))
    if not state.is_partial:
        return result
    fields = result if isinstance(result, dict) else msgspec.structs.asdict(result)
    if "reasoning" in fields:
        fields = {**fields, "reasoning": f"{fields['reasoning']} {PARTLY}"}
    return {**fields, "partial": True}


async def get_context(state: State, query: ContextQuery) -> Any:
    """The context for a task; without a past pattern while the store is unavailable."""
    try:
        pattern = await get_pattern(state, PatternGoal(goal=query.task))
    except StoreUnavailable:
        pattern = None
    return _answered(state, "getContext", query, pattern)


async def get_health(state: State, _: NoParams) -> Any:
    return health(state)


async def get_metrics(state: State, _: NoParams) -> Any:
    return metrics(state)


async def discover(state: State, _: NoParams) -> Any:
    from .openrpc import document  # imported at the first request

    return document()


def shared(name: str) -> Handler:
    """The handler of a method of the shared state."""

    async def handler(state: State, params: Any) -> Any:
        opened = await state.shared.opened(state.settings)
        return await getattr(opened, name)(state.shared.asking(state.settings), params)

    return handler


def viewed(name: str) -> Handler:
    """The handler of a method of the page; `views` is imported at the first request."""

    async def handler(state: State, params: Any) -> Any:
        from . import views

        return await getattr(views, name)(state, params)

    return handler


def knowledge(state: State, pattern: dict[str, Any] | None = None) -> Knowledge:
    return Knowledge(state.terms, state.experience, pattern, state.tokens)


HANDLERS: dict[str, Handler] = {
    **{name: from_index(name) for name in METHODS if name in ANSWERS},
    "getContext": get_context,
    "getOrchestrationPattern": get_pattern,
    "queryPattern": find_patterns,
    "storePattern": store_pattern,
    "cacheDecision": cache_decision,
    "forgetDecisions": forget_decisions,
    "getHealth": get_health,
    "getMetrics": get_metrics,
    "rpc.discover": discover,
    **{m.name: shared(m.short) for m in METHODS.values() if m.face == "coordinate"},
    **{m.name: viewed(m.short) for m in METHODS.values() if m.face == "page"},
}
