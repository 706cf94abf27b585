"""The params and results of the methods that ask the index: rows, answers, texts, health."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta, Struct

from .records import KINDS, PLURAL, Kind
from .validate import (
    FOR_PROGRAMS,
    SHORT_NUMBER,
    Limit,
    Name,
    Names,
    Params,
    Share,
    Text50,
    Text100,
    Text500,
)

Source = Literal["index", "embedded"]
# fmt: off
HostName = Literal[
    "claude", "codex", "copilot", "gemini", "opencode", "cursor", "windsurf", "antigravity",
    "qwen", "kilocode", "roo", "amp", "augment", "bob", "cline", "codebuddy", "commandcode",
    "devin", "droid", "firebender", "forge", "goose", "grok", "hermes", "junie", "kimi", "kiro",
    "lingma", "omp", "pi", "qoder", "rovodev", "shai", "tabnine", "trae", "vibe", "zcode", "zed",
    "alquimia", "continue", "crush", "iflow", "openhands", "zencoder",
]
# fmt: on
Task = Annotated[Text500, Meta(description="what is to be done")]
UserOnly = Annotated[bool, Meta(description="also what only users start")]
Asker = Annotated[HostName, FOR_PROGRAMS]

# --- params ------------------------------------------------------------------------------------


class NoParams(Params, frozen=True):
    """Of a method that takes nothing."""


class Choice(Params, frozen=True, kw_only=True):
    """What the three query methods share: how many rows, how much of each, and of whom.

    Without `min_confidence` an answer abstains below the fitted threshold of confidence.py.
    `user_only` false leaves out what only a person may start; it is marked where it is shown.
    `host` is who asks: rows then have the name by which it starts an entry, and entries in the
    folders of other hosts, which it does not read, are left out.
    """

    limit: Limit = 5
    detail: Annotated[Literal["short", "full"], Meta(description="full: all fields")] = "short"
    explain: Annotated[bool, FOR_PROGRAMS] = False
    min_confidence: Annotated[Share, Meta(description="0-1, below: no rows")] | None = None
    plugins: Annotated[Names, Meta(description="only of these")] = msgspec.field(
        default_factory=list
    )
    models: Annotated[Names, FOR_PROGRAMS] = msgspec.field(default_factory=list)
    tools: Annotated[Names, FOR_PROGRAMS] = msgspec.field(default_factory=list)
    tags: Annotated[Names, Meta(description="with any of these")] = msgspec.field(
        default_factory=list
    )
    user_only: UserOnly | None = None
    host: Asker | None = None


class AgentQuery(Choice, frozen=True, kw_only=True):
    """At least one of these; `role` is one of the registry's, `context` what is to be done."""

    TASK: ClassVar[str] = "context"
    context: Task | None = None
    capability: Annotated[Text100, Meta(description="a label, as security")] | None = None
    role: Annotated[Text50, Meta(description="one of the registry")] | None = None

    def problems(self) -> dict[str, str]:
        asked = (self.role, self.capability, self.context) != (None, None, None)
        return {} if asked else {"context": "give at least one of capability, role, context"}


class SkillQuery(Choice, frozen=True, kw_only=True):
    """`context` is what is to be done."""

    TASK: ClassVar[str] = "context"
    context: Task


class WorkflowQuery(Choice, frozen=True, kw_only=True):
    """`goal` is what is to be reached."""

    TASK: ClassVar[str] = "goal"
    goal: Task


class EntryQuery(Params, frozen=True, kw_only=True):
    """One entry by its identity; without `max_tokens` its whole text."""

    kind: Annotated[Kind, Meta(description="of the row")]
    plugin: Annotated[Name, Meta(description="its plugin")]
    name: Annotated[Name, Meta(description="its name, not call")]
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000, description="cut there")] | None = None
    user_only: UserOnly | None = None
    host: Asker | None = None


class ContextQuery(Params, frozen=True, kw_only=True):
    """What for, how many tokens at most, and of which kinds (all)."""

    TASK: ClassVar[str] = "task"
    task: Task
    max_tokens: Annotated[int, Meta(ge=100, le=100_000, description="of the whole answer")] = 2000
    kinds: Annotated[
        list[Kind], Meta(min_length=1, max_length=3, description="all, if left out")
    ] = msgspec.field(default_factory=lambda: list(KINDS))
    user_only: UserOnly = False
    host: Asker | None = None


class StandingQuery(Params, frozen=True, kw_only=True):
    """What is to be done, and the entry meant by name or `plugin:name`, else the first one."""

    TASK: ClassVar[str] = "task"
    task: Task
    kind: Kind = "agent"
    name: Annotated[str, Meta(max_length=401)] = ""


# --- results -----------------------------------------------------------------------------------


class TermPoints(Struct, frozen=True, omit_defaults=True):
    """What one word, pair of words, rule or nearness gave a hit, as a part of the hit's score.

    `weight` is the word's in the question; `fields` divides the points by where the word stands.
    """

    term: str
    points: float
    weight: float = 0.0
    fields: dict[str, float] = {}


class Standing(Struct, frozen=True):
    """Why an entry stands where it stands. `place` counts from 1, near-clones once, as an answer
    does; it is 0 where the text does not find the entry, which is "" where the text finds none.
    `lines` add up to `score`; `lacking` are the text's words that the entry does not have."""

    entry: str
    path: str
    place: int
    score: float
    first: str
    first_score: float
    lines: list[TermPoints]
    lacking: list[str]


class Row(Struct, omit_defaults=True, kw_only=True):
    """A hit as callers read it; empty optional fields are left out, `capabilities` excepted.

    `also` names near-clones in other plugins. `call` is the name by which the asking host starts
    it, where that is another one; `user_only`: only a person may. `hosts` are those that know it,
    where the asking host does not.
    """

    name: str
    description: str = ""
    plugin: str
    call: str = ""
    user_only: bool = False
    hosts: list[str] = []
    score: Annotated[float, SHORT_NUMBER]
    model: str = ""
    category: str = ""
    keywords: list[str] = []
    arguments: str = ""
    steps: list[str] = []
    agents: list[str] = []
    role: str = ""
    fallbacks: list[str] = []
    also: Annotated[list[str], FOR_PROGRAMS] = []
    path: str = ""
    digest: str = ""
    tags: list[str] = []
    tools: list[str] = []
    use_when: str = ""
    explanation: list[TermPoints] = []


class AgentRow(Row, omit_defaults=True, kw_only=True):
    """An agent as callers read it."""

    capabilities: list[str]


class Answer(Struct, kw_only=True):
    """What a query method returns, its rows still under a neutral name."""

    kind: Kind
    rows: list[Row]
    reasoning: str
    confidence: float
    near_misses: list[str] = []

    def as_result(self, generation: int) -> dict[str, object]:
        """The fields of AgentAnswer, SkillAnswer or WorkflowAnswer."""
        result: dict[str, object] = {PLURAL[self.kind]: self.rows}
        result |= {"reasoning": self.reasoning, "confidence": self.confidence}
        result |= {"cache_hit": False, "generation": generation, "source": "index"}
        if self.near_misses:
            result["near_misses"] = self.near_misses
        return result


class Reasoned(Struct, kw_only=True):
    """What the answers of the three query methods share.

    `source` is `embedded` for an answer that the client gave itself, from an index that was built
    `age_s` seconds ago. `partial`: only what the project shares with others was looked through.
    """

    reasoning: str
    confidence: Annotated[float, SHORT_NUMBER]
    cache_hit: Annotated[bool, FOR_PROGRAMS]
    generation: Annotated[int, FOR_PROGRAMS]
    source: Annotated[Source, FOR_PROGRAMS] = "index"
    age_s: Annotated[float, FOR_PROGRAMS] | None = None
    partial: Annotated[bool, FOR_PROGRAMS] = False
    near_misses: list[str] = []


class AgentAnswer(Reasoned, kw_only=True):
    """`agents`, best first; empty where nothing is likely enough."""

    agents: list[AgentRow]


class SkillAnswer(Reasoned, kw_only=True):
    """`skills`, best first; empty where nothing is likely enough."""

    skills: list[Row]


class WorkflowAnswer(Reasoned, kw_only=True):
    """`workflows`, best first; empty where nothing is likely enough."""

    workflows: list[Row]


class Excerpt(Struct, frozen=True, omit_defaults=True):
    """The text of an entry; `truncated` where it was cut, `tokens` what the text costs.

    `call` and `user_only` as in a row.
    """

    kind: Kind
    plugin: str
    name: str
    text: str
    tokens: int
    truncated: bool
    call: str = ""
    user_only: bool = False


class EntryAnswer(Excerpt, frozen=True, omit_defaults=True):
    """An excerpt, and whether the server or the client's own index gave it."""

    source: Annotated[Source, FOR_PROGRAMS] = "index"
    age_s: Annotated[float, FOR_PROGRAMS] | None = None
    partial: Annotated[bool, FOR_PROGRAMS] = False


class TokenReceipt(Struct, frozen=True):
    """What an answer costs its reader, and what the names and descriptions of all would."""

    tokens_used: int
    tokens_catalogue: int
    tokenizer: str


class Context(Struct, kw_only=True):
    """Rows per kind, the past pattern, one entry's best section, and what all of it costs.

    `confidence`: for each kind with rows, the probability that its first one is right.
    """

    agents: list[Row] = []
    skills: list[Row] = []
    workflows: list[Row] = []
    confidence: dict[str, float] = {}
    pattern: dict[str, Any] | None = None
    text: str = ""
    receipt: TokenReceipt


class ContextAnswer(Context, kw_only=True):
    """A context, and whether the server or the client's own index gave it."""

    source: Annotated[Source, FOR_PROGRAMS] = "index"
    age_s: Annotated[float, FOR_PROGRAMS] | None = None
    partial: Annotated[bool, FOR_PROGRAMS] = False


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
    coordination: dict[str, int] = {}
    calibration: dict[str, dict[str, float]] = {}
    source: Source = "index"
    age_s: float | None = None
