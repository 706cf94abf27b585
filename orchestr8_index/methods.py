"""The table of methods: everything that can be asked, as data.

JSON-RPC, MCP, the clients, the command line, the documents and the metric labels are views of it.
What answers a method lives elsewhere: `search/methods.py` for what an index alone can answer,
`serve/handlers.py` for what needs the running server. The rows of the shared state stand in
`sharing.py`, those of the page in `views.py`.
"""

from __future__ import annotations

from typing import Any

from .errors import Starting, StoreUnavailable
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
    Standing,
    StandingQuery,
    WorkflowAnswer,
    WorkflowQuery,
)
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
from .sharing import SHARING
from .table import Example, Method
from .views import VIEWS

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
            "Find the agent for some work before you delegate it or do it yourself. "
            "Give task, capability or role."
        ),
        errors=(Starting,),
        example=Example(
            '{"context": "our database queries are slow", "limit": 1}',
            '{"agents": [{"name": "postgres-tuner", "plugin": "build-and-ship", '
            '"score": 0.6157, "model": "opus", "capabilities": ["databases", '
            '"query-optimisation", "indexing"]}], '
            '"reasoning": "build-and-ship:postgres-tuner scores 0.62: matches database, '
            '…", "confidence": 0.7664, "cache_hit": false, "generation": 1, '
            '"source": "index"}',
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
        when=("Find skills (instructions for doing something well) before you start on a task."),
        errors=(Starting,),
        example=Example(
            '{"context": "write release notes", "limit": 1, "min_confidence": 0.999}',
            '{"skills": [], "reasoning": "…", "confidence": 0.9902, "cache_hit": false, '
            '"generation": 1, "source": "index", "near_misses": ["studio:release-notes"]}',
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
        errors=(Starting,),
        example=Example(
            '{"goal": "ship a release", "limit": 1}',
            '{"workflows": [{"name": "ship-feature", "plugin": "build-and-ship", '
            '"score": 0.5382}], '
            '"reasoning": "build-and-ship:ship-feature scores 0.54: matches ship, '
            'release.", "confidence": 0.4678, "cache_hit": false, "generation": 1, '
            '"source": "index"}',
        ),
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
            "Before work for several agents: the sequence that succeeded for goals like this "
            "one, if there is one."
        ),
        errors=(StoreUnavailable,),
        example=Example(
            '{"goal": "find out why the orders page is slow"}',
            '{"pattern": {"id": 1, "goal": "find out why the orders page is slow", '
            '"agent_sequence": ["build-and-ship:postgres-tuner"], "success_count": 2, '
            '"failure_count": 0}, "success_rate": 1.0, "similarity": 1.0, '
            '"task_count": 2, "matched_by": "similarity"}',
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
        errors=(StoreUnavailable,),
        example=Example(
            '{"goal": "find out why the orders page is slow", "limit": 1}',
            '[{"pattern": {"id": 1, "goal": "find out why the orders page is slow", '
            '"agent_sequence": ["build-and-ship:postgres-tuner"], "success_count": 2, '
            '"failure_count": 0}, "success_rate": 1.0, "similarity": 1.0, '
            '"task_count": 2, "matched_by": "similarity"}]',
        ),
    ),
    Method(
        "storePattern",
        "store_pattern",
        PatternStore,
        PatternStored,
        "Keep a sequence of agents, with its dependencies, for a kind of goal.",
        scope="report",
        errors=(Starting, StoreUnavailable),
        example=Example(
            '{"goal": "ship a release", "agent_sequence": ["test-strategist", "docs-writer"]}',
            '{"pattern_id": 2, "created": true}',
        ),
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
            "After each task that agents did, well or not: who did it and how it ended. The "
            "next answers learn from it."
        ),
        errors=(Starting, StoreUnavailable),
        example=Example(
            '{"task_id": "t-1", '
            '"task_description": "find out why the orders page is slow", '
            '"agents_used": ["postgres-tuner"], "result": "success"}',
            '{"stored": true, "decision_id": 1, "receipt": {"pattern": null, '
            '"entries": [{"entry": "build-and-ship:postgres-tuner", "points": 1.0}], '
            '"duplicate": false, "amended": false, "unknown": []}}',
        ),
    ),
    Method(
        "forgetDecisions",
        "forget",
        ForgetQuery,
        Forgotten,
        "Remove decisions by task, date or agent, with everything learnt from them.",
        scope="admin",
        errors=(StoreUnavailable,),
        example=Example('{"task_id": "t-1"}', '{"forgotten": 1}'),
    ),
    Method(
        "getEntry",
        "get_entry",
        EntryQuery,
        EntryAnswer,
        "The text of one entry, cut to a token budget.",
        away="answer",
        when=(
            "Read a hit of a query: an agent's prompt, a skill's instructions, a command's text."
        ),
        errors=(Starting,),
        example=Example(
            '{"kind": "agent", "plugin": "build-and-ship", "name": "postgres-tuner", '
            '"max_tokens": 40}',
            '{"kind": "agent", "plugin": "build-and-ship", "name": "postgres-tuner", '
            '"text": "# Postgres tuner\\n\\nYou make relational databases fast. …", '
            '"tokens": 25, "truncated": true}',
        ),
    ),
    Method(
        "getContext",
        "get_context",
        ContextQuery,
        ContextAnswer,
        "What one task needs, within a token budget: rows, the past pattern, passages.",
        cache="query",
        away="answer",
        when=(
            "All that one task needs in one call: agents, skills, a workflow, the plan that "
            "worked before, the best passage. Prefer it to several queries."
        ),
        errors=(Starting,),
        example=Example(
            '{"task": "clean up a messy csv export", "max_tokens": 200, "kinds": ["skill"]}',
            '{"agents": [], "skills": [{"name": "csv-cleanup", "plugin": "data-desk", '
            '"score": 0.5291}], "workflows": [], "confidence": {"skills": 0.97}, '
            '"pattern": null, "text": "From the skill data-desk:csv-cleanup: …", '
            '"receipt": {"tokens_used": 183, "tokens_catalogue": 2009, '
            '"tokenizer": "estimate, 4 characters a token"}}',
        ),
    ),
    Method(
        "explainStanding",
        "explain",
        StandingQuery,
        Standing,
        "Why does an entry stand where it stands for a task, and which words would bring it up?",
        away="answer",
        errors=(Starting,),
        example=Example(
            '{"task": "our database queries are slow", "name": "test-strategist"}',
            '{"entry": "guard-house:test-strategist", '
            '"path": "plugins/guard-house/agents/test-strategist.md", "place": 7, '
            '"score": 0.1022, "first": "build-and-ship:postgres-tuner", '
            '"first_score": 0.5565, "lines": [{"term": "slow", "points": 0.042554, '
            '"weight": 0.6933, "fields": {"description": 0.033924, "body": 0.00863}}, '
            '{"term": "near in meaning", "points": 0.059646}], '
            '"lacking": ["database", "queries"]}',
        ),
    ),
    Method(
        "getHealth", "health", NoParams, HealthAnswer, "The same as GET /health.", away="answer"
    ),
    Method("getMetrics", "metrics", NoParams, dict[str, Any], "The same as GET /metrics."),
    *SHARING,
    *VIEWS,
    Method(
        "rpc.discover",
        "discover",
        NoParams,
        dict[str, Any],
        "These methods, with their params, results and errors, as an OpenRPC document.",
    ),
)

METHODS: dict[str, Method] = {method.name: method for method in _TABLE}
SHORT: dict[str, Method] = {method.short: method for method in _TABLE}
