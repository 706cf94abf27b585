"""Suggests agents, skills and commands for a prompt: a few lines for the host, or nothing.

Suggestions are made only if the confidence of a first match is SPEAK or more (SURE for a short
prompt), and not for prompts such as "thanks", "fix the typo" or what the host does in one step
("rename this variable"). docs/measurements.md has the figures.
"""

from __future__ import annotations

import re
from typing import Any

from ...fit import in_prose, quoted_in_prose
from ...queries import Answer, HostName, Row
from ...records import Kind
from ...search.answer import answer_task
from ...search.confidence import SPEAK
from ...text import cut, raw_words
from ...tokens import estimate_tokens
from ..state import State

LEAST_WORDS = 4
LEAST_TELLING, FEW_TELLING, SURE = 2, 4, 0.9  # distinct words that bear meaning; of few, this sure
NEAR_KIND, NEAR_ROW = 0.1, 0.75  # what is shown of other kinds, and of rows below the first
ONE_STEP = 9  # words; a longer prompt asks for more than one step
MOST_TOKENS = 300
MOST_CHARS = 500  # of a prompt, as the query methods allow
ROWS: dict[Kind, int] = {"agent": 3, "skill": 2, "workflow": 1}
NOUNS = {"agent": "agent", "skill": "skill", "workflow": "command"}
HEAD = (
    "Matches from the Orchestr8 Index for this request (in brackets: how sure that the first fits; "
    "in quotes: the entry's own words):"
)
FOOT = "Use one where it fits; query_agents, query_skills and get_entry tell more."
NOT_A_REQUEST = re.compile(r"\s*[/<!#]")  # a command, a message of the host, its shell, its memory
_HOST_DOES = re.compile(
    r"(?:please |now |just )*(?:align|cent(?:er|re)|change|copy|count|delete|explain|hide|inline"
    r"|list|log|look at|make|mock|move|open|parse|paste|print|put|read|remove|rename|reply to"
    r"|round|run|set|shorten|show|skip|sort|split|summari[sz]e|translate|trim|undo|use|wrap) "
    r"(?:me )?(?:this|that|these|those|it|your|last|a copy|the)\b(?! (?:app|site|website)\b)",
    re.IGNORECASE,
)


def suggest(state: State, prompt: str, host: HostName = "claude") -> str:
    """The text for the host; "" for no suggestion. The prompt is neither logged nor stored."""
    if NOT_A_REQUEST.match(prompt):
        return ""
    text = cut(" ".join(prompt[: 4 * MOST_CHARS].split()), MOST_CHARS)
    least = _least(text, len(set(state.terms(text))))
    if not least:
        return ""
    known = state.terms, state.experience
    chosen: dict[str, Any] = {"min_confidence": least, "user_only": False, "host": host}
    asked = (
        answer_task(state.index, kind, text, *known, limit=limit, **chosen)
        for kind, limit in ROWS.items()
    )
    answers = [answer for answer in asked if answer.rows]
    best = max((answer.confidence for answer in answers), default=0.0)
    near = (answer for answer in answers if answer.confidence >= best - NEAR_KIND)
    lines = [line for answer in near for line in _lines(answer)]
    return _packed(lines) if lines else ""


def _least(text: str, telling: int) -> float:
    """The least confidence for a suggestion; 0 for a prompt that gets none."""
    words = len(raw_words(text))
    if words < LEAST_WORDS or telling < LEAST_TELLING:
        return 0.0
    if words <= ONE_STEP and _HOST_DOES.match(text):
        return 0.0
    return SURE if telling < FEW_TELLING else SPEAK


def _lines(answer: Answer) -> list[str]:
    least = NEAR_ROW * answer.rows[0].score
    return [
        f"- {NOUNS[answer.kind]} {_named(row)}{sure}: {quoted_in_prose(row.description)}"
        for row, sure in zip(answer.rows, [f" ({answer.confidence:.2f})", *[""] * 20], strict=False)
        if not row.hosts and row.score >= least
    ]


def _named(row: Row) -> str:
    """The name by which the host calls it."""
    return in_prose(row.call or row.name)


def _packed(lines: list[str]) -> str:
    """The lines that fit, in their order; a line that alone is too long is left out."""
    chosen: list[str] = []
    for line in lines:
        if estimate_tokens("\n".join([HEAD, *chosen, line, FOOT])) <= MOST_TOKENS:
            chosen.append(line)
    return "\n".join([HEAD, *chosen, FOOT]) if chosen else ""
