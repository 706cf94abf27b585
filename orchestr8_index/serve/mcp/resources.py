"""What can be read by address? Entries, the index itself, the patterns, and the files of skills."""

from __future__ import annotations

from typing import Any

import msgspec
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from ... import __version__
from ...catalog.index import Index
from ...records import KINDS, PLURAL, Entry, Pattern
from ...text import cut
from ..learning import offered
from ..state import State
from .pagination import page
from .skills import Skills
from .tools import Ctx
from .uris import INDEX, PATTERNS, address, entry_at, template

MARKDOWN, JSON = "text/markdown", "application/json"
MOST_PATTERNS, LONGEST_DESCRIPTION = 100, 300


class Resources:
    def __init__(self, state: State, skills: Skills) -> None:
        self._state, self._skills = state, skills

    async def listed(self, ctx: Ctx, params: PaginatedRequestParams | None) -> ListResourcesResult:
        cursor = params.cursor if params else None
        given = page(self._state.index, KINDS, cursor)
        found = [resource for entry in given.entries for resource in self._of(entry)]
        first = [] if cursor else _fixed()
        return ListResourcesResult(resources=[*first, *found], next_cursor=given.cursor)

    def _of(self, entry: Entry) -> list[Resource]:
        uri = address(entry.kind, entry.plugin, entry.name)
        own = Resource(
            uri=uri,
            name=entry.qualified,
            description=cut(entry.description, LONGEST_DESCRIPTION) or None,
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
        uri = params.uri
        if uri == INDEX:
            return _json(uri, describe(self._state))
        if uri == PATTERNS:
            return _json(uri, patterns(self._state))
        found = await self._skills.read(uri)
        if found is not None:
            return found
        text = entry_text(self._state.index, uri)
        if text is None:
            cure = "List the resources, or complete a template, for those that exist."
            raise MCPError(INVALID_PARAMS, f"There is no such resource. {cure}", {"uri": uri})
        return _result(TextResourceContents(uri=uri, mime_type=MARKDOWN, text=text))


def entry_text(index: Index, uri: str) -> str | None:
    named = entry_at(uri)
    if named is None:
        return None
    kind, plugin, name = named
    place = index.segments[kind].find(plugin, name)
    return None if place is None else index.segments[kind].text(place).strip()


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
    known = offered(state.keeper.ready if state.keeper else None)
    best = sorted(known, key=lambda pattern: (-pattern.uses, pattern.id))[:MOST_PATTERNS]
    return {"total": len(known), "patterns": [_pattern(each) for each in best]}


def _pattern(pattern: Pattern) -> dict[str, Any]:
    return {
        "goal": pattern.goal,
        "agent_sequence": pattern.agent_sequence,
        "success_count": pattern.success_count,
        "failure_count": pattern.failure_count,
    }


def _fixed() -> list[Resource]:
    index = Resource(
        uri=INDEX, name="index", description="What is indexed, by plugin.", mime_type=JSON
    )
    past = Resource(
        uri=PATTERNS, name="patterns", description="The plans that worked before.", mime_type=JSON
    )
    return [index, past]


def _json(uri: str, body: Any) -> ReadResourceResult:
    text = msgspec.json.encode(body).decode()
    return _result(TextResourceContents(uri=uri, mime_type=JSON, text=text))


def _result(contents: TextResourceContents) -> ReadResourceResult:
    return ReadResourceResult(contents=[contents])
