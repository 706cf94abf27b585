"""The records that the rooms hand each other and keep in files: entries, decisions, patterns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

JsonObject = dict[str, Any]
Kind = Literal["agent", "skill", "workflow"]
KINDS: tuple[Kind, ...] = ("agent", "skill", "workflow")
PLURAL: dict[Kind, str] = {"agent": "agents", "skill": "skills", "workflow": "workflows"}
Outcome = Literal["indexed", "repaired", "skipped"]
Result = Literal["success", "failure", "partial"]


# --- what the files say ------------------------------------------------------------------------


class Entry(Struct, array_like=True, frozen=True):
    """One thing an orchestrator can use. Identity is (kind, plugin, name); text lives beside it.

    `owners` are the hosts whose places it lies in, `folders` those between the place and the file,
    `packed` whether a plugin brings it; `runs` says who alone may start it, if not everybody;
    `off` are hosts in which the user switched it off.
    """

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
    owners: tuple[str, ...] = ()
    folders: str = ""
    packed: bool = False
    runs: Literal["", "user", "model", "nobody"] = ""
    off: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        return f"{self.plugin}:{self.name}"

    @property
    def for_people(self) -> bool:
        """Whether no model may start it."""
        return self.runs in ("user", "nobody")

    @property
    def line(self) -> str:
        """Its line in a list of the whole catalogue, as hosts show one to a model."""
        return f"- {self.qualified}: {self.description}\n"

    @property
    def described(self) -> str:
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


class Finding(Struct, frozen=True, omit_defaults=True):
    """Something that a catalogue's owner would want to mend. `path` is relative to `root`, which no
    caller is told."""

    rule: str
    severity: Literal["error", "warning", "info"]
    entry: str
    path: str
    line: int | None
    message: str
    cure: str
    root: str = ""


class Poison(Struct, frozen=True):
    """A file that ended a build, as it was then; changed, it gets another chance."""

    root: str
    path: str
    size: int
    mtime_ns: int
    reason: str


# --- what is learnt ----------------------------------------------------------------------------


class Decision(Struct, frozen=True, kw_only=True):
    """A report as kept: names as `plugin:name` where known, `unknown` the others.

    `project` is the key of the one that learns from it, unset for what came before there were
    projects; `reporter` the id of the key that reported it, "" without one; `pattern` the number of
    the pattern that it counts for, 0 for none, None in rows of older versions. With
    `parallel_groups` it is a plan, whose agents' own tasks are decisions of their own.
    """

    id: int = 0
    task_id: str
    task_description: str
    agents_used: tuple[str, ...]
    result: Result
    duration_ms: float | None = None
    tokens_saved: int | None = None
    timestamp: str
    resolved_by: str = ""
    skills_used: tuple[str, ...] = ()
    workflows_used: tuple[str, ...] = ()
    model: str = ""
    caller: str = ""
    unknown: tuple[str, ...] = ()
    project: str | UnsetType = UNSET
    reporter: str = ""
    pattern: int | None = None
    parallel_groups: tuple[tuple[str, ...], ...] = ()

    def says_the_same(self, other: Decision) -> bool:
        """Whether two reports differ in nothing but what the server adds to them."""
        added = {name: getattr(self, name) for name in ("id", "timestamp", "reporter", "pattern")}
        return self == msgspec.structs.replace(other, **added)


Count = Annotated[int, Meta(ge=0)]


class Pattern(Struct, kw_only=True):
    """A sequence of agents for a kind of goal, with its record. Totals are over counted uses;
    whole microseconds, so that what is added can be taken away again. `stored_by`: a key's id."""

    id: Annotated[int, Meta(ge=1, le=2**53)]
    goal: str
    agent_sequence: tuple[str, ...]
    dependencies: dict[str, list[str]] = {}
    parallel_groups: list[list[str]] = []
    success_count: Count = 0
    failure_count: Count = 0
    duration_us: Count = 0
    duration_count: Count = 0
    tokens_total: Count = 0
    tokens_count: Count = 0
    created_at: str = ""
    updated_at: str = ""
    stored: bool = False
    stored_by: str = ""
    project: str = ""

    @property
    def duration_total(self) -> float:
        return self.duration_us / 1000

    @property
    def uses(self) -> int:
        return self.success_count + self.failure_count

    @property
    def success_rate(self) -> float:
        return self.success_count / self.uses if self.uses else 0.0


class Calibration(Struct, frozen=True):
    """Of past tasks: `predicted` is the mean confidence in the first hit by the text alone, with
    `shift` added to the log odds; `right` is the share of first hits that did the task."""

    outcomes: int
    predicted: float
    right: float
    shift: float


@dataclass(frozen=True, slots=True)
class Experience:
    """A read-only view of what the decisions teach the ranking, as of `revision`.

    `terms`: for each word of past tasks, the entries (qualified) that have won with it; `blamed`:
    those that failed. `wins`: counted successes of each entry. `words`: of an entry's words, the
    successes that had them; `failed`: the failures; 0 where they were taken back. `counts(kind,
    entry)`: (successes, is a pair) → how many of its words have these. `alike(kind, entry,
    terms)`: a past task like these terms. `changed_since(kind, revision)`: the entries whose counts
    have changed after a revision. `shifts`: what is added to the log odds of a confidence.
    `whose(kind, entry)`: the project that lends this, "" for one's own.
    """

    revision: int
    terms: Mapping[Kind, Mapping[str, Collection[str]]]
    blamed: Mapping[Kind, Mapping[str, Collection[str]]]
    wins: Mapping[Kind, Mapping[str, int]]
    words: Mapping[Kind, Mapping[str, dict[str, int]]]
    failed: Mapping[Kind, Mapping[str, Mapping[str, int]]]
    counts: Callable[[Kind, str], Mapping[tuple[int, bool], int]]
    alike: Callable[[Kind, str, Collection[str]], str]
    changed_since: Callable[[Kind, int], Iterable[str]]
    shifts: Mapping[Kind, float]
    whose: Callable[[Kind, str], str] = lambda *_: ""


def no_experience() -> Experience:
    """The experience of a server that has learnt nothing."""
    no: dict[Kind, dict[str, Any]] = {kind: {} for kind in KINDS}
    return Experience(0, no, no, no, no, no, lambda *_: {}, lambda *_: "", lambda *_: (), {})
