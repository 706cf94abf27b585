"""How a method of the agents' shared state is answered, and who its caller is."""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ..errors import StoreUnavailable
from .callers import caller
from .shares import owner_of
from .state import State

if TYPE_CHECKING:
    from ..coordinate.caller import Caller
    from ..coordinate.core import Coordination

Handler = Callable[[State, Any], Awaitable[Any]]


def shared(name: str) -> Handler:
    """The handler of a method that the shared state answers."""

    async def handler(state: State, params: Any) -> Any:
        return await getattr(await opened(state), name)(asking(state), params)

    return handler


async def opened(state: State) -> Coordination:
    """Raises StoreUnavailable."""
    if state.shared is None:
        raise StoreUnavailable("This server keeps no shared state.")
    await state.shared.learn_project_of(state.settings)
    return await state.shared.state()


speaking: contextvars.ContextVar[Caller | None] = contextvars.ContextVar("speaking", default=None)
"""The agent whose tool use this call is, where the host's hook told of it."""


def asking(state: State) -> Caller:
    """The caller of this request, as the shared state knows it, in the project of `state`."""
    from ..coordinate.caller import Caller

    if (who := speaking.get()) is not None:
        return who
    asks = caller.get()
    assert state.shared is not None
    project = state.shared.project_of(state.settings)
    return Caller(
        asks.label,
        project=project,
        scope=asks.right,
        tree=asks.tree,
        kind=asks.kind,
        verified=asks.keyed,
        writes=asks.writes,
        sees_one=bool(asks.projects),
        owner=owner_of(asks),
    )
