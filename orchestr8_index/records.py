"""What do the rooms hand each other? Plain structs, the same in files and on the wire."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Kind = Literal["agent", "skill", "workflow"]
KINDS: tuple[Kind, ...] = ("agent", "skill", "workflow")
PLURAL: dict[Kind, str] = {"agent": "agents", "skill": "skills", "workflow": "workflows"}
Outcome = Literal["indexed", "repaired", "skipped"]


# --- what the files say ------------------------------------------------------------------------


class Entry(Struct, array_like=True, frozen=True):
    """One thing an orchestrator can use. Identity is (kind, plugin, name); text lives beside it."""

    kind: Kind
    plugin: str
    name: str
    stem: str
    description: str
    root: int
    path: str
    digest: str
    model: str = ""
    category: str = ""
    capabilities: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    use_when: str = ""
    arguments: str = ""
    steps: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        return f"{self.plugin}:{self.name}"

    @property
    def line(self) -> str:
        """As a host lists it for a model that carries the whole catalogue."""
        return f"- {self.qualified}: {self.description}\n"

    @property
    def said(self) -> str:
        """The description and all else of the header that describes the entry, as searched."""
        return " ".join((self.description, *self.labels, self.use_when))

    @property
    def labels(self) -> tuple[str, ...]:
        """Everything that a capability may match: capabilities, tags, keywords, category."""
        category = (self.category,) if self.category else ()
        return tuple(dict.fromkeys(self.capabilities + self.tags + self.keywords + category))


class Role(Struct, frozen=True):
    """A role of the registry; `primary` and `fallbacks` as written there."""

    name: str
    primary: str
    fallbacks: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    model: str = ""
    use_when: str = ""
    path: str = ""
    line: int | None = None


class ResolvedRole(Struct, frozen=True):
    """`agents` are positions in the agents' segment, best first; `missing` exist nowhere."""

    role: Role
    agents: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()


class FileReport(Struct, frozen=True):
    """How one markdown file ended. `path` is relative to `root`; `line` counts from 1."""

    root: str
    path: str
    outcome: Outcome
    kind: Kind | None = None
    name: str | None = None
    reason: str = ""
    line: int | None = None
    cure: str = ""
    is_entry: bool = True


class Finding(Struct, frozen=True):
    """Something that a catalogue's owner would want to mend."""

    rule: str
    severity: Literal["error", "warning", "info"]
    entry: str
    path: str
    line: int | None
    message: str
    cure: str


class Poison(Struct, frozen=True):
    """A file that ended a build, as it was then; changed, it gets another chance."""

    root: str
    path: str
    size: int
    mtime_ns: int
    reason: str


# --- what the wire carries ---------------------------------------------------------------------

Limit = Annotated[int, Meta(ge=1, le=20)]
Names = Annotated[list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(max_length=50)]
Text100 = Annotated[str, Meta(min_length=1, max_length=100)]
Text50 = Annotated[str, Meta(min_length=1, max_length=50)]
Text500 = Annotated[str, Meta(min_length=1, max_length=500)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Choice(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What the three query methods share: how many, how much, and of whom.

    Without `min_confidence` an answer abstains below the fitted threshold of confidence.py.
    """

    limit: Limit = 5
    detail: Literal["short", "full"] = "short"
    explain: bool = False
    min_confidence: Share | None = None
    plugins: Names = msgspec.field(default_factory=list)
    models: Names = msgspec.field(default_factory=list)
    tools: Names = msgspec.field(default_factory=list)
    tags: Names = msgspec.field(default_factory=list)


class AgentQuery(Choice, forbid_unknown_fields=True, frozen=True, kw_only=True):
    capability: Text100 | None = None
    role: Text50 | None = None
    context: Text500 | None = None

    def problems(self) -> dict[str, str]:
        asked = self.role is not None or self.capability is not None or self.context is not None
        return {} if asked else {"context": "give at least one of capability, role, context"}


class SkillQuery(Choice, forbid_unknown_fields=True, frozen=True, kw_only=True):
    context: Text500


class WorkflowQuery(Choice, forbid_unknown_fields=True, frozen=True, kw_only=True):
    goal: Text500


class EntryQuery(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    kind: Kind
    plugin: Annotated[str, Meta(min_length=1, max_length=200)]
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class ContextQuery(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """getContext's params: what for, how many tokens at most, and of which kinds (all)."""

    task: Text500
    max_tokens: Annotated[int, Meta(ge=100, le=100_000)] = 2000
    kinds: Annotated[list[Kind], Meta(min_length=1, max_length=3)] = msgspec.field(
        default_factory=lambda: list(KINDS)
    )


class NoParams(Struct, forbid_unknown_fields=True, frozen=True):
    pass


class TermPoints(Struct, frozen=True, omit_defaults=True):
    """What one word, pair of words, rule or nearness gave a hit, as a part of the hit's score.

    `weight` is the word's in the question; `fields` divides the points by where the word stands.
    """

    term: str
    points: float
    weight: float = 0.0
    fields: dict[str, float] = {}


class Row(Struct, omit_defaults=True, kw_only=True):
    """A hit as callers read it; empty optional fields are left out, `capabilities` excepted."""

    name: str
    description: str = ""
    plugin: str
    score: float
    model: str = ""
    category: str = ""
    keywords: list[str] = []
    arguments: str = ""
    steps: list[str] = []
    agents: list[str] = []
    role: str = ""
    fallbacks: list[str] = []
    also: list[str] = []
    path: str = ""
    digest: str = ""
    tags: list[str] = []
    tools: list[str] = []
    use_when: str = ""
    explanation: list[TermPoints] = []


class AgentRow(Row, omit_defaults=True, kw_only=True):
    capabilities: list[str]


class Answer(Struct, kw_only=True):
    """What a query method returns, its rows still under a neutral name."""

    kind: Kind
    rows: list[Row]
    reasoning: str
    confidence: float
    near_misses: list[str] = []

    def as_result(self, generation: int) -> dict[str, object]:
        result: dict[str, object] = {PLURAL[self.kind]: self.rows}
        result |= {"reasoning": self.reasoning, "confidence": self.confidence}
        result |= {"cache_hit": False, "generation": generation, "source": "index"}
        if self.near_misses:
            result["near_misses"] = self.near_misses
        return result


class TokenReceipt(Struct, frozen=True):
    """What an answer costs its reader, and what the names and descriptions of all would."""

    tokens_used: int
    tokens_catalogue: int
    tokenizer: str


class Context(Struct, kw_only=True):
    """getContext's result: rows per kind, the past pattern, one entry's best section, receipt.

    `confidence`: for each kind with rows, the probability that its first one is right.
    """

    agents: list[Row] = []
    skills: list[Row] = []
    workflows: list[Row] = []
    confidence: dict[str, float] = {}
    pattern: dict[str, Any] | None = None
    text: str = ""
    receipt: TokenReceipt


# --- what is learnt ----------------------------------------------------------------------------

Result = Literal["success", "failure", "partial"]
MOST_COUNTED = 10**15  # sums of numbers up to this are exact, and fit into the database
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Sequence = Annotated[list[Name], Meta(min_length=1, max_length=50)]


class Report(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """cacheDecision's params: what was done for one task, and how it ended.

    `occurred_at` (seconds since 1970) is for what is reported later; never later than now.
    """

    task_id: Annotated[str, Meta(min_length=1, max_length=100)]
    task_description: Annotated[str, Meta(min_length=1, max_length=1000)]
    agents_used: Sequence
    result: Result
    duration_ms: Annotated[float, Meta(ge=0, le=MOST_COUNTED)] | None = None
    tokens_saved: Annotated[int, Meta(ge=0, le=MOST_COUNTED)] | None = None
    resolved_by: Name | None = None
    skills_used: Annotated[list[Name], Meta(max_length=50)] = msgspec.field(default_factory=list)
    workflows_used: Annotated[list[Name], Meta(max_length=50)] = msgspec.field(default_factory=list)
    model: Annotated[str, Meta(max_length=100)] = ""
    caller: Annotated[str, Meta(max_length=100)] = ""
    receipt: Literal["short", "full"] = "short"
    occurred_at: Annotated[float, Meta(ge=0, le=MOST_COUNTED)] | None = None


class Decision(Struct, frozen=True, kw_only=True):
    """A report as kept: names as `plugin:name` where known, `unknown` the others."""

    id: int = 0
    task_id: str
    task_description: str
    agents_used: tuple[str, ...]
    result: Result
    duration_ms: float | None
    tokens_saved: int | None
    timestamp: str
    resolved_by: str = ""
    skills_used: tuple[str, ...] = ()
    workflows_used: tuple[str, ...] = ()
    model: str = ""
    caller: str = ""
    unknown: tuple[str, ...] = ()

    def says_the_same(self, other: Decision) -> bool:
        """Whether two reports differ in nothing but number and time."""
        return self == msgspec.structs.replace(other, id=self.id, timestamp=self.timestamp)


class Pattern(Struct, kw_only=True):
    """A sequence of agents for a kind of goal, with its record. Totals are over counted uses."""

    id: int
    goal: str
    agent_sequence: tuple[str, ...]
    dependencies: dict[str, list[str]] = {}
    parallel_groups: list[list[str]] = []
    success_count: int = 0
    failure_count: int = 0
    duration_total: float = 0.0
    duration_count: int = 0
    tokens_total: int = 0
    tokens_count: int = 0
    created_at: str = ""
    updated_at: str = ""
    stored: bool = False

    @property
    def uses(self) -> int:
        return self.success_count + self.failure_count

    @property
    def success_rate(self) -> float:
        return self.success_count / self.uses if self.uses else 0.0


Needed = Annotated[list[Name], Meta(max_length=50)]


class PatternStore(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    goal: Text500
    agent_sequence: Sequence
    dependencies: Annotated[dict[Name, Needed], Meta(max_length=50)] | None = None
    parallel_groups: Annotated[list[Sequence], Meta(max_length=50)] | None = None


class PatternGoal(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    goal: Text500
    context: Text500 | None = None


class ForgetQuery(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which decisions to forget: exactly one of these. `before` is an ISO 8601 date or moment."""

    task_id: Text100 | None = None
    before: Annotated[str, Meta(min_length=4, max_length=40)] | None = None
    agent: Name | None = None

    def problems(self) -> dict[str, str]:
        given = sum(value is not None for value in (self.task_id, self.before, self.agent))
        return {} if given == 1 else {"task_id": "give exactly one of task_id, before, agent"}


class PatternSearch(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    goal: Text500
    min_similarity: Share = 0.7
    limit: Limit = 5


@dataclass(frozen=True, slots=True)
class Experience:
    """What the decisions teach the ranking, as one reads it; `revision` names its state.

    `terms`: for each word of past tasks, the entries (qualified) that have points for it. `wins`:
    counted successes of each entry. `words`: the quarter points of an entry's words, 4 for a
    success and -1 for a failure. `alike(kind, entry, terms)`: a past task like these terms.
    `changed_since(kind, revision)`: the entries whose points have changed after a revision.
    """

    revision: int
    terms: Mapping[Kind, Mapping[str, Collection[str]]]
    wins: Mapping[Kind, Mapping[str, int]]
    words: Mapping[Kind, Mapping[str, Mapping[str, int]]]
    alike: Callable[[Kind, str, Collection[str]], str]
    changed_since: Callable[[Kind, int], Iterable[str]]


def no_experience() -> Experience:
    nothing: dict[Kind, dict[str, Any]] = {kind: {} for kind in KINDS}
    return Experience(0, nothing, nothing, nothing, lambda *_: "", lambda *_: ())
