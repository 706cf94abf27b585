"""The state of a project in the running server: the context of every method."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from ..catalog.index import Index
from ..config import SHARED
from ..daemon.watcher import Watched
from ..learn.experience import together
from ..records import Experience, Kind
from ..search.goals import Goals
from ..search.rank import bind
from ..text import Terms
from ..tokens import Tokenizer
from .cache import AnswerCache, RecentQuestions
from .events import Events
from .filewatch import FileWatch
from .gate import Gate
from .hooks.claims import ClaimHooks
from .hooks.delegations import OfCallers, RunningTasks
from .logs import LogFile, LogNowhere
from .metrics import Metrics, Samples, Series
from .projects import Projects
from .projectstate import ProjectState
from .replay import Replays
from .sharedstate import SharedState
from .stores import ProjectStore
from .trace import Trace

PARTIAL = -2  # in place of the experience's revision, while the index is partial


@dataclass(slots=True, kw_only=True)
class State(ProjectState):
    """The state of one project, built by app.make_state, or by app.make_project for further ones;
    all share the objects that belong to the process.

    `started` is of the monotonic clock; `ending` is set when the server begins to stop; `log` is
    None without logging, `trace` without tracing."""

    events: Events
    gate: Gate
    query_cache: AnswerCache
    pattern_cache: AnswerCache
    metrics: Metrics
    samples: Samples
    tokens: Tokenizer
    file_watch: FileWatch
    watched: Watched
    shared: SharedState
    ending: asyncio.Event
    claims: ClaimHooks
    all_projects: Projects[State] | None = None
    log: LogFile | LogNowhere | None = None
    trace: Trace | None = None
    terms: Terms = field(default_factory=Terms)
    recent: RecentQuestions = field(default_factory=RecentQuestions)
    delegations: OfCallers = field(default_factory=OfCallers)
    goals: Goals = field(default_factory=Goals)
    series: dict[str, Series] = field(default_factory=dict)
    replays: Replays = field(default_factory=Replays)
    work: RunningTasks = field(default_factory=RunningTasks)
    started: float = field(default_factory=time.monotonic)
    _together: tuple[list[Any], Experience] | None = None

    @property
    def projects(self) -> Projects[State]:
        assert self.all_projects is not None
        return self.all_projects

    def __post_init__(self) -> None:
        of = (self.metrics, (self.query_cache, self.pattern_cache))
        self.series = {"hour": Series(10, 360, *of), "day": Series(120, 720, *of)}

    @property
    def lenders(self) -> list[tuple[str, ProjectStore]]:
        """(name, store) of the projects from which it learns, as the user has allowed."""
        return self.projects.lenders(self) if self.learns_from else []

    @property
    def experience(self) -> Experience:
        """The experience of the project together with that of its lenders."""
        own = self.store.experience
        if not (lenders := self.lenders):
            return own
        lent = [(name, store.experience) for name, store in lenders]
        key = [(each.revision, each.changed_since) for each in (own, *(x for _, x in lent))]
        if self._together is None or self._together[0] != key:
            self._together = key, together(own, lent)
        return self._together[1]

    def stamp(self, kind: Kind | None) -> tuple[int, int]:
        """(generation, revision of the experience with that kind, None for all): what an answer
        depends on beside the question."""
        if self.is_partial:
            return self.index.generation, PARTIAL
        revision = self.store.revision_of(kind)
        if lenders := self.lenders:
            others = ((name, store.revision_of(kind)) for name, store in lenders)
            revision = hash((revision, *others))
        return self.index.generation, revision

    async def bind(self, index: Index | None, experience: Experience) -> None:
        """Prepare an index for ranking with an experience, in short steps between requests."""
        for _ in bind(index, experience) if index else ():
            await asyncio.sleep(0)

    def facts(self) -> dict[str, object]:
        """What this server tells the other servers of its team about itself."""
        index, settings = self.refresh.index, self.settings
        facts = {"generation": index.generation if index else 0, "project": self.name}
        if settings.index == SHARED:
            facts["wants_index_of"] = self.shared.project_of(settings)
        return facts

    def check_memory(self) -> None:
        """Measure the memory in use against what entries and decisions need."""
        outcomes = self.store.ready
        indexes = {id(each.refresh): each.refresh.index for each in self.projects.awake()}
        entries = sum(sum(i.manifest.counts.values()) for i in indexes.values() if i)
        self.gate.memory.measure(entries, outcomes.decisions if outcomes else 0, self.drop)

    def sleep(self) -> None:
        ProjectState.sleep(self)
        self.drop_answers()
        self._together = None

    def follow_swap(self) -> None:
        """Drop what refers to the last generation, so that idle projects do not keep it open."""
        self.drop_answers()
        self._own = None

    def drop_answers(self) -> None:
        self.query_cache.clear()
        self.pattern_cache.clear()

    def drop(self) -> None:
        """Free all that can be computed again."""
        self.drop_answers()
        self.terms.forget()
