"""THE table of methods: everything that can be asked, as data.

JSON-RPC, MCP, the clients, the command line, the documents and the metric labels are views of it.
What answers a method lives elsewhere: `search/methods.py` for what an index alone can answer,
`serve/handlers.py` for what needs the running server.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from .queries import (
    AgentAnswer,
    AgentQuery,
    ContextAnswer,
    ContextQuery,
    EntryAnswer,
    EntryQuery,
    HealthAnswer,
    NoParams,
    SkillAnswer,
    SkillQuery,
    WorkflowAnswer,
    WorkflowQuery,
)
from .records import Kind
from .reports import (
    ForgetQuery,
    Forgotten,
    OutcomeAnswer,
    PatternAnswer,
    PatternGoal,
    PatternSearch,
    PatternStore,
    PatternStored,
    Report,
)
from .validate import Params

Scope = Literal["read", "report", "admin"]


class Method(Struct, frozen=True):
    """One method. `name` is its name in JSON-RPC; `short` in MCP, the clients and the command line.

    `params` is a struct; `result` a type that msgspec can decode. `scope` is the right that a
    caller needs. `cache` names the server's cache that keeps its answers; only those carry
    `cache_hit`. `about` is the kind of entries whose experience alone can change an answer.
    `away` is what a client does without a server: answer from an index of its own, fail, or keep
    the call until a server is there. `sentence` is for people. `when` tells a model when to call
    it; a method without it is no MCP tool.
    """

    name: str
    short: str
    params: type[Params]
    result: Any
    sentence: str
    scope: Scope = "read"
    cache: Literal["", "query", "pattern"] = ""
    about: Kind | None = None
    away: Literal["answer", "fail", "keep"] = "fail"
    when: str = ""


_TABLE = (
    Method(
        "queryAgents",
        "query_agents",
        AgentQuery,
        AgentAnswer,
        "Which agents play this role, have this capability, or fit this context?",
        about="agent",
        cache="query",
        away="answer",
        when=(
            "Find the agent for a piece of work before you delegate it or do it yourself. "
            "Give context (the task in a sentence), capability or role."
        ),
    ),
    Method(
        "querySkills",
        "query_skills",
        SkillQuery,
        SkillAnswer,
        "Which skills fit this context?",
        about="skill",
        cache="query",
        away="answer",
        when=(
            "Find skills (instructions for doing something well) before you start on a task"
            " of some kind."
        ),
    ),
    Method(
        "queryWorkflows",
        "query_workflows",
        WorkflowQuery,
        WorkflowAnswer,
        "Which commands reach this goal?",
        about="workflow",
        cache="query",
        away="answer",
        when="Find a ready command for a goal of several steps before you plan it yourself.",
    ),
    Method(
        "getOrchestrationPattern",
        "get_pattern",
        PatternGoal,
        PatternAnswer | None,
        "Which sequence of agents worked for goals like this one?",
        cache="pattern",
        away="answer",
        when=(
            "Before work for several agents: the sequence of agents that succeeded for "
            "goals like this one, if there is one."
        ),
    ),
    Method(
        "queryPattern",
        "find_patterns",
        PatternSearch,
        list[PatternAnswer],
        "All patterns whose goal is alike enough, best first.",
        cache="pattern",
        away="answer",
    ),
    Method(
        "storePattern",
        "store_pattern",
        PatternStore,
        PatternStored,
        "Keep a sequence of agents, with its dependencies, for a kind of goal.",
        scope="report",
    ),
    Method(
        "cacheDecision",
        "report_outcome",
        Report,
        OutcomeAnswer,
        "Report how a task ended; acknowledged once it is on the disk.",
        scope="report",
        away="keep",
        when=(
            "After each task that agents did, whether it went well or not: which agents "
            "(plugin:name) and how it ended. The next answers learn from it. resolved_by is"
            " the agent that finally solved it."
        ),
    ),
    Method(
        "forgetDecisions",
        "forget",
        ForgetQuery,
        Forgotten,
        "Remove decisions by task, date or agent, with everything learnt from them.",
        scope="admin",
    ),
    Method(
        "getEntry",
        "get_entry",
        EntryQuery,
        EntryAnswer,
        "The text of one entry, cut to a token budget.",
        away="answer",
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
        ContextAnswer,
        "What one task needs, within a token budget: rows, the past pattern, one section.",
        cache="query",
        away="answer",
        when=(
            "All that one task needs in one call, within max_tokens: agents, skills, a "
            "workflow, the plan that worked before, the best passage. Prefer it to several "
            "queries."
        ),
    ),
    Method(
        "getHealth",
        "health",
        NoParams,
        HealthAnswer,
        "The same as GET /health.",
        away="answer",
    ),
    Method("getMetrics", "metrics", NoParams, dict[str, Any], "The same as GET /metrics."),
)

METHODS: dict[str, Method] = {method.name: method for method in _TABLE}
SHORT: dict[str, Method] = {method.short: method for method in _TABLE}
