"""What does a caller read? The methods' results as typed values.

What a newer server adds is ignored. `source` is `index`, or `embedded` for an answer that the
client gave itself; `age_s` then says how many seconds ago that index was built.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from .records import AgentRow, Context, Kind, Row

Source = Literal["index", "embedded"]

# --- questions ---------------------------------------------------------------------------------


class Reasoned(Struct, kw_only=True):
    """What the answers of the three query methods share."""

    reasoning: str
    confidence: float
    cache_hit: bool
    generation: int
    source: Source = "index"
    age_s: float | None = None
    near_misses: list[str] = []


class AgentAnswer(Reasoned, kw_only=True):
    agents: list[AgentRow]


class SkillAnswer(Reasoned, kw_only=True):
    skills: list[Row]


class WorkflowAnswer(Reasoned, kw_only=True):
    workflows: list[Row]


class Excerpt(Struct, frozen=True):
    """getEntry's result."""

    kind: Kind
    plugin: str
    name: str
    text: str
    tokens: int
    truncated: bool


class EntryAnswer(Excerpt, frozen=True):
    source: Source = "index"
    age_s: float | None = None


class ContextAnswer(Context, kw_only=True):
    source: Source = "index"
    age_s: float | None = None


class HealthAnswer(Struct, kw_only=True):
    """`status`: healthy, degraded, starting; from the client itself `away`, or `embedded`."""

    status: str
    generation: int = 0
    version: str = ""
    uptime_ms: float = 0
    memory_mb: float = 0
    indexes: dict[str, int] = {}
    cache: dict[str, float] = {}
    database: dict[str, Any] = {}
    files: dict[str, int] = {}
    built_at: str | None = None
    build_ms: float = 0
    checked_age_s: float | None = None
    roots_digest: str = ""
    reasons: list[str] = []
    source: Source = "index"
    age_s: float | None = None


# --- patterns ----------------------------------------------------------------------------------


class PatternRecord(Struct, kw_only=True):
    """A sequence of agents for a kind of goal; averages are over the counted uses."""

    id: int
    goal: str
    agent_sequence: list[str]
    dependencies: dict[str, list[str]] = {}
    parallel_groups: list[list[str]] = []
    success_count: int = 0
    failure_count: int = 0
    avg_duration_ms: float | None = None
    avg_tokens_saved: float | None = None
    created_at: str = ""
    updated_at: str = ""


class PatternAnswer(Struct, kw_only=True):
    """A pattern, how alike its goal is, and the agents of it that exist no longer."""

    pattern: PatternRecord
    success_rate: float
    similarity: float
    task_count: int
    matched_by: str
    missing_agents: list[str] = []


class PatternStored(Struct, kw_only=True):
    pattern_id: int
    created: bool


class Forgotten(Struct, frozen=True):
    """How many decisions were removed."""

    forgotten: int


# --- outcomes ----------------------------------------------------------------------------------


class PatternChange(Struct, frozen=True):
    """A pattern's counts before and after a report; `created` when the report founded it."""

    id: int
    goal: str
    created: bool
    success_before: int
    failure_before: int
    success_after: int
    failure_after: int


class EntryChange(Struct, frozen=True, omit_defaults=True):
    """Points are successes; a failure is -0.25. Ranks only in a full receipt, 0 when not found."""

    entry: str
    points: float
    rank_before: int | None = None
    rank_after: int | None = None


class Receipt(Struct, frozen=True):
    pattern: PatternChange | None
    entries: list[EntryChange]
    duplicate: bool = False
    amended: bool = False
    unknown: list[str] = []


class OutcomeAnswer(Struct, kw_only=True):
    """`stored`: the server has it on its disk. `spooled`: it waits on ours for the server."""

    stored: bool
    decision_id: int | None = None
    receipt: Receipt | None = None
    spooled: bool = False
