"""MCP resources: entries, the index itself, the patterns, the files of skills, and completion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    ResourceTemplateReference,
    TextResourceContents,
)

from ... import __version__
from ...catalog.index import Index
from ...fit import fit_json, for_model
from ...records import KINDS, PLURAL, Entry
from ...text import cut, fold_name
from ..learning import offered
from ..state import State
from .addresses import INDEX, PATTERNS, address, entry_at, kind_of_template, page, template
from .roots import OfProject
from .skills import Skills
from .tools import Ctx

MARKDOWN, JSON = "text/markdown", "application/json"
MOST_PATTERNS, LONGEST_DESCRIPTION = 100, 300
MOST_COMPLETIONS = 100  # the protocol's own limit


class Resources(OfProject):
    """The entries, the index and the patterns as MCP resources."""

    def __init__(self, state: State, skills: Skills) -> None:
        super().__init__(state)
        self._skills = skills

    async def listed(self, ctx: Ctx, params: PaginatedRequestParams | None) -> ListResourcesResult:
        cursor = params.cursor if params else None
        given = page(self._state.index, KINDS, cursor)
        first = [] if cursor else _fixed()
        resources = [each for entry in given.entries for each in self._of(entry)]
        return ListResourcesResult(resources=[*first, *resources], next_cursor=given.cursor)

    def _of(self, entry: Entry) -> list[Resource]:
        own = Resource(
            uri=address(entry.kind, entry.plugin, entry.name),
            name=entry.qualified,
            description=cut(for_model(entry.description), LONGEST_DESCRIPTION) or None,
            mime_type=MARKDOWN,
        )
        return [own, *self._skills.resources(entry)]

    async def templates(
        self, ctx: Ctx, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        templates = [
            ResourceTemplate(
                uri_template=template(kind),
                name=f"{kind} by plugin and name",
                description=f"The text of one {kind}.",
                mime_type=MARKDOWN,
            )
            for kind in KINDS
        ]
        return ListResourceTemplatesResult(resource_templates=templates)

    async def read(self, ctx: Ctx, params: ReadResourceRequestParams) -> ReadResourceResult:
        uri, kind = params.uri, JSON
        if uri == INDEX:
            text: str | None = _json(describe(self._state))
        elif uri == PATTERNS:
            text = _json(patterns(self._state))
        elif file := await self._skills.read(uri, ctx):
            return file
        else:
            text, kind = entry_text(self._state.index, uri), MARKDOWN
        if text is None:
            cure = "List the resources, or complete a template, for those that exist."
            raise MCPError(INVALID_PARAMS, f"There is no such resource. {cure}", {"uri": uri})
        contents = TextResourceContents(uri=uri, mime_type=kind, text=text)
        return ReadResourceResult(contents=[contents])

    async def complete(self, ctx: Ctx, params: CompleteRequestParams) -> CompleteResult:
        """Plugins and names for the templates that begin with what was typed."""
        begun = fold_name(params.argument.value)
        names = dict.fromkeys(self._names(params))
        values = [name for name in names if fold_name(name).startswith(begun)]
        shown, more = values[:MOST_COMPLETIONS], len(values) > MOST_COMPLETIONS
        return CompleteResult(completion=Completion(values=shown, total=len(values), has_more=more))

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


def entry_text(index: Index, uri: str) -> str | None:
    """The text of the entry at an address; None where there is none."""
    named = entry_at(uri)
    if named is None:
        return None
    segment = index.segments[named[0]]
    place = segment.find(*named[1:])
    return None if place is None else for_model(segment.text(place).strip(), lines=True)


def describe(state: State) -> dict[str, Any]:
    """What is indexed: counts in all and by plugin, and which generation serves."""
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
    """The plans that worked, most used first."""
    every = offered(state)
    best = sorted(every, key=lambda pattern: (-pattern.uses, pattern.id))[:MOST_PATTERNS]
    names = ("goal", "agent_sequence", "success_count", "failure_count")
    rows = [{name: getattr(pattern, name) for name in names} for pattern in best]
    return {"total": len(every), "patterns": rows}


def _fixed() -> list[Resource]:
    rows = (
        (INDEX, "index", "What is indexed, by plugin."),
        (PATTERNS, "patterns", "The plans that worked before."),
    )
    return [Resource(uri=u, name=n, description=d, mime_type=JSON) for u, n, d in rows]


def _json(body: Any) -> str:
    return fit_json(msgspec.json.encode(body)).decode()
