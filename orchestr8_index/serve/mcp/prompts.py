"""MCP prompts: each command is one, with its arguments filled in."""

from __future__ import annotations

import re

import mcp_types as types
from mcp.shared.exceptions import MCPError

from ...fit import for_model
from ...records import Entry
from ...text import cut
from .addresses import page
from .sessions import Ctx, OfProject

LONGEST_DESCRIPTION = 300
ARGUMENTS = "arguments"
NOT_FOR_PEOPLE = ("model", "nobody")
PLACE = "$ARGUMENTS"
MOST_TEXT = 2_000_000  # characters of a prompt with its arguments
_NUMBERED = re.compile(r"\$([1-9])(?!\d)")


class Prompts(OfProject):
    """The commands as MCP prompts."""

    async def listed(
        self, ctx: Ctx, params: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        given = page(self._state.index, ["workflow"], params.cursor if params else None)
        prompts = [_prompt(entry) for entry in given.entries if entry.runs not in NOT_FOR_PEOPLE]
        return types.ListPromptsResult(prompts=prompts, next_cursor=given.cursor)

    async def get(self, ctx: Ctx, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        segment = self._state.index.segments["workflow"]
        place = segment.position.get(params.name)
        if place is None:
            cure = "List the prompts for those that are."
            raise MCPError(
                types.INVALID_PARAMS, f"There is no prompt {params.name[:100]!r}. {cure}"
            )
        whole, given = segment.text(place).strip(), (params.arguments or {}).get(ARGUMENTS, "")
        if len(whole) + whole.count("$") * len(given) > MOST_TEXT:
            raise MCPError(
                types.INVALID_PARAMS, "The arguments are too long for this prompt. Cut them."
            )
        text = filled(for_model(whole, lines=True), given)
        message = types.PromptMessage(role="user", content=types.TextContent(text=text))
        description = for_model(segment.entry(place).description) or None
        return types.GetPromptResult(description=description, messages=[message])


def filled(text: str, arguments: str) -> str:
    """The text with $ARGUMENTS or $1 to $9 replaced; without these, arguments are appended."""
    if PLACE in text:
        return text.replace(PLACE, arguments)
    words = arguments.split()
    if not words:
        return text
    if _NUMBERED.search(text):
        return _NUMBERED.sub(lambda match: _word(words, int(match[1])), text)
    return f"{text}\n\nArguments: {arguments}"


def _word(words: list[str], number: int) -> str:
    return words[number - 1] if number <= len(words) else ""


def _prompt(entry: Entry) -> types.Prompt:
    hint = cut(for_model(entry.arguments), LONGEST_DESCRIPTION) or "What the command is to work on."
    return types.Prompt(
        name=entry.qualified,
        description=cut(for_model(entry.description), LONGEST_DESCRIPTION)
        or f"The command {for_model(entry.name)}.",
        arguments=[types.PromptArgument(name=ARGUMENTS, description=hint, required=False)],
    )
