"""The methods of the page: what people look at, as params, results and rows of the table."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from .errors import NoSuchProject, Starting, StoreUnavailable
from .overview import OVERVIEW
from .queries import AgentAnswer, NoParams, SkillAnswer, WorkflowAnswer
from .records import Finding, Kind, Pattern
from .reports import EntryChange
from .table import Example, Method
from .validate import Limit, Names, Params, Text500

Page = Annotated[int, Meta(ge=1, le=500)]
After = Annotated[int, Meta(ge=0, lt=1 << 53)]


class TriedQuestion(Params, frozen=True, kw_only=True):
    """What is to be done, and how many rows of each kind."""

    task: Text500
    limit: Limit = 5
    explain: bool = False


class Answers(Struct, kw_only=True):
    """What the three query methods would say."""

    agents: AgentAnswer
    skills: SkillAnswer
    workflows: WorkflowAnswer


class EntryList(Params, frozen=True, kw_only=True):
    """The entries of one kind, by qualified name; `after` is the last one of the page before."""

    kind: Kind
    after: Annotated[str, Meta(max_length=500)] = ""
    limit: Page = 500


class Listed(Struct, omit_defaults=True, kw_only=True):
    """`also` names near-clones; `at` is its place on the map, each coordinate from -1 to 1;
    `user_only`: only a person may start it."""

    kind: Kind
    plugin: str
    name: str
    description: str = ""
    model: str = ""
    path: str
    also: list[str] = []
    user_only: bool = False
    at: tuple[float, float] | None = None


class EntryPage(Struct, kw_only=True):
    """`more` is whether there are others after the last one; `total` counts all of the kind."""

    entries: list[Listed]
    more: bool
    total: int
    generation: int


class FindingList(Params, frozen=True, kw_only=True):
    """`after` is that of the page before."""

    after: After = 0
    limit: Page = 500


class FindingPage(Struct, kw_only=True):
    """What `doctor` says. `after` is for the next page, None at the end."""

    findings: list[Finding]
    after: int | None
    total: int
    files: dict[str, int]


class ProjectName(Struct, frozen=True):
    """`entries` is how many it had when it was asked last; `learns_from` are names of others."""

    name: str
    entries: int
    learns_from: list[str] = []


class Lenders(Params, frozen=True, kw_only=True):
    """The projects whose past this one may use after its own, by name; none takes that back."""

    projects: Names


class ProjectList(Struct, kw_only=True):
    """Those that can be named by X-Project, the last asked first; `own` is the server's."""

    projects: list[ProjectName]
    own: str


class EntryRecord(Struct, frozen=True):
    """How often an entry did its task, and how often not."""

    kind: Kind
    entry: str
    wins: int
    failures: int


class Lessons(Struct, frozen=True):
    """What a person wants to see of it: entries by wins, patterns by uses."""

    decisions: int
    entries: list[EntryRecord]
    patterns: list[Pattern]
    retired: list[Pattern]


class DecisionList(Params, frozen=True, kw_only=True):
    """The newest first; `before` is the number of the last one of the page before."""

    before: After | None = None
    limit: Page = 100


class Decided(Struct, kw_only=True):
    """A decision and what it changed: points of entries, names that no entry had."""

    id: int
    task_id: str
    task: str
    result: str
    at: str
    agents: list[str]
    caller: str = ""
    changes: list[EntryChange] = []
    unknown: list[str] = []


class DecisionPage(Struct, kw_only=True):
    """`total` counts all that there are."""

    decisions: list[Decided]
    total: int


class Week(Struct, frozen=True):
    """The share of a week's tasks whose first answer was right; `week` is its Monday."""

    week: str
    tasks: int
    without: float
    with_experience: float


class Weeks(Struct, frozen=True):
    """`replay` by weeks: a task is asked before it is learnt."""

    tasks: int
    hit1_without: float
    hit1_with: float
    weeks: list[Week]


class DelegatedTask(Struct, kw_only=True, omit_defaults=True):
    """A task that a host gave to an agent; times are seconds since 1970."""

    id: str
    agent: str
    task: str
    started: float
    ended: float | None = None
    result: str = ""


class DelegationList(Struct, kw_only=True):
    """The latest first."""

    running: list[DelegatedTask]
    ended: list[DelegatedTask]


class SeriesQuery(Params, frozen=True, kw_only=True):
    """`after` is the time of the last point that is known already, in seconds since 1970."""

    span: Literal["hour", "day"] = "hour"
    after: Annotated[float, Meta(ge=0)] = 0


class SavedDay(Struct, frozen=True):
    """The sum of `tokens_saved` in a day's reports, and how many of them said it."""

    day: str
    tokens: int
    reports: int


class SeriesAnswer(Struct, kw_only=True):
    """Columns of equal length, by name; `at` is seconds since 1970, `every` their distance."""

    every: float
    columns: dict[str, list[float]]
    saved: list[SavedDay]


class AuditQuery(Params, frozen=True, kw_only=True):
    """How many of the newest rows."""

    limit: Page = 50


class Audited(Struct):
    """Somebody did something, `times` times within a second; `outcome` is `ok` or a code."""

    at: str
    who: str
    what: str
    outcome: str
    times: int


class AuditPage(Struct, kw_only=True):
    """The newest rows, the oldest of them first."""

    rows: list[Audited]


def _row(
    name: str, short: str, params: type[Params], result: Any, sentence: str, **more: Any
) -> Method:
    return Method(name, short, params, result, sentence, face="page", **more)


VIEWS = (
    _row(
        "tryQuestion",
        "try_question",
        TriedQuestion,
        Answers,
        "What the three query methods would answer; nothing counts, logs or keeps the question.",
        quiet=True,
        errors=(Starting,),
        example=Example(
            '{"task": "our queries are slow", "limit": 1}',
            '{"agents": {"agents": [{"name": "postgres-tuner", "plugin": '
            '"build-and-ship", "score": 0.6082, "capabilities": []}], '
            '"reasoning": "", "confidence": '
            '0.9143, "cache_hit": false, "generation": 1}, "skills": {"skills": [], '
            '"reasoning": "", "confidence": 0.2376, "cache_hit": false, '
            '"generation": 1}, "workflows": {"workflows": [], "reasoning": "", '
            '"confidence": 0.11, "cache_hit": false, "generation": 1}}',
        ),
    ),
    _row(
        "listEntries",
        "list_entries",
        EntryList,
        EntryPage,
        "All entries of one kind, page by page, with their clones and places on the map.",
        errors=(Starting,),
        example=Example(
            '{"kind": "workflow", "limit": 1}',
            '{"entries": [{"kind": "workflow", "plugin": "build-and-ship", "name": '
            '"handle-outage", "path": '
            '"plugins/build-and-ship/commands/handle-outage.md", "at": [-0.75, '
            '0.11]}], "more": true, "total": 8, "generation": 1}',
        ),
    ),
    _row(
        "listFindings",
        "list_findings",
        FindingList,
        FindingPage,
        "What doctor found in the catalogue, and what mends it.",
        errors=(Starting,),
        example=Example(
            '{"limit": 1}',
            '{"findings": [{"rule": "name-collision", "severity": "info", "entry": '
            '"build-and-ship:code-reviewer", "path": '
            '"plugins/build-and-ship/agents/code-reviewer.md", "line": null, '
            '"message": "2 plugins have the agent code-reviewer: build-and-ship, '
            'guard-house", "cure": "name: build-and-ship-code-reviewer"}], "after": '
            'null, "total": 1, "files": {"indexed": 40, "repaired": 0, "skipped": 0, '
            '"not_entries": 2}}',
        ),
    ),
    _row(
        "listProjects",
        "list_projects",
        NoParams,
        ProjectList,
        "The projects that this server knows, by the names that X-Project takes.",
    ),
    _row(
        "learnFrom",
        "learn_from",
        Lenders,
        ProjectList,
        "Let this project use what others have learnt, after its own and under their names.",
        scope="admin",
        errors=(NoSuchProject,),
        example=Example('{"projects": []}', '{"projects": [], "own": ""}'),
    ),
    _row(
        "getLearned",
        "learned",
        NoParams,
        Lessons,
        "The entries with most wins and the patterns with most uses.",
        scope="report",
        errors=(StoreUnavailable,),
    ),
    _row(
        "listDecisions",
        "list_decisions",
        DecisionList,
        DecisionPage,
        "The last decisions, with what each changed.",
        scope="report",
        errors=(StoreUnavailable,),
        example=Example(
            '{"limit": 1}',
            '{"decisions": [{"id": 1, "task_id": "t-0", "task": "find out why the '
            'orders page is slow", "result": "success", "at": '
            '"2026-11-28T08:53:45.778+00:00", "agents": '
            '["build-and-ship:postgres-tuner"], "changes": [{"entry": '
            '"build-and-ship:postgres-tuner", "points": 1.0}]}], "total": 1}',
        ),
    ),
    _row(
        "getWeeks",
        "weeks",
        NoParams,
        Weeks,
        "Was the first answer right, week by week, with experience and without?",
        errors=(Starting, StoreUnavailable),
    ),
    _row(
        "getDelegations",
        "delegations",
        NoParams,
        DelegationList,
        "The tasks that hosts gave to agents: those that run, and the last that ended.",
        scope="report",
    ),
    _row(
        "getSeries",
        "series",
        SeriesQuery,
        SeriesAnswer,
        "Rates, durations and sizes of the last hour or day, and the tokens saved by day.",
        example=Example(
            '{"span": "hour"}',
            '{"every": 10, "columns": {"at": [], "questions": [], "p95": [], '
            '"memory_mb": []}, "saved": []}',
        ),
    ),
    _row(
        "readAudit",
        "read_audit",
        AuditQuery,
        AuditPage,
        "Who did what, when, and how it ended, without contents.",
        scope="admin",
        errors=(StoreUnavailable,),
        example=Example(
            '{"limit": 1}',
            '{"rows": [{"at": "2026-11-28T08:53:45.778+00:00", "who": "ci", "what": '
            '"sendMessage", "outcome": "ok", "times": 3}]}',
        ),
    ),
    *OVERVIEW,
)
