"""Is every command a prompt, with its arguments where it wants them?"""

from __future__ import annotations

import pytest

from orchestr8_index.serve.mcp.prompts import filled
from orchestr8_index.serve.state import State

from .meeting import meet, refused


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("Fix $ARGUMENTS now. $ARGUMENTS!", "it", "Fix it now. it!"),
        ("Fix $ARGUMENTS.", "", "Fix ."),
        ("Fix $1 in $2, not $3.", "bug src", "Fix bug in src, not ."),
        ("Costs $100.", "x", "Costs $100.\n\nArguments: x"),
        ("Fix.", "", "Fix."),
        ("Fix.", "a b", "Fix.\n\nArguments: a b"),
        ("$ARGUMENTS and $1", "$1 $ARGUMENTS", "$1 $ARGUMENTS and $1"),
    ],
)
def test_arguments_stand_where_the_command_wants_them(text: str, arguments: str, said: str) -> None:
    assert filled(text, arguments) == said


def test_every_command_is_a_prompt(state: State) -> None:
    told = meet(state, lambda client: client.list_prompts()).prompts
    assert len(told) == 8
    assert all(":" in prompt.name and prompt.description for prompt in told)
    assert all(not argument.required for prompt in told for argument in prompt.arguments or [])


def test_a_prompt_is_the_text_of_its_command(state: State) -> None:
    async def get(client: object) -> list[str]:
        listed = await client.list_prompts()  # type: ignore[attr-defined]
        given = {"arguments": "the harbour"}
        told = [await client.get_prompt(p.name, given) for p in listed.prompts]  # type: ignore[attr-defined]
        return [each.messages[0].content.text for each in told]

    texts = meet(state, get)
    assert len(texts) == 8
    assert all("the harbour" in text and "$ARGUMENTS" not in text for text in texts)


def test_an_unknown_prompt_is_refused(state: State) -> None:
    error = refused(state, lambda client: client.get_prompt("studio:nothing"))
    assert (error.code, "studio:nothing" in error.error.message) == (-32602, True)
