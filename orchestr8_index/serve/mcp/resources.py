"""MCP resources: entries, the index itself, the patterns, the files of skills, and completion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import mcp_types as types
import msgspec
from mcp.shared.exceptions import MCPError

from ... import __version__
from ...catalog.index import Index
from ...fit import fit_json, for_model
from ...records import KINDS, PLURAL, Entry
from ...text import cut, fold_name
from ..learning import offered
from ..state import State
from .addresses import INDEX, PATTERNS, address, entry_at, kind_of_template, page, template
from .sessions import Ctx, OfProject
from .skills import Skills, locate
from .tools import COPIES, hold

MARKDOWN, JSON = "text/markdown", "application/json"
MOST_PATTERNS, LONGEST_DESCRIPTION = 100, 300
MOST_COMPLETIONS = 100  # the protocol's own limit


class Resources(OfProject):
    """The resources of a face. `fixed` are those listed: (URI, name, description); `patterns` are
    those described by URI templates."""

    fixed: tuple[tuple[str, str, str], ...] = ()
    patterns: tuple[types.ResourceTemplate, ...] = ()

    async def listed(
        self, ctx: Ctx, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        rows = () if params and params.cursor else self.fixed
        own = [types.Resource(uri=u, name=n, description=d, mime_type=JSON) for u, n, d in rows]
        return types.ListResourcesResult(resources=own)

    async def templates(
        self, ctx: Ctx, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=list(self.patterns))

    async def read(
        self, ctx: Ctx, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        """Read a resource. Raises MCPError when there is none that the caller may see."""
        text, kind = await self.text_at(params.uri)
        if text is None:
            cure = "List the resources, or complete a template, for those that exist."
            data = {"uri": params.uri[:1000]}
            raise MCPError(types.INVALID_PARAMS, f"There is no such resource. {cure}", data)
        hold(ctx, COPIES * len(text))
        contents = types.TextResourceContents(uri=params.uri, mime_type=kind, text=text)
        return types.ReadResourceResult(contents=[contents])

    async def text_at(self, uri: str) -> tuple[str | None, str]:
        """(text, media type) of the resource at a URI; the text is None without one."""
        raise NotImplementedError

    async def complete(self, ctx: Ctx, params: types.CompleteRequestParams) -> types.CompleteResult:
        return types.CompleteResult(completion=types.Completion(values=[], total=0, has_more=False))

    def follows(self, uri: str) -> bool:
        """Whether a change of the shared state may change the resource."""
        return False

    async def version_of(self, uri: str) -> str:
        """A text that changes with the resource as the caller sees it; "" without one."""
        raise NotImplementedError


class IndexResources(Resources):
    """The entries, the index, the patterns, and the files of skills."""

    fixed = (
        (INDEX, "index", "What is indexed, by plugin."),
        (PATTERNS, "patterns", "The plans that worked before."),
    )
    patterns = tuple(
        types.ResourceTemplate(
            uri_template=template(kind),
            name=f"{kind} by plugin and name",
            description=f"The text of one {kind}.",
            mime_type=MARKDOWN,
        )
        for kind in KINDS
    )

    def __init__(self, state: State, skills: Skills) -> None:
        super().__init__(state)
        self._skills = skills

    async def listed(
        self, ctx: Ctx, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        first = await super().listed(ctx, params)
        given = page(self._state.index, KINDS, params.cursor if params else None)
        rest = [each for entry in given.entries for each in self._of(entry)]
        return types.ListResourcesResult(
            resources=[*first.resources, *rest], next_cursor=given.cursor
        )

    def _of(self, entry: Entry) -> list[types.Resource]:
        own = types.Resource(
            uri=address(entry.kind, entry.plugin, entry.name),
            name=entry.qualified,
            description=cut(for_model(entry.description), LONGEST_DESCRIPTION) or None,
            mime_type=MARKDOWN,
        )
        return [own, *self._skills.resources(entry)]

    async def read(
        self, ctx: Ctx, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        return await self._skills.read(params.uri, ctx) or await super().read(ctx, params)

    async def text_at(self, uri: str) -> tuple[str | None, str]:
        if uri in (INDEX, PATTERNS):
            body = describe(self._state) if uri == INDEX else patterns(self._state)
            return fit_json(msgspec.json.encode(body)).decode(), JSON
        return entry_text(self._state.index, uri), MARKDOWN

    async def version_of(self, uri: str) -> str:
        state = self._addressed
        index = state.refresh.index
        if uri == PATTERNS:
            return str(state.store.revision)
        if index is None or uri == INDEX:
            return str(index.generation if index else 0)
        if located := locate(index, uri):
            return located[0].digest
        kind, plugin, name = entry_at(uri) or ("agent", "", "")
        place = index.segments[kind].find(plugin, name)
        return "" if place is None else index.segments[kind].entry(place).digest

    async def complete(self, ctx: Ctx, params: types.CompleteRequestParams) -> types.CompleteResult:
        """Complete a plugin or a name in a URI template."""
        begun = fold_name(params.argument.value)
        names = dict.fromkeys(self._names(params))
        values = [name for name in names if fold_name(name).startswith(begun)]
        shown, more = values[:MOST_COMPLETIONS], len(values) > MOST_COMPLETIONS
        return types.CompleteResult(
            completion=types.Completion(values=shown, total=len(values), has_more=more)
        )

    def _names(self, params: types.CompleteRequestParams) -> Iterable[str]:
        ref = params.ref
        kind = (
            kind_of_template(ref.uri) if isinstance(ref, types.ResourceTemplateReference) else None
        )
        if kind is None:
            return []
        owners = self._state.index.segments[kind].owners
        if params.argument.name == "plugin":
            return [plugin for plugin, _ in owners]
        chosen = (params.context.arguments or {}).get("plugin") if params.context else None
        wanted = fold_name(chosen) if chosen else None
        return [name for plugin, name in owners if wanted in (None, fold_name(plugin))]


def entry_text(index: Index, uri: str) -> str | None:
    """The text of the entry at a URI; None without one."""
    named = entry_at(uri)
    if named is None:
        return None
    segment = index.segments[named[0]]
    place = segment.find(*named[1:])
    return None if place is None else for_model(segment.text(place).strip(), lines=True)


def describe(state: State) -> dict[str, Any]:
    """The index's generation, and the number of entries in all and by plugin."""
    index, plugins = state.index, dict[str, dict[str, int]]()
    for kind in KINDS:
        for plugin, _ in index.segments[kind].owners:
            counts = plugins.setdefault(plugin, {})
            counts[PLURAL[kind]] = counts.get(PLURAL[kind], 0) + 1
    return {
        "generation": index.generation,
        "counts": {PLURAL[kind]: n for kind, n in index.manifest.counts.items()},
        "plugins": dict(sorted(plugins.items())),
        "version": __version__,
    }


def patterns(state: State) -> dict[str, Any]:
    """The patterns that are offered, the most used first."""
    every = offered(state)
    best = sorted(every, key=lambda pattern: (-pattern.uses, pattern.id))[:MOST_PATTERNS]
    names = ("goal", "agent_sequence", "success_count", "failure_count")
    rows = [{name: getattr(pattern, name) for name in names} for pattern in best]
    return {"total": len(every), "patterns": rows}
