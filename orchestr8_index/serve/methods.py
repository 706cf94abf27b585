"""What can be asked? THE table: name, params, function, cache and one sentence for each method.

JSON-RPC dispatch, the documentation and the metric labels are derived from it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from msgspec import Struct

from .. import params
from ..errors import StoreUnavailable
from ..learn.verify import Chosen
from ..records import (
    AgentQuery,
    ContextQuery,
    EntryQuery,
    Kind,
    NoParams,
    PatternGoal,
    PatternSearch,
    PatternStore,
    Report,
    SkillQuery,
    WorkflowQuery,
)
from ..search.answer import answer_agents, answer_skills, answer_workflows
from ..search.context import get_context
from ..search.excerpt import get_entry
from .health import health, metrics
from .learning import cache_decision, find_patterns, forget_decisions, get_pattern, store_pattern
from .state import State

Result = Any
Call = Callable[[State, Any], Awaitable[Result]]


class Method(Struct, frozen=True):
    """`name` on the wire; `short` in client, MCP and command line; `scope` is who may call it.

    `cache` names the cache that keeps its answers; only those carry `cache_hit`. `about` is
    the kind of entries whose experience alone can change an answer. `when` tells a model when to
    call it; a method without it is no tool.
    """

    name: str
    short: str
    params: type[Struct]
    call: Call
    sentence: str
    scope: Literal["read", "report", "admin"] = "read"
    cache: Literal["", "query", "pattern"] = ""
    about: Kind | None = None
    when: str = ""


async def query_agents(state: State, query: AgentQuery) -> Result:
    params.check_agents_query(query)
    index = state.index
    return answer_agents(index, query, state.terms, state.experience).as_result(index.generation)


async def query_skills(state: State, query: SkillQuery) -> Result:
    index = state.index
    return answer_skills(index, query, state.terms, state.experience).as_result(index.generation)


async def query_workflows(state: State, query: WorkflowQuery) -> Result:
    index = state.index
    return answer_workflows(index, query, state.terms, state.experience).as_result(index.generation)


async def read_entry(state: State, query: EntryQuery) -> Result:
    return get_entry(state.index, query, state.tokens)


async def read_context(state: State, query: ContextQuery) -> Result:
    try:
        pattern = await get_pattern(state, PatternGoal(goal=query.task))
    except StoreUnavailable:  # what the index knows is worth having without the past
        pattern = None
    of = (state.index, query, state.terms, state.experience, pattern, state.tokens)
    return get_context(*of)


async def get_health(state: State, _: NoParams) -> Result:
    return health(state)


async def get_metrics(state: State, _: NoParams) -> Result:
    return metrics(state)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "queryAgents",
            "query_agents",
            AgentQuery,
            query_agents,
            "Which agents play this role, have this capability, or fit this context?",
            about="agent",
            cache="query",
            when=(
                "Find the agent for a piece of work before you delegate it or do it yourself. "
                "Give context (the task in a sentence), capability or role."
            ),
        ),
        Method(
            "querySkills",
            "query_skills",
            SkillQuery,
            query_skills,
            "Which skills fit this context?",
            about="skill",
            cache="query",
            when=(
                "Find skills (instructions for doing something well) before you start on a task"
                " of some kind."
            ),
        ),
        Method(
            "queryWorkflows",
            "query_workflows",
            WorkflowQuery,
            query_workflows,
            "Which commands reach this goal?",
            about="workflow",
            cache="query",
            when=("Find a ready command for a goal of several steps before you plan it yourself."),
        ),
        Method(
            "getOrchestrationPattern",
            "get_pattern",
            PatternGoal,
            get_pattern,
            "Which sequence of agents worked for goals like this one?",
            cache="pattern",
            when=(
                "Before work for several agents: the sequence of agents that succeeded for "
                "goals like this one, if there is one."
            ),
        ),
        Method(
            "queryPattern",
            "find_patterns",
            PatternSearch,
            find_patterns,
            "All patterns whose goal is alike enough, best first.",
            cache="pattern",
        ),
        Method(
            "storePattern",
            "store_pattern",
            PatternStore,
            store_pattern,
            "Keep a sequence of agents, with its dependencies, for a kind of goal.",
            scope="report",
        ),
        Method(
            "cacheDecision",
            "report_outcome",
            Report,
            cache_decision,
            "Report how a task ended; acknowledged once it is on the disk.",
            scope="report",
            when=(
                "After each task that agents did, whether it went well or not: which agents "
                "(plugin:name) and how it ended. The next answers learn from it. resolved_by is"
                " the agent that finally solved it."
            ),
        ),
        Method(
            "forgetDecisions",
            "forget",
            Chosen,
            forget_decisions,
            "Remove decisions by task, date or agent, with everything learnt from them.",
            scope="admin",
        ),
        Method(
            "getEntry",
            "get_entry",
            EntryQuery,
            read_entry,
            "The text of one entry, cut to a token budget.",
            when=(
                "Read what a hit of a query says: an agent's prompt, a skill's instructions, a "
                "command's text. Take kind, plugin and name from its row; max_tokens cuts at a "
                "heading."
            ),
        ),
        Method(
            "getContext",
            "get_context",
            ContextQuery,
            read_context,
            "What one task needs, within a token budget: rows, the past pattern, one section.",
            cache="query",
            when=(
                "All that one task needs in one call, within max_tokens: agents, skills, a "
                "workflow, the plan that worked before, the best passage. Prefer it to several "
                "queries."
            ),
        ),
        Method("getHealth", "health", NoParams, get_health, "The same as GET /health."),
        Method("getMetrics", "metrics", NoParams, get_metrics, "The same as GET /metrics."),
    )
}


def read_params(method: Method, raw: bytes) -> Any:
    """Raises InvalidParams with every bad field by name, unknown ones too."""
    return params.read_params(method.params, raw)
