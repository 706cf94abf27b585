"""Suggests who could do what the user has just asked for: a few lines for the host, or nothing.

It speaks only when the confidence of a kind's first match is SPEAK or more, and only to a request:
"thanks" and "fix the typo" are for the host alone. docs/measurements.md has the figures.
"""

from __future__ import annotations

import re
from typing import Any

from ...fit import in_prose
from ...queries import AgentQuery, Answer, HostName, Row, SkillQuery, WorkflowQuery
from ...search.answer import answer_agents, answer_skills, answer_workflows
from ...search.confidence import SPEAK
from ...text import cut
from ...tokens import estimate_tokens
from ..state import State

LEAST_WORDS = 4  # distinct words that bear meaning
MOST_TOKENS = 300
MOST_CHARS = 500  # of a prompt, as the query methods allow
ROWS = {"agent": 3, "skill": 2, "workflow": 1}
NOUNS = {"agent": "agent", "skill": "skill", "workflow": "command"}
HEAD = (
    "Matches from the Orchestr8 Index for this request (in brackets: how sure that the first fits):"
)
FOOT = "Use one where it fits; query_agents, query_skills and get_entry tell more."
NOT_A_REQUEST = re.compile(r"\s*[/<!#]")  # a command, a message of the host, its shell, its memory


def suggest(state: State, prompt: str, host: HostName = "claude") -> str:
    """The prompt is answered: neither the log nor the store has it, but as the goal of a plan."""
    if NOT_A_REQUEST.match(prompt):
        return ""
    text = cut(" ".join(prompt[: 4 * MOST_CHARS].split()), MOST_CHARS)
    if len(set(state.terms(text))) < LEAST_WORDS:
        return ""
    lines = [line for answer in _answers(state, text, host) for line in _lines(answer)]
    return _packed(lines) if lines else ""


def _answers(state: State, text: str, host: HostName) -> list[Answer]:
    index, given = state.index, (state.terms, state.experience)
    asks: dict[str, Any] = {"min_confidence": SPEAK, "user_only": False, "host": host}
    agents = AgentQuery(context=text, limit=ROWS["agent"], **asks)
    skills = SkillQuery(context=text, limit=ROWS["skill"], **asks)
    workflows = WorkflowQuery(goal=text, limit=ROWS["workflow"], **asks)
    return [
        answer_agents(index, agents, *given),
        answer_skills(index, skills, *given),
        answer_workflows(index, workflows, *given),
    ]


def _lines(answer: Answer) -> list[str]:
    return [
        f"- {NOUNS[answer.kind]} {_named(row)}{sure}: {in_prose(row.description)}"
        for row, sure in zip(answer.rows, [f" ({answer.confidence:.2f})", *[""] * 20], strict=False)
        if not row.hosts
    ]


def _named(row: Row) -> str:
    """As the host takes it."""
    return in_prose(row.call or row.name)


def _packed(lines: list[str]) -> str:
    """The lines that fit, in their order; a line that alone is too long is left out."""
    chosen: list[str] = []
    for line in lines:
        if estimate_tokens("\n".join([HEAD, *chosen, line, FOOT])) <= MOST_TOKENS:
            chosen.append(line)
    return "\n".join([HEAD, *chosen, FOOT]) if chosen else ""
