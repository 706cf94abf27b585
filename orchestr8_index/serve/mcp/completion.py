"""How does what a user has begun to type go on? Plugins and names for the resource templates."""

from __future__ import annotations

from collections.abc import Iterable

from mcp_types import CompleteRequestParams, CompleteResult, Completion, ResourceTemplateReference

from ...text import fold_name
from ..state import State
from .tools import Ctx
from .uris import kind_of_template

MOST = 100  # the protocol's own limit


class Completions:
    def __init__(self, state: State) -> None:
        self._state = state

    async def complete(self, ctx: Ctx, params: CompleteRequestParams) -> CompleteResult:
        begun = fold_name(params.argument.value)
        known = {name: None for name in self._names(params) if fold_name(name).startswith(begun)}
        values = list(known)
        completion = Completion(
            values=values[:MOST], total=len(values), has_more=len(values) > MOST
        )
        return CompleteResult(completion=completion)

    def _names(self, params: CompleteRequestParams) -> Iterable[str]:
        ref = params.ref
        kind = kind_of_template(ref.uri) if isinstance(ref, ResourceTemplateReference) else None
        if kind is None:
            return []
        owners = self._state.index.segments[kind].owners
        if params.argument.name == "plugin":
            return [plugin for plugin, _ in owners]
        chosen = (params.context.arguments or {}).get("plugin") if params.context else None
        wanted = fold_name(chosen) if chosen else None
        return [name for plugin, name in owners if wanted in (None, fold_name(plugin))]
