"""The methods that need only an index: for the server, the client's fallback, the command line.

`answer_method` is the one place that maps a method's name to the function that answers it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..catalog.index import Index
from ..errors import ServerAway
from ..queries import (
    AgentQuery,
    Context,
    ContextQuery,
    EntryQuery,
    Excerpt,
    NoParams,
    SkillQuery,
    Standing,
    StandingQuery,
    WorkflowQuery,
)
from ..records import PLURAL, Experience
from ..text import Terms
from ..tokens import ESTIMATING, Tokenizer
from .answer import answer_agents, answer_skills, answer_workflows
from .context import get_context
from .excerpt import get_entry
from .explain import standing_of


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What an answer may use beside the index. `pattern` is a result of getOrchestrationPattern."""

    terms: Terms
    experience: Experience | None = None
    pattern: dict[str, Any] | None = None
    tokens: Tokenizer = ESTIMATING


def answer_method(index: Index, name: str, params: Any, knowledge: Knowledge) -> Any:
    """The result of the method by its wire name, for params that were checked.

    Raises InvalidParams for an entry that is not there, ServerAway for what needs a server.
    """
    if name not in ANSWERS:
        raise ServerAway(f"{name} needs the server: an index alone cannot answer it.")
    return ANSWERS[name](index, params, knowledge)


def query_agents(index: Index, query: AgentQuery, known: Knowledge) -> dict[str, object]:
    return answer_agents(index, query, known.terms, known.experience).as_result(index.generation)


def query_skills(index: Index, query: SkillQuery, known: Knowledge) -> dict[str, object]:
    return answer_skills(index, query, known.terms, known.experience).as_result(index.generation)


def query_workflows(index: Index, query: WorkflowQuery, known: Knowledge) -> dict[str, object]:
    return answer_workflows(index, query, known.terms, known.experience).as_result(index.generation)


def read_entry(index: Index, query: EntryQuery, known: Knowledge) -> Excerpt:
    return get_entry(index, query, known.tokens)


def read_context(index: Index, query: ContextQuery, known: Knowledge) -> Context:
    return get_context(index, query, known.terms, known.experience, known.pattern, known.tokens)


def explain(index: Index, query: StandingQuery, known: Knowledge) -> Standing:
    return standing_of(index, query, known.terms, known.experience)


def read_health(index: Index, _: NoParams, known: Knowledge) -> dict[str, object]:
    """The health of a client that answers by itself."""
    counts = {PLURAL[kind]: count for kind, count in index.manifest.counts.items()}
    return {"status": "embedded", "generation": index.generation, "indexes": counts}


ANSWERS: dict[str, Callable[[Index, Any, Knowledge], Any]] = {
    "queryAgents": query_agents,
    "querySkills": query_skills,
    "queryWorkflows": query_workflows,
    "getEntry": read_entry,
    "getContext": read_context,
    "explainStanding": explain,
    "getHealth": read_health,
}
