"""The params and results of the methods about outcomes: reports, receipts, patterns."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta, Struct

from .records import Result
from .validate import FOR_PROGRAMS, Limit, Name, Names, Params, Share, Text100, Text500

MOST_COUNTED = 10**15  # sums of numbers up to this are exact, and fit into the database
Sequence = Annotated[list[Name], Meta(min_length=1, max_length=50)]

# --- params ------------------------------------------------------------------------------------


class PatternGoal(Params, frozen=True, kw_only=True):
    """The goal of a task, and more about it."""

    TASK: ClassVar[str] = "goal"
    goal: Annotated[Text500, Meta(description="what is to be done")]
    context: Annotated[Text500, Meta(description="more about it")] | None = None


class PatternSearch(Params, frozen=True, kw_only=True):
    """A goal, and how alike to it a pattern's goal must be."""

    TASK: ClassVar[str] = "goal"
    goal: Text500
    min_similarity: Share = 0.7
    limit: Limit = 5


class Report(Params, frozen=True, kw_only=True):
    """What was done for one task, and how it ended; `agents_used` may be empty where a skill or a
    command did it.

    `occurred_at` (seconds since 1970) is for what is reported later; never later than now. With
    `parallel_groups` (who worked side by side, in order) it is the plan of a larger task: it makes
    a pattern, and credits nobody, as each agent's own task is reported, too.
    """

    TASK: ClassVar[str] = "task_description"
    task_id: Annotated[Text100, Meta(description="yours; the same one amends")]
    task_description: Annotated[
        str, Meta(min_length=1, max_length=1000, description="what was to be done")
    ]
    agents_used: Annotated[list[Name], Meta(max_length=50, description="plugin:name, in order")]
    result: Annotated[Result, Meta(description="how it ended")]
    duration_ms: Annotated[float, Meta(ge=0, le=MOST_COUNTED, description="spent")] | None = None
    tokens_saved: (
        Annotated[int, Meta(ge=0, le=MOST_COUNTED, description="by your estimate")] | None
    ) = None
    resolved_by: Annotated[Name, Meta(description="who solved it")] | None = None
    skills_used: Annotated[Names, Meta(description="plugin:name")] = msgspec.field(
        default_factory=list
    )
    workflows_used: Annotated[Names, Meta(description="plugin:name")] = msgspec.field(
        default_factory=list
    )
    parallel_groups: Annotated[list[Names], Meta(max_length=50), FOR_PROGRAMS] = msgspec.field(
        default_factory=list
    )
    model: Annotated[str, Meta(max_length=100, description="that worked")] = ""
    caller: Annotated[str, Meta(max_length=100), FOR_PROGRAMS] = ""
    receipt: Annotated[Literal["short", "full"], FOR_PROGRAMS] = "short"
    occurred_at: Annotated[float, Meta(ge=0, le=MOST_COUNTED), FOR_PROGRAMS] | None = None

    def problems(self) -> dict[str, str]:
        used = self.agents_used or self.skills_used or self.workflows_used
        if not used:
            return {"agents_used": "must not be empty"}
        placed = sorted(name for group in self.parallel_groups for name in group)
        if placed and placed != sorted(self.agents_used):
            return {"parallel_groups": "must have each of agents_used once"}
        return {}


class PatternStore(Params, frozen=True, kw_only=True):
    """Agents in their order; `dependencies` name what each one waits for. Without
    `parallel_groups` the groups follow from these."""

    TASK: ClassVar[str] = "goal"
    goal: Text500
    agent_sequence: Sequence
    dependencies: Annotated[dict[Name, Names], Meta(max_length=50)] | None = None
    parallel_groups: Annotated[list[Sequence], Meta(max_length=50)] | None = None


class ForgetQuery(Params, frozen=True, kw_only=True):
    """Which decisions to forget: exactly one of these. `before` is an ISO 8601 date or moment; `by`
    the key that reported them, by its name or its id (as NAME#12ab34cd)."""

    task_id: Text100 | None = None
    before: Annotated[str, Meta(min_length=4, max_length=40)] | None = None
    agent: Name | None = None
    by: Text100 | None = None

    def problems(self) -> dict[str, str]:
        choices = (self.task_id, self.before, self.agent, self.by)
        wrong = "give exactly one of task_id, before, agent, by"
        return {} if choices.count(None) == len(choices) - 1 else {"task_id": wrong}


# --- results -----------------------------------------------------------------------------------


class PatternRecord(Struct, kw_only=True):
    """A sequence of agents for a kind of goal; averages are over the counted uses."""

    id: Annotated[int, FOR_PROGRAMS]
    goal: str
    agent_sequence: list[str]
    dependencies: dict[str, list[str]] = {}
    parallel_groups: list[list[str]] = []
    success_count: int = 0
    failure_count: int = 0
    avg_duration_ms: Annotated[float, FOR_PROGRAMS] | None = None
    avg_tokens_saved: Annotated[float, FOR_PROGRAMS] | None = None
    created_at: Annotated[str, FOR_PROGRAMS] = ""
    updated_at: Annotated[str, FOR_PROGRAMS] = ""
    stored_by: str = ""


class PatternAnswer(Struct, kw_only=True):
    """A pattern whose agents exist all, and how alike its goal is. `stored_by` is the name of the
    key that stored it on purpose, "local" without one; empty where it grew out of outcomes.
    `project` is the one that it comes from, where this one learns from it (see learnFrom)."""

    pattern: PatternRecord
    success_rate: float
    similarity: float
    task_count: Annotated[int, FOR_PROGRAMS]
    matched_by: str
    project: str = ""


class PatternStored(Struct, kw_only=True):
    """`created` is false where the same sequence for that goal was there already. `unknown`: agents
    that do not exist; the pattern is not offered before they do."""

    pattern_id: int
    created: bool
    unknown: list[str] = []


class PatternChange(Struct, frozen=True):
    """A pattern's counts before and after a report; `created` when the report founded it, `offered`
    whether a question may get it now, as `patterns` lists it."""

    id: int
    goal: str
    created: bool
    success_before: int
    failure_before: int
    success_after: int
    failure_after: int
    offered: bool = False


class EntryChange(Struct, frozen=True, omit_defaults=True):
    """Points are successes; a failure is -0.25. Ranks only in a full receipt, 0 when not found."""

    entry: str
    points: float
    rank_before: int | None = None
    rank_after: int | None = None


class Receipt(Struct, frozen=True):
    """What a report changed. `unknown`: names that no entry has; `ambiguous`: names that several
    have, with these, so that nobody was credited."""

    pattern: PatternChange | None
    entries: list[EntryChange]
    duplicate: bool = False
    amended: bool = False
    unknown: list[str] = []
    ambiguous: dict[str, list[str]] = {}


class OutcomeAnswer(Struct, kw_only=True):
    """`stored`: the server has it on its disk. `spooled`: it waits on ours for the server."""

    stored: bool
    decision_id: int | None
    receipt: Receipt | None
    spooled: Annotated[bool, FOR_PROGRAMS] = False


class Forgotten(Struct, frozen=True):
    """How many decisions were removed."""

    forgotten: int
